"""What a benchmark found: times, ratios with their targets, and what was not timed and why. Kept as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.timing import Command, Rounds, Spread


@dataclass(frozen=True)
class Line:
    """A measured quantity. ``peak`` is the memory of the processes that it comes from, where that is of interest."""

    what: str
    unit: str
    found: Spread
    peak: float = 0.0


@dataclass(frozen=True)
class Target:
    """A quantity that is to stay at or below ``limit``, or below it where ``strictly``. No limit: for information."""

    what: str
    unit: str
    found: Spread
    limit: float | None = None
    strictly: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the median is within the limit; None where there is none."""
        if self.limit is None:
            return None
        return self.found.median < self.limit if self.strictly else self.found.median <= self.limit


@dataclass
class Findings:
    """What one benchmark found; ``when``, ``commit``, ``runs`` and ``machine`` say where the figures come from."""

    lines: list[Line] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    commands: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    when: str = ""
    commit: str = ""
    runs: int = 0
    machine: str = ""
    failed: bool = False

    def walls(self, title: str, timed: Rounds, commands: Mapping[str, Command], bench: Bench) -> None:
        """Note what whole processes took, and the commands."""
        for name, ran in timed.items():
            wall, peak = Spread.of([one.wall for one in ran]), max(one.peak for one in ran)
            self.lines.append(Line(f"{title}: {name}, whole process", "s", wall, peak))
            self.commands[f"{title}: {name}"] = commands[name].shown(bench.work)

    def note(self, what: str, unit: str, found: Spread) -> None:
        """Note what was computed from the times of processes."""
        self.lines.append(Line(what, unit, found))

    def target(self, what: str, unit: str, found: Spread, limit: float | None = None, strictly: bool = False) -> None:
        """Note what is to stay within a limit, or, without one, what is of interest."""
        self.targets.append(Target(what, unit, found, limit, strictly))

    def save(self, path: Path) -> None:
        """Keep the figures, in place of those of an earlier run."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Findings:
        """The figures that an earlier run kept."""
        told = json.loads(path.read_text(encoding="utf-8"))
        told["lines"] = [Line(**{**one, "found": Spread(**one["found"])}) for one in told["lines"]]
        told["targets"] = [Target(**{**one, "found": Spread(**one["found"])}) for one in told["targets"]]
        return cls(**told)


@dataclass(frozen=True)
class Sizes:
    """How much of everything there is; ``large`` are results of some megabytes each."""

    days: int = 2526
    peer_days: int = 365
    flights: int = 365
    commits: tuple[int, int, int] = (365, 10_000, 100_000)
    rows: tuple[int, int] = (10_000_000, 50_000_000)
    large: int = 1000
    layout_days: int = 2000


SMALL = Sizes(days=20, peer_days=20, flights=5, commits=(5, 20, 60), rows=(100_000, 300_000), large=3, layout_days=20)
"""For a trial of the benchmarks themselves."""


@dataclass(frozen=True)
class Bench:
    """What every benchmark is given: the work folder, how often to run, how much there is, and how many threads.

    Without ``api_url``, each run of Noonmark that computes starts a temporary Prefect server.
    """

    work: Path
    runs: int
    sizes: Sizes
    threads: int
    api_url: str | None = None


@dataclass(frozen=True)
class Benchmark:
    """A benchmark of ``entries.py``; ``asks`` is the question that it answers."""

    name: str
    asks: str
    run: Callable[[Bench], Findings]
