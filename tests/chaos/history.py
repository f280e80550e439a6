"""The faults that the campaigns found in Noonmark, and the mutants of faults that cannot happen yet."""

from __future__ import annotations

FOUND: tuple[tuple[str, str, str], ...] = (
    (
        "damaged-bytes",
        "an altered format number of a record read as newer code's, and `--deep` passed over it",
        "Name every damage, and end red where nothing was repaired",
    ),
    (
        "damaged-bytes",
        "a torn result of an aggregation that is no longer declared was reported by no run",
        "Name every damage, and end red where nothing was repaired",
    ),
    (
        "simulation",
        "a temporary file whose removal failed once stayed locked for as long as its process lived",
        "Show of a Redis URL only what can be no password, and let none of its options go before ours",
    ),
    (
        "simulation",
        "a day failed when its damaged result was removed between the check and its digest",
        "Take a damaged result that went away for an empty place",
    ),
    (
        "security",
        "a password in an odd place of the Redis URL was shown, and options of the URL went before our deadlines",
        "Show of a Redis URL only what can be no password, and let none of its options go before ours",
    ),
    (
        "security",
        "a pipe in the place of the marker, accepted.json or a lock file made a run wait for ever",
        "Show of a Redis URL only what can be no password, and let none of its options go before ours",
    ),
)
"""Campaign, what was wrong, and the title of the commit that fixed it."""

LATER: dict[str, str] = {
    "head deleted on a store": "There is no object store yet",
    "unconditional put": "There is no object store yet",
    "lost reply not read back": "There is no object store yet, and what is told to Redis may be told twice",
}
"""Mutants of faults that cannot happen yet."""
