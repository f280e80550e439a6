"""Full disks, and mounts that are removed in the middle of a run. Both need root, and are skipped without it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from tests.chaos.harness.file_calls import of_files
from tests.chaos.harness.invariants import look_and_mend, whole
from tests.chaos.harness.situations import Base, Bases
from tests.chaos.harness.tracing import Point, list_calls, stop_and_wake
from tests.chaos.harness.worker import Worker, call, run_in_child

Job = tuple[str, Callable[[], list[str]]]
_PAGE = 4096
_PAGES = range(4, 40)
"""How large the disks are, in pages of a tmpfs: every file and every folder takes one or more."""
_SITUATIONS = ("new day", "changed day", "damaged results")


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


@contextmanager
def _mounted(place: Path, *arguments: str) -> Iterator[None]:
    place.mkdir(parents=True, exist_ok=True)
    _mount(*arguments, str(place))
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True)


@cache
def forbidden(folder: Path) -> str | None:
    """Why nothing can be mounted here, or None."""
    if os.geteuid() != 0:
        return "mounting needs root"
    try:
        with _mounted(folder / "probe", "-t", "tmpfs", "none"):
            return None
    except (OSError, subprocess.CalledProcessError) as error:
        return f"nothing can be mounted: {error}"


def full_disks(bases: Bases, mutants: tuple[str, ...]) -> list[Job] | str:
    """One job for each size of a disk that is too small; or why there is none."""
    if why := forbidden(bases.folder):
        return why

    def job(base: Base, pages: int) -> Job:
        return f"{base.name}, a disk of {pages} pages", lambda: _fill(bases, base, mutants, pages)

    return [job(base, pages) for base in bases.built.values() for pages in _PAGES]


def _fill(bases: Bases, base: Base, mutants: tuple[str, ...], pages: int) -> list[str]:
    disk = bases.folder / "disk"
    with _mounted(disk, "-t", "tmpfs", "none"), bases.copy(base, where=disk) as scene:
        used = _blocks(disk)
        _mount("-o", f"remount,size={(used + pages) * _PAGE}", str(disk))
        worker = Worker(run_in_child, scene, {"version": base.version}, mutants=mutants)
        worker.let_go()
        if not worker.wait() or worker.process.exitcode != 0:
            return [f"the worker ended with {worker.process.exitcode}"]
        wrong = []
        if not worker.error and not worker.result["failed"]:
            wrong = [f"reported as success: {one}" for one in whole(scene, {}, base.new, {}, worker.told)]
        wrong += [f"on the full disk: {one}" for one in whole(scene, base.old, base.new, base.harmed, worker.told)]
        _mount("-o", "remount,size=1m", str(disk))
        return wrong + list(call(look_and_mend, scene, base, worker.told, mutants=mutants))


def _blocks(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_blocks - found.f_bfree


def unmounts(bases: Bases, mutants: tuple[str, ...]) -> list[Job] | str:
    """One job for each call on the output at which its mount can go away; or why there is none."""
    if why := forbidden(bases.folder):
        return why
    jobs = []
    for base in (bases.built[name] for name in _SITUATIONS if name in bases.built):
        with bases.copy(base) as scene:
            worker = Worker(run_in_child, scene, {"version": base.version}, mutants=mutants)
            calls = of_files(list_calls(worker, bases.folder / "calls"), bases.folder, "/output")
            jobs += [_unmount_job(bases, base, mutants, point) for point in calls if point.call != "close"]
    return jobs


def _unmount_job(bases: Bases, base: Base, mutants: tuple[str, ...], point: Point) -> Job:
    return f"{base.name}, unmounted at {point} [{point.line[:120]}]", lambda: _unmount(bases, base, mutants, point)


def _unmount(bases: Bases, base: Base, mutants: tuple[str, ...], point: Point) -> list[str]:
    """The output is unmounted while a worker is stopped: what lies beneath must not change."""
    with bases.copy(base) as real:
        place = real.output.parent / "mounted"
        with _mounted(place, "--bind", str(real.output)):
            scene = replace(real, output=place, create=False)
            worker = Worker(run_in_child, scene, {"version": base.version}, mutants=mutants)
            in_time = stop_and_wake(worker, point, bases.folder / "log", partial(_take_away, place))
            if not in_time or worker.process.exitcode != 0:
                return [f"the worker ended with {worker.process.exitcode}"]
            wrong = _beneath(place)
        return wrong + list(call(look_and_mend, real, base, worker.told, mutants=mutants))


def _take_away(place: Path) -> None:
    subprocess.run(["umount", "-l", str(place)], check=True, capture_output=True)
    (place / "foreign").write_text("not Noonmark's\n")


def _beneath(place: Path) -> list[str]:
    found = sorted(str(path.relative_to(place)) for path in place.rglob("*"))
    return [] if found == ["foreign"] else [f"beneath the mount point lies {', '.join(found)}"]
