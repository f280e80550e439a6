"""Says in one sentence what is wrong with a file: ten findings at most, each with its lines, and a remedy."""

from __future__ import annotations

from collections.abc import Sequence

from state.words import SHOWN, counted
from tasks.strict.finding import Finding, printable

_NAME = 60


def told(path: str, findings: Sequence[Finding]) -> str:
    """The file, and its findings in the order of their lines."""
    in_order = sorted(findings, key=lambda one: one.line or 0)
    more = f"; {counted(len(findings) - SHOWN, 'further finding')}" if len(findings) > SHOWN else ""
    return f"{printable(path)} cannot be read as declared: {'; '.join(map(_told, in_order[:SHOWN]))}{more}"


def summary_of(findings: Sequence[Finding]) -> str:
    """The first finding without what is the file's own: files that share it are wrong in one way."""
    first = min(findings, key=lambda one: one.line or 0)
    column = f"column '{printable(first.column, _NAME)}': " if first.column is not None else ""
    return f"cannot be read as declared: {column}found {first.found}, expected {first.expected}"


def _told(finding: Finding) -> str:
    place = []
    if finding.line is not None:
        place.append(f"line {finding.line:,}{_others(finding)}")
    if finding.column is not None:
        place.append(f"column '{printable(finding.column, _NAME)}'")
    where = ", ".join(place) + ": " if place else ""
    text = f" ({finding.text})" if finding.text else ""
    return f"{where}found {finding.found}{text}, expected {finding.expected}"


def _others(finding: Finding) -> str:
    """How many lines are like the first, and the next of them."""
    more = finding.count - 1
    lines = ", ".join(f"{line:,}" for line in finding.others) + ", …" * (more > len(finding.others))
    return f" and {more:,} more ({lines})" if more else ""
