"""Damaged bytes, by the hundred thousand: no reader is served them, and ``--deep`` finds each.

Each trial damages one small result in one place, asks the three that check files (every run's scan, ``--deep``, and the
reader ``state.outputs.scan``), and restores it. ``damaged_results`` takes the same damage through whole runs.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from state import outputs
from state.errors import StorageError
from state.result.classify import Commit, Damaged, Found, Newer
from state.result.verify import verify
from state.store.local.lookup import lookup
from state.store.local.root import open_store
from state.store.local.store import LocalStore
from tests.builders import DAY, commit, place, rows_of
from tests.chaos.campaign import Campaign, Hunt, Report, Short
from tests.chaos.damage.mutants import MUTANTS

SHAPES = {
    "small": rows_of(1),
    "empty": rows_of(1, 0),
    "wide": pl.DataFrame({f"column_{at}": [f"text {at * row}" for row in range(400)] for at in range(8)}),
}
_RECORD = b'{"aggregation"'
_SEAL = b'"seal":"'


@dataclass(frozen=True, slots=True)
class Target:
    """A good result: its bytes, and where in them the commit record and the seal's digits lie."""

    name: str
    content: bytes
    found: Found
    record: range
    seal: range

    @classmethod
    def of(cls, name: str, content: bytes, found: Found) -> Target:
        """Find the parts in a result's bytes."""
        begin = content.rindex(_RECORD)
        end = content.index(b"}", content.index(b'"version"', begin)) + 1
        digits = content.rindex(_SEAL) + len(_SEAL)
        return cls(name, content, found, range(begin, end), range(digits, digits + 64))

    def part(self, at: int) -> str:
        """Which part of the file a byte belongs to."""
        if at in self.seal:
            return "seal"
        if at in self.record:
            return "record"
        length = int.from_bytes(self.content[-8:-4], "little") + 8
        return "footer" if at >= len(self.content) - length else "pages"


@dataclass(frozen=True, slots=True)
class Harm:
    """Other bytes in a result's place. ``flipped`` is the byte of the one bit that differs, where that is all."""

    what: str
    content: bytes
    flipped: int | None = None


def targets(root: LocalStore) -> list[Target]:
    """Commit one result of every shape, and look at each."""
    found = []
    for name, rows in SHAPES.items():
        commit(root, rows, name=name)
        seen = root.lookup((name, DAY))
        assert isinstance(seen, Commit)
        found.append(Target.of(name, place(root, name).read_bytes(), seen))
    return found


def cut(target: Target, length: int) -> Harm:
    """A file that ends too early."""
    return Harm(f"cut to {length} bytes", target.content[:length])


def drawn(target: Target, chance: random.Random) -> Harm:
    """Random harm: a flipped bit most of the time, else what a bad disk or copy does to a stretch of bytes."""
    size = len(target.content)
    if chance.random() < 0.9:
        at = chance.choice(target.record) if chance.random() < 0.3 else chance.randrange(size)
        return flipped(target, at, chance.randrange(8))
    while True:
        content = bytearray(target.content)
        kind = chance.choice(("noise", "zeros", "lost", "doubled"))
        begin = chance.randrange(size)
        end = min(size, begin + chance.choice((1, 2, 16, 64, 512)))
        stretch = content[begin:end]
        changed = {"noise": chance.randbytes(end - begin), "zeros": bytes(end - begin), "lost": b""}
        content[begin:end] = changed.get(kind, stretch + stretch)
        if bytes(content) != target.content:
            return Harm(f"{kind} at bytes {begin} to {end}", bytes(content))


def flipped(target: Target, at: int, bit: int) -> Harm:
    """One bit turned over."""
    content = bytearray(target.content)
    content[at] ^= 1 << bit
    return Harm(f"bit {bit} of byte {at} flipped", bytes(content), at)


def broken_rules(root: LocalStore, target: Target, harm: Harm, report: Report) -> Iterator[str]:
    """Judge harm that stands in the target's place; yields what is wrong with the judgements."""
    path = place(root, target.name)
    path.write_bytes(harm.content)
    try:
        everyday = root.lookup((target.name, DAY))
        why = isinstance(lookup(root.folder, (target.name, DAY), verify), Damaged)
        try:
            served = outputs._read(root, target.name, DAY) is not None
        except StorageError:
            served = False
    finally:
        path.write_bytes(target.content)
    what = f"{target.name}, {harm.what}"
    by = "every run" if isinstance(everyday, Damaged) else "--deep alone" if why else "nobody"
    if harm.flipped is not None:
        part = target.part(harm.flipped)
        report.details[f"flips in {part}, found by {by}"] += 1
        # A flip in the format's number makes it a later code's record, which a run leaves alone.
        if part == "record" and by != "every run" and not isinstance(everyday, Newer):
            yield f"{what}: a changed record is found by {by}"
    else:
        kind = harm.what.partition(" ")[0]
        report.details[f"{kind}, found by {by}"] += 1
        if kind == "cut" and by != "every run":
            yield f"{what}: a file that ends too early is found by {by}"
    if not why:
        yield f"{what}: --deep does not find it, every run takes it for {type(everyday).__name__}"
    if served:
        yield f"{what}: a reader is served it"
    if isinstance(everyday, Commit) and isinstance(target.found, Commit) and everyday.record != target.found.record:
        yield f"{what}: every run believes a changed record"


def attack(trials: int, seed: int, workdir: Path, first: int = 0, stop_at: int | None = 20) -> Report:
    """The first trials cut the smallest result to every length; all others are random. Replay one with ``first``."""
    report = Report()
    began = time.monotonic()
    with open_store(workdir / "output", create=True, remembered=False) as root:
        some = targets(root)
        for number in range(first, first + trials):
            chance = random.Random(f"{seed} {number}")
            if number < len(some[0].content):
                target = some[0]
                harm = cut(target, number)
            else:
                target = chance.choices(some, (8, 4, 1))[0]
                harm = drawn(target, chance)
            found = list(broken_rules(root, target, harm, report))
            report.violations += [f"seed {seed} trial {number}: {what}" for what in found]
            report.trials += 1
            if stop_at is not None and len(report.violations) >= stop_at:
                break
    report.seconds = time.monotonic() - began
    return report


BYTES = ("no seal", "no record digest")
"""The mutants that show in a file's bytes; all others of this folder show in whole runs."""

CAMPAIGN = Campaign(
    "damaged-bytes",
    "A result cut at every length, flipped bits, foreign bytes: judged by the everyday look, --deep and a reader",
    "6",
    attack,
    trials=100_000,
    seed=20261123,
    shorts={
        "": Short(2_000, met={"cut, found by every run": 1_001}),
        "long": Short(100_000, slow=True, timeout=600),
    },
    mutants=dict.fromkeys(BYTES, Hunt(20_000, 4_000)),
    protections=MUTANTS,
)
