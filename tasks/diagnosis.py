"""What is wrong, each problem with the command that fixes it: the comparison of input, output and index.

Healthy means that a run would find nothing to do and that the index equals the output. Nothing is written here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from state.days import order
from state.errors import ACCEPT, CHECK, DAILY, HEALTH, REPAIR, Refused, next_steps
from state.index.durability import Durability
from state.index.index import ReconcileStats
from state.partition import Partition
from state.planner.decide import Blocked, Item
from state.planner.plan import Plan
from state.status import Reason
from state.words import counted, enumerated
from tasks.inputs.strays import Stray, grouped
from tasks.reading.differing_types import DifferingTypes

_DETAILS: dict[Reason, str] = {
    "new": "its input has no result yet",
    "changed": "its input changed since its result was computed",
    "outdated": "its result is of a lower version",
    "corrupt": "its result is damaged",
    "lost": "its result was committed and is gone",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. ``aggregation`` and ``day`` are empty where it concerns no single result.

    ``command`` can be typed as it stands; ``hint`` says what a person has to do or decide before. ``summary`` is the
    detail without what is the day's own, where problems of one cause have details that differ.
    """

    kind: str
    aggregation: str
    day: str
    detail: str
    command: str
    hint: str = ""
    summary: str = ""

    def __str__(self) -> str:
        place = " ".join(part for part in (self.aggregation, self.day) if part)
        return f"{self.kind}: {place + ': ' if place else ''}{self.detail}"


_FIRST = ("refused", "output", "foreign_index", "redis", "unmatched", "unreadable", "unrecoverable", "schema")
"""The kinds that are to be settled first, in this order: others may be gone then."""
_DAYS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Cause:
    """Problems that have one cause, and the one command that fixes them all."""

    problems: tuple[Problem, ...]
    command: str

    @property
    def steps(self) -> list[str]:
        """What to do, a line each."""
        return next_steps(self.command, self.problems[0].hint)

    def __str__(self) -> str:
        first = self.problems[0]
        if len(self.problems) == 1:
            return str(first)
        days = sorted({one.day for one in self.problems}, key=order)
        return f"{first.kind}: {len(self.problems):,} results of {enumerated(days, shown=_DAYS_SHOWN)}: {first.detail}"


def causes_of(problems: Iterable[Problem]) -> list[Cause]:
    """The problems by their cause, what is to be settled first before all others."""
    groups: dict[tuple[str, ...], list[Problem]] = {}
    for one in problems:
        what = (one.aggregation,) if one.kind == "schema" else (one.summary or one.detail, one.hint)
        groups.setdefault((one.kind, *what), []).append(one)
    found = [Cause(tuple(some), _common_command(some)) for some in groups.values()]
    first = {kind: at for at, kind in enumerate(_FIRST)}
    return sorted(found, key=lambda cause: first.get(cause.problems[0].kind, len(first)))


def _common_command(problems: Sequence[Problem]) -> str:
    commands = dict.fromkeys(one.command for one in problems)
    if len(commands) == 1:
        return problems[0].command
    days = sorted({one.day for one in problems}, key=order)
    if problems[0].kind == "schema":
        return command_for(problems[0].aggregation, ",".join(days), force=True)
    return command_for_all([(one.aggregation, one.day) for one in problems])


@dataclass(frozen=True, slots=True)
class HealthWarning:
    """What a person should know and no run would change. ``hint`` says what to do about it, before ``command``."""

    detail: str
    command: str
    hint: str = ""


def command_for(aggregation: str, day: str, *, force: bool = False) -> str:
    """The command that computes one result."""
    return f"{DAILY}{' --force' * force} --days {day} --only {aggregation}"


def command_for_all(results: Sequence[Partition]) -> str:
    """The command that computes what needs it of these results, and as little else as it can say."""
    names, days = {aggregation for aggregation, _ in results}, {day for _, day in results}
    if len(days) > 1:
        return DAILY
    return command_for(*results[0]) if len(names) == 1 else f"{DAILY} --days {results[0][1]}"


def problems_of(plan: Plan) -> Iterator[Problem]:
    """What a plan says is wrong: each result that a run would compute or should, and each that it cannot compute."""
    yield from map(_problem_of_item, plan.items)
    for aggregation, days in plan.differing.items():
        for day, why in days.items():
            yield Problem("schema", aggregation, day, why, command_for(aggregation, day, force=True))
    for blocked in plan.blocked:
        yield _problem_of_blocked(blocked, declared=blocked.aggregation in plan.declared)


def problems_of_sources(unmatched: Mapping[str, str]) -> Iterator[Problem]:
    """Sources that no file matches, by their template, and where it stops matching."""
    for source, why in unmatched.items():
        hint = "correct the template, or bring the files"
        yield Problem("unmatched", "", "", f"no file matches source {source!r}: {why}", CHECK, hint)


def _problem_of_item(item: Item) -> Problem:
    command = command_for(item.aggregation, item.day)
    if (failure := item.failure) and item.repeats_failure:
        detail = f"when it was last computed it failed ({failure.kind}): {failure.error}"
        hint = "correct that first: neither the input nor the code changed since"
        return Problem("failed", item.aggregation, item.day, detail, command, hint, failure.summary)
    return Problem(item.reason, item.aggregation, item.day, _DETAILS[item.reason], command)


def _problem_of_blocked(blocked: Blocked, *, declared: bool) -> Problem:
    hint = ""
    if blocked.regressed:
        command = ACCEPT
    elif blocked.partial:
        command = command_for(blocked.aggregation, blocked.day, force=True)
        hint = "restore the files; or compute it from what is left"
    elif blocked.kind == "unrecoverable":
        command = f"{REPAIR} --deep"  # sets a damaged result aside, and removes a lost one from the index
    else:
        hint = "fix that first"
        command = command_for(blocked.aggregation, blocked.day) if declared else HEALTH  # --only takes declared names
    return Problem(blocked.kind, blocked.aggregation, blocked.day, blocked.why, command, hint)


def problem_of_output(output: Path, *, was_used: Path | None) -> Problem:
    """There is no output. It may be unmounted or moved where earlier runs left their index, in ``was_used``."""
    detail = f"no output of Noonmark is at {output}"
    if was_used is None:
        return Problem("output", "", "", detail, DAILY, "mount it or correct NOONMARK_OUTPUT, or let a run create it")
    detail += f", though earlier runs left an index in {was_used}: it looks unmounted, moved or wrong"
    hint = f"mount it or correct NOONMARK_OUTPUT, then look again; if a new, empty output is meant: {ACCEPT}"
    return Problem("output", "", "", detail, HEALTH, hint)


def problem_of_index(differences: ReconcileStats) -> Problem | None:
    """The index's differences from the output, as one problem."""
    numbers = {"missing": differences.added, "wrong": differences.updated, "too many": differences.removed}
    found = ", ".join(f"{number:,} {what}" for what, number in numbers.items() if number)
    return Problem("index", "", "", f"the index differs from the output: {found}", REPAIR) if found else None


def problems_of_own(counted: Sequence[str]) -> Iterator[Problem]:
    """Files below ``_noonmark/`` that a reader of the output would count among the results."""
    for path in counted:
        detail = f"readers of **/*.parquet count {path!r} among the results"
        yield Problem("foreign", "", "", detail, f"{REPAIR} --deep")


def problem_of_refusal(error: Refused) -> Problem:
    """What every run refuses, as a problem. Raises the error again where no command of ours fixes it (newer code's)."""
    if error.hint is None:
        raise error
    return Problem("refused", "", "", error.message, error.command or HEALTH, error.hint)


def problem_of_redis(absence: str | None, *, foreign: bool, configured: bool) -> Problem | None:
    """An index that belongs to another output (``foreign``), or a configured Redis that does not answer."""
    if foreign:
        return Problem("foreign_index", "", "", "the index belongs to another output", ACCEPT)
    if absence and configured:
        return Problem("redis", "", "", absence, HEALTH, "start it, or correct NOONMARK_REDIS_URL")
    return None


def warnings_of_code(plan: Plan) -> Iterator[HealthWarning]:
    """Code that changed without its version, or whose version is lower than that of commits."""
    for name, commits in plan.changed_code.items():
        yield HealthWarning(
            f"{name}: its code changed since {counted(commits, 'day')} of it were computed, and its version did not",
            DAILY,
            f"raise version= of {name} where its results differ now",
        )
    for name, statuses in plan.statuses.items():
        if ahead := statuses["ahead"]:
            yield HealthWarning(
                f"{name}: {counted(ahead, 'committed day')} of a higher version than this code, and never overwritten",
                DAILY,
                f"check out the newer code, or raise version= of {name} above theirs",
            )


def warnings_of_links(broken_links: Mapping[str, Sequence[str]]) -> Iterator[HealthWarning]:
    """Broken links, by their source's template."""
    for name, paths in broken_links.items():
        for path in paths:
            yield HealthWarning(
                f"source {name!r}: {path} is a broken link, and the files behind it are not seen",
                DAILY,
                "fix or remove it",
            )


def warnings_of_strays(strays: Mapping[str, Sequence[Stray]]) -> Iterator[HealthWarning]:
    """What looks like input of a source and is none, each source and reason by itself."""
    for group in grouped(strays):
        yield HealthWarning(str(group), CHECK, group.hint)


def warnings_of_foreign(foreign: Sequence[str]) -> Iterator[HealthWarning]:
    """Files of others in the output."""
    for path in foreign:
        yield HealthWarning(
            f"{path} in the output is not Noonmark's, and readers of all Parquet files may count it",
            HEALTH,
            "move it away",
        )


def warnings_of_types(differing: Iterable[DifferingTypes]) -> Iterator[HealthWarning]:
    """Sources whose types were inferred, and differ between their days."""
    for one in differing:
        hint = f"declare {one.remedy} in that source, and raise version= of the aggregations whose results differ by it"
        yield HealthWarning(str(one), DAILY, hint)


def warnings_of_redis(durability: Durability | None) -> Iterator[HealthWarning]:
    """What Redis may lose."""
    for what, command in durability.shortcomings() if durability else ():
        yield HealthWarning(f"Redis: {what}", command)


def counts_of(plan: Plan) -> dict[str, dict[str, int]]:
    """How many days of each aggregation have each status or reason."""
    counts = defaultdict(Counter, {name: Counter(statuses) for name, statuses in plan.statuses.items()})
    for item in plan.items:
        counts[item.aggregation]["failed" if item.repeats_failure else item.reason] += 1
    for blocked in plan.blocked:
        counts[blocked.aggregation][blocked.kind] += 1
    return {name: dict(statuses) for name, statuses in counts.items()}
