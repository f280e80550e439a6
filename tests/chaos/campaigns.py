"""All campaigns: what each attacks, how long its long form is, and the mutants that it must catch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import simulation
from tests.chaos.campaign import Mutant, Report
from tests.chaos.concurrency import concurrent_runs
from tests.chaos.crashes import kills, power_loss
from tests.chaos.damage import damaged_bytes, damaged_results, foreign_objects
from tests.chaos.damage import mutants as damage_mutants
from tests.chaos.inputs import moving_inputs, schema_changes, user_code, vanishing_inputs
from tests.chaos.redis import failover, hostile_redis, unreliable_redis
from tests.chaos.redis import mutants as redis_mutants
from tests.chaos.storage import storage_errors

Run = Callable[[int, int, Path, str | None], Report]
"""Runs a campaign: trials, seed, an empty folder, and the mutant to be caught (then it ends with the first catch)."""


def _inside(campaign: Callable[..., Report]) -> Run:
    """A campaign whose workers remove the protection themselves: they are other processes."""

    def run(trials: int, seed: int, workdir: Path, mutant: str | None) -> Report:
        if mutant is None:
            return campaign(trials, seed, workdir)
        return campaign(trials, seed, workdir, mutants=(mutant,), stop_at=1)

    return run


def _around(campaign: Callable[..., Report], mutants: Mapping[str, Mutant]) -> Run:
    """A campaign that runs in this process, where the protection is removed."""

    def run(trials: int, seed: int, workdir: Path, mutant: str | None) -> Report:
        if mutant is None:
            return campaign(trials, seed, workdir)
        with mutants[mutant]():
            return campaign(trials, seed, workdir, stop_at=1)

    return run


@dataclass(frozen=True)
class Entry:
    """A campaign. ``trials`` is its long form, ``mutants`` how many trials each mutant may take to be caught.

    ``waits``: it spends its time waiting for leases and servers more than computing.
    """

    name: str
    attacks: str
    promises: str
    run: Run
    trials: int
    mutants: Mapping[str, int] = field(default_factory=dict)
    waits: bool = False


def _within(trials: int, mutants: Mapping[str, Mutant]) -> dict[str, int]:
    return dict.fromkeys(mutants, trials)


def _redis(trials: int, seed: int, workdir: Path, mutant: str | None) -> Report:
    if mutant is None:
        return unreliable_redis.campaign(trials, seed, workdir)
    fault = redis_mutants.CAUGHT_BY[mutant]
    return unreliable_redis.campaign(trials, seed, workdir, (fault,), ("valkey",), mutants=(mutant,), stop_at=1)


def _sentinel(trials: int, seed: int, workdir: Path, _: str | None) -> Report:
    return failover.campaign(trials, seed, workdir)


_BYTES = {name: one for name, one in damage_mutants.MUTANTS.items() if name in ("no seal", "no record digest")}
_WHOLE = {name: one for name, one in damage_mutants.MUTANTS.items() if name not in _BYTES}

_TELLING = {name: one for name, one in redis_mutants.MUTANTS.items() if name != "lost reply retried"}

ENTRIES = (
    Entry(
        "simulation",
        "Several workers interleaved at every call: pauses, kills, power cuts, a Redis that forgets and lies, failing "
        "listings, changing inputs, a newer version half-way. Storage, Redis, input and clock are simulated",
        "1-8, 11",
        _around(simulation.campaign, simulation.MUTANTS),
        250_000,
        _within(100_000, simulation.MUTANTS),
    ),
    Entry(
        "kills",
        "SIGKILL at every system call of a real worker, in six situations",
        "1, 2, 6, 7",
        _inside(kills.campaign),
        5_100,  # some runs end before the call that a kill waits for
        _within(6_000, kills.MUTANTS),
    ),
    Entry(
        "power-loss",
        "The power cut at every step of a real worker, on ext4 and xfs, with the journal flushed and lost",
        "1, 2, 7",
        _inside(power_loss.campaign),
        3_000,  # likewise
        _within(4_000, power_loss.MUTANTS),
    ),
    Entry(
        "concurrent-runs",
        "A writer stopped at a system call for longer than its lease, and woken after a successor: the calls that "
        "change anything first, then others drawn by seed; eight processes at once; two versions of the code at once",
        "2, 3, 8",
        _inside(concurrent_runs.campaign),
        300,
        _within(1_000, concurrent_runs.MUTANTS),
        waits=True,
    ),
    Entry(
        "storage-errors",
        "Errors at calls that read or write, full disks, inputs that change while they are read, an output unmounted "
        "in mid-run, all drawn by seed",
        "2, 5, 9, 10",
        _inside(storage_errors.campaign),
        1_000,
        _within(1_000, storage_errors.MUTANTS),
    ),
    Entry(
        "moving-inputs",
        "Files and folders that come, go and change names before the plan, after the tokens were read and while polars "
        "computes, on clocks that tick every two seconds; links to a disk that is gone",
        "3, 5, 7, 8",
        _around(moving_inputs.campaign, moving_inputs.MUTANTS),
        1_000,
        _within(1_000, moving_inputs.MUTANTS),
    ),
    Entry(
        "vanishing-inputs",
        "The input root renamed, replaced by an empty folder or half a copy, mounted over and unmounted, a region or "
        "the source gone, at any call of a run; older results restored from a backup",
        "3, 5, 7, 10",
        _around(vanishing_inputs.campaign, vanishing_inputs.MUTANTS),
        300,
        _within(150, vanishing_inputs.MUTANTS),
    ),
    Entry(
        "user-code",
        "Aggregations and readers that raise, exit, crash and kill their process in every way, on the oldest days and "
        "others, with and without --limit: the other days are committed, and the bad ones named",
        "10, 7",
        _inside(user_code.campaign),
        160,
        _within(60, user_code.MUTANTS),
        waits=True,
    ),
    Entry(
        "unreliable-redis",
        "Real servers, Valkey and Redis 7.0: every fault at the start and before every call of a run",
        "4, 12",
        _redis,
        1_000,
        _within(1_000, _TELLING),
        waits=True,
    ),
    Entry(
        "hostile-redis",
        "Replies of every type, nested, broken, cut, dribbled and endless, to any call or to all that daily, repair "
        "and health make; scans that never end",
        "4, 12",
        _around(hostile_redis.campaign, hostile_redis.MUTANTS),
        3_000,
        _within(400, hostile_redis.MUTANTS),
        waits=True,
    ),
    Entry(
        "failover",
        "A failover to a replica that lags, at the start and at a random call",
        "4, 12",
        _sentinel,
        16,
        waits=True,
    ),
    Entry(
        "damaged-bytes",
        "A result cut at every length, flipped bits, foreign bytes: judged by the everyday look, --deep and a reader",
        "6",
        _around(damaged_bytes.campaign, _BYTES),
        100_000,
        _within(20_000, _BYTES),
    ),
    Entry(
        "damaged-results",
        "Foreign files and damage in the place of results, marker and input: --deep, a run, and nothing is lost",
        "6, 5",
        _around(lambda trials, seed, workdir, **_: damaged_results.campaign(trials, seed, workdir), _WHOLE),
        1_000,
        _within(500, _WHOLE),
    ),
    Entry(
        "foreign-objects",
        "Links in and out of the output, folders, plain files, sockets, pipes, other programs' files at every place of "
        "its tree: folders, results, locks, drafts, marker, caches",
        "5, 6, 7, 9, 10",
        _around(foreign_objects.campaign, foreign_objects.MUTANTS),
        600,
        _within(400, foreign_objects.MUTANTS),
    ),
    Entry(
        "schema-changes",
        "Days whose values change their type or are all null, forced runs, raised versions: judged by other readers of "
        "the same files",
        "9, 10",
        _around(schema_changes.campaign, schema_changes.MUTANTS),
        1_000,
        _within(200, schema_changes.MUTANTS),
    ),
)
