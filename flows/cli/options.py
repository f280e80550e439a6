"""Checks the options that narrow or widen a run: those of a command line, and a deployment's parameters."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from state.days import parse_range
from state.errors import ConfigurationError, nearest
from state.planner.plan import Selection


def selection_of(
    catalog: Collection[str],
    *,
    days: Sequence[str] | None = None,
    only: Sequence[str] | None = None,
    force: bool = False,
    limit: int | None = None,
    newest_first: bool = False,
) -> Selection:
    """Check the options against each other and the catalog. Raises ConfigurationError.

    ``days`` and ``only`` are lists, and each of their entries may be a list with commas.
    """
    days, only = _split("--days", days or ()), _split("--only", only or ())
    for name in only:
        if name not in catalog:
            near = nearest(name, catalog)
            suggestion = f"; did you mean {near}?" if near else f"; declared are {', '.join(sorted(catalog))}"
            meant = dict.fromkeys(near if one == name else one for one in only) if near else ("NAME",)
            raise ConfigurationError(
                f"--only {name}: there is no such aggregation{suggestion}",
                hint=f"type the command again with --only {','.join(meant)}",
            )
    if force and not (days or only):
        raise ConfigurationError(
            "--force would recompute every day of every aggregation; say which with --days or --only"
        )
    return Selection(
        days=tuple(map(parse_range, days)),
        only=frozenset(only),
        force=force,
        limit=limit,
        newest_first=newest_first,
    )


def _split(option: str, texts: Sequence[str]) -> list[str]:
    parts = [part.strip() for text in texts for part in text.split(",")]
    if not all(parts):
        found = ",".join(texts)
        raise ConfigurationError(f"{option} {found!r} {'has an empty entry' if found else 'is empty'}")
    return parts
