"""What must hold of an output once all faults have stopped: rows, records, seals, temporary files, index."""

from __future__ import annotations

import os

import polars as pl

from flows.opening import opened_index
from state.index.index import entry
from state.result.classify import Commit
from state.result.seal import broken_seal
from state.result.writing import arrow_table, rows_digest
from state.store.local.layout import DATA
from state.store.local.root import find_store
from tests.chaos.harness.scene import Scene


def inspect(scene: Scene, version: int = 1) -> list[str]:
    """What is wrong with an output after an undisturbed run. Writes nothing."""
    wrong = []
    expected = scene.expected(version)
    for aggregation, day, path in scene.results():
        if path.name != DATA or (aggregation, day) not in expected:
            wrong.append(f"{path.relative_to(scene.output)} should not be there")
            continue
        content = path.read_bytes()
        wanted = expected.pop((aggregation, day))
        try:
            rows: object = pl.read_parquet(content, hive_partitioning=False).rows()
        except (pl.exceptions.PolarsError, OSError) as error:
            rows = f"no rows: {error}"
        if rows != wanted:
            wrong.append(f"{aggregation} {day} holds {rows}")
    wrong += [f"{aggregation} {day} is not there" for aggregation, day in expected]
    if drafts := scene.drafts():
        wrong.append(f"{len(drafts)} temporary files are left")
    return wrong + _inspect_records(scene)


def _inspect_records(scene: Scene) -> list[str]:
    root = find_store(scene.output)
    if root is None:
        return ["the output has no marker"]
    wrong = []
    with root, opened_index(scene.settings(), start=False) as index:
        output = root.scan()
        committed: dict[str, dict[bytes, bytes]] = {}
        for aggregation, days in output.days.items():
            for day, found in days.items():
                if not isinstance(found, Commit):
                    wrong.append(f"{aggregation} {day} is {found}")
                    continue
                committed.setdefault(aggregation, {})[day.encode()] = entry(found)
                wrong += _inspect_file(scene, aggregation, day, found)
        if scene.redis_url == "none":
            return wrong
        for name, held in index.read(sorted({*committed, *index.aggregations()})).items():
            wanted = committed.get(name, {})
            if (dict(held.entries), held.processed) != (wanted, frozenset(wanted)):
                wrong.append(f"the index of {name} differs: {dict(held.entries)} instead of {wanted}")
            if held.last != max(wanted, default=None):
                wrong.append(f"the last day of {name} in the index is {held.last!r}")
        if index.unavailable_reason:
            wrong.append(f"the index could not be read: {index.unavailable_reason}")
    return wrong


def _inspect_file(scene: Scene, aggregation: str, day: str, found: Commit) -> list[str]:
    path = scene.output / aggregation / f"day={day}" / DATA
    fd = os.open(path, os.O_RDONLY)
    try:
        broken = broken_seal(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)
    if broken:
        return [f"{aggregation} {day}: {broken}"]
    table = pl.read_parquet(path.read_bytes(), hive_partitioning=False)
    same = rows_digest(arrow_table(table)) == found.record.result
    return [] if same else [f"{aggregation} {day}: its rows are not those of its record"]
