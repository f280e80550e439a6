"""All campaigns, in the order in which the page lists them."""

from __future__ import annotations

from tests.chaos import simulation
from tests.chaos.concurrency import concurrent_runs
from tests.chaos.crashes import kills, power_loss
from tests.chaos.damage import damaged_bytes, damaged_results, foreign_objects
from tests.chaos.inputs import moving_inputs, schema_changes, user_code, vanishing_inputs, years
from tests.chaos.redis import failover, hostile_redis, unreliable_redis
from tests.chaos.storage import storage_errors

CAMPAIGNS = (
    simulation.CAMPAIGN,
    kills.CAMPAIGN,
    power_loss.CAMPAIGN,
    concurrent_runs.CAMPAIGN,
    storage_errors.CAMPAIGN,
    moving_inputs.CAMPAIGN,
    vanishing_inputs.CAMPAIGN,
    user_code.CAMPAIGN,
    unreliable_redis.CAMPAIGN,
    hostile_redis.CAMPAIGN,
    failover.CAMPAIGN,
    damaged_bytes.CAMPAIGN,
    damaged_results.CAMPAIGN,
    foreign_objects.CAMPAIGN,
    schema_changes.CAMPAIGN,
    years.CAMPAIGN,
)
