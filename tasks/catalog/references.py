"""What is wrong with the references of an aggregation, told where they are declared."""

from __future__ import annotations

from collections.abc import Collection, Sequence

_ABOUT_DAYS = ("name", "event_time", "time_zone", "reach", "outside", "marker", "settle")
"""Options of a Source that mean nothing for a file that serves every day."""
_FROM = ("all days", "new days")


def wrong_option(options: Collection[str]) -> str | None:
    """What is wrong with the first option that only a daily source has; None where all are fine."""
    found = next((name for name in _ABOUT_DAYS if name in options), None)
    if found == "name":
        return "it has name=; expected none, for its name is its key in references={…}"
    return f"{found}= is about days, and a reference has none; expected a Source with {{day}} for it" if found else None


def wrong_references(
    references: Collection[str], since: object, sources: Collection[str], parameters: Sequence[str]
) -> str | None:
    """What is wrong with ``references=`` and ``references_from=``; None where nothing is.

    ``sources`` are the names of the sources, ``parameters`` those that take the references.
    """
    if since not in _FROM:
        return f"references_from={since!r}, expected {' or '.join(map(repr, _FROM))}"
    if since == "new days" and not references:
        return "references_from= without references={name: path}"
    for name in references:
        if not str(name).isidentifier():
            return f"a reference is called {name!r}; expected a name such as a parameter has"
        if name in sources:
            return f"a reference and a source are both called {name!r}; expected different names"
        if name in parameters and parameters.index(name) != list(references).index(name):
            return (
                f"references come in their order ({', '.join(references)}), and its parameters for them are "
                f"{', '.join(parameters)}; expected one order"
            )
    return None
