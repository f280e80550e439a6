"""Two years of raw files of several collections, one thing happening to them after the other, and a run after each."""

from __future__ import annotations

from tests.chaos.campaign import Campaign, Hunt, Short
from tests.chaos.inputs.years.mutants import MUTANTS
from tests.chaos.inputs.years.replay import attack

CAMPAIGN = Campaign(
    "two-years",
    "Two years of raw files shaped after real collections: days that arrive whole and in parts, are revised, lose "
    "files, are moved, copied, touched, rewritten, soiled with every kind of dirt and mended, a run after each; every "
    "result against one from scratch and against plain Python",
    "7, 8, 9, 10, 14",
    attack,
    trials=1_000,
    seed=20261126,
    shorts={
        "": Short(
            50, met={"results refused": 3, "runs after which nothing differed": 5}, options={"days": 30, "commands": 0}
        )
    },
    mutants=dict.fromkeys(MUTANTS, Hunt(1_500, 100, {"days": 30, "commands": 0})),
    protections=MUTANTS,
    timeout=300,
)
