"""What must hold at any instant, whatever was done to a worker: results are whole, and reported ones are there."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import polars as pl

from state.result.classify import Commit, classify
from state.result.seal import broken_seal
from state.store.local.layout import DATA
from tests.chaos.harness.runs import Told
from tests.chaos.harness.scene import Scene
from tests.chaos.harness.situations import Base, Partition, Rows, kept, marks
from tests.chaos.harness.worker import Worker, mend_in_child

MEND_SECONDS = 20.0
"""Seconds that the next run may take: the dead worker's leases of a minute must not delay it."""


Publication = tuple[str, str, int]
"""Aggregation, day and generation, as a worker reported it."""
_NONE: Rows = {}


def whole(
    scene: Scene,
    old: Rows,
    new: Rows,
    harmed: Mapping[Partition, bytes],
    told: Sequence[Publication],
    passing: Rows = _NONE,
) -> list[str]:
    """What is wrong at this instant. Writes nothing.

    Each result holds its ``old`` or its ``new`` rows; ``passing`` rows and ``harmed`` bytes are allowed too. What was
    ``told`` as committed is there, or something newer.
    """
    wrong: list[str] = []
    seen: dict[Partition, int] = {}
    fresh: set[Partition] = set()
    for name, day, path in scene.results():
        place = (name, day)
        if path.name != DATA:
            wrong.append(f"{path.relative_to(scene.output)} lies among the results")
            continue
        if path.read_bytes() == harmed.get(place):
            seen[place] = 0
            continue
        rows, seen[place], why = _read(place, str(path))
        if why or rows not in [known[place] for known in (old, new, passing) if place in known]:
            wrong.append(f"{name} {day} is {why or rows}")
        elif rows == new.get(place):
            fresh.add(place)
    wrong += [f"{name} {day} is gone" for name, day in old if (name, day) not in seen]
    for name, day, generation in told:
        if seen.get((name, day), 0) < generation or (name, day) not in fresh:
            wrong.append(f"{name} {day} was told as published with generation {generation}, and is not there")
    return wrong


def generations(scene: Scene) -> dict[Partition, int]:
    """The generation of each whole result."""
    return {(name, day): number for name, day, path in scene.results() if (number := _read((name, day), str(path))[1])}


def _read(place: Partition, path: str) -> tuple[object, int, str | None]:
    fd = os.open(path, os.O_RDONLY)
    try:
        found = classify(fd, *place)
        if not isinstance(found, Commit):
            return None, 0, str(found)
        why = broken_seal(fd, os.fstat(fd).st_size)
        rows = pl.read_parquet(os.pread(fd, found.stat[0], 0), hive_partitioning=False).rows()
        return rows, found.record.generation, why
    except Exception as error:  # noqa: BLE001 a torn file may raise anything
        return None, 0, f"torn: {error}"
    finally:
        os.close(fd)


def look_and_mend(scene: Scene, base: Base, reported: Sequence[Publication], told: Told) -> list[str]:
    """The function of a worker after a fault: check the instant, run once more, and check the final state."""
    wrong = [f"at once: {one}" for one in whole(scene, base.old, base.new, base.harmed, reported)]
    wrong += [f"after one more run: {one}" for one in mend_in_child(scene, base.version, told)]
    now = marks(scene)
    wrong += [
        f"the mark of {' '.join(one)} is lower than it was" for one, was in base.marks.items() if now.get(one, 0) < was
    ]
    aside = kept(scene)
    wrong += [f"the damaged {name} {day} was not kept" for (name, day), was in base.harmed.items() if was not in aside]
    strange = [one for one in aside if one not in base.harmed.values()]
    return wrong + [f"{len(strange)} files were set aside that were not damaged"] * bool(strange)


def judged(scene: Scene, base: Base, told: Sequence[tuple[str, str, int]], mutants: tuple[str, ...]) -> list[str]:
    """What ``look_and_mend`` finds, run in a child process with a deadline."""
    judge = Worker(look_and_mend, scene, base, told, mutants=mutants)
    judge.let_go()
    if not judge.wait(MEND_SECONDS):
        return [f"the next run took longer than {MEND_SECONDS:g} s"]
    return list(judge.result) if judge.ended_well else [judge.error or f"it ended with {judge.process.exitcode}"]
