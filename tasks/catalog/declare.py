"""What a user writes of results: an aggregation of sources, which all else of Noonmark finds by its mark."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Literal, TypeVar

import polars as pl

from state.days import typed
from state.errors import DeclarationError
from state.partition import is_aggregation_name
from tasks.catalog.fingerprint import fingerprint
from tasks.catalog.place import place_of, place_of_error
from tasks.catalog.references import wrong_references
from tasks.catalog.signature import positional, wanted, wrong_keywords
from tasks.catalog.source import Reference, Source

Function = TypeVar("Function", bound=Callable[..., pl.LazyFrame])
_MARK = "__noonmark__"


@dataclass(frozen=True)
class Aggregation:
    """A declared aggregation: ``sources`` maps the name of each input in the commit record to its source.

    References come last among them. ``keeps_references``: a commit stays although they changed.
    """

    name: str
    function: Callable[..., pl.LazyFrame]
    version: int
    sources: Mapping[str, Source] = field(compare=False)
    keeps_references: bool = False

    @cached_property
    def code(self) -> str:
        """The fingerprint of what the function says; a warning is all that hangs on it."""
        return fingerprint(self.function)

    @property
    def references(self) -> frozenset[str]:
        """The names of those sources that serve every day."""
        return frozenset(name for name, source in self.sources.items() if isinstance(source, Reference))

    @property
    def place(self) -> str:
        """Where it is declared, for messages."""
        return place_of(self.function)

    def place_of(self, error: BaseException) -> str:
        """The line of the aggregation's own file that an error came from; where none is, the declaration's."""
        return place_of_error(self.function, error)

    def query(self, frames: Sequence[pl.LazyFrame], day: str) -> object:
        """What the function makes of a day's frames, one for each source. Raises whatever it raises."""
        return self.function(*frames, **wanted(self.function, day=lambda: typed(day)))


def aggregation(
    *sources: Source,
    version: int = 1,
    references: Mapping[str, str | os.PathLike[str] | Reference] | None = None,
    references_from: Literal["all days", "new days"] = "all days",
) -> Callable[[Function], Function]:
    """Declare a function from one day's LazyFrames, one for each source in order, to a LazyFrame.

    Its days are those that every source has, its name is the output's name. The function itself is returned unchanged.

    - ``sources``: a parameter for each, by position. A keyword-only ``day`` gets the day beside them: a
      ``datetime.date``, or an ``int`` where days are numbers.
    - ``version``: the user's word that results changed meaning. Raising it recomputes every day.
    - ``references``: names to files that serve every day, as paths or as a Reference with options. They come as further
      arguments, after the sources and in their order. A file that changes makes every day ``changed``.
    - ``references_from="new days"``: it makes none, and counts for the days that are computed from then on.

    Raises DeclarationError for a missing docstring, a name that is no plain identifier or begins with ``_``, a version
    below 1, sources that number their days differently, parameters that do not fit sources and references, or
    ``@aggregation`` without its parentheses.
    """
    for bare in filter(inspect.isfunction, sources):
        raise DeclarationError(
            f"aggregation {bare.__name__} ({place_of(bare)}): found @aggregation alone; expected "
            "@aggregation(source, …) with at least one Source"
        )
    tables = _tables(references)

    def declare(function: Function) -> Function:
        if earlier := _earlier(function):
            raise DeclarationError(
                f"two aggregations are called {function.__name__} ({earlier.place} and {place_of(function)}), and the "
                "second would replace the first; expected different names"
            )
        place = f"aggregation {function.__name__} ({place_of(function)})"
        if wrong := _wrong(function, sources, version, tables):
            raise DeclarationError(f"{place}: {wrong}")
        parameters = positional(function)
        named: dict[str, Source] = {
            source.name or one: source for source, one in zip(sources, parameters, strict=False)
        }
        if len(named) < len(sources):
            raise DeclarationError(f"{place}: two sources have one name")
        if wrong := wrong_references(tables, references_from, named, parameters[len(sources) :]):
            raise DeclarationError(f"{place}: {wrong}")
        keeps = references_from == "new days"
        setattr(function, _MARK, Aggregation(function.__name__, function, version, named | tables, keeps))
        return function

    return declare


def _tables(references: Mapping[str, str | os.PathLike[str] | Reference] | None) -> dict[str, Reference]:
    """The references as they were given, paths as references."""
    if not isinstance(references, Mapping | None):
        raise DeclarationError(f"references={references!r}, expected a mapping such as {{'airlines': 'airlines.csv'}}")
    for name, one in (references or {}).items():
        if not isinstance(one, str | os.PathLike | Reference):
            raise DeclarationError(f"reference {name!r} is {one!r}; expected a path, or Reference(path, …)")
    given = (references or {}).items()
    return {name: one if isinstance(one, Reference) else _plain(os.fspath(one)) for name, one in given}


@lru_cache
def _plain(path: str) -> Reference:
    """The same for all aggregations, so that they share what was read of it."""
    return Reference(path)


def _earlier(function: Callable[..., Any]) -> Aggregation | None:
    """Another aggregation of this name in the module that is being imported. A reload, or a notebook, replaces them."""
    module = sys.modules.get(function.__module__)
    if not getattr(getattr(module, "__spec__", None), "_initializing", False):
        return None
    return declared(vars(module).get(function.__name__))


def declared(value: object) -> Aggregation | None:
    """The aggregation that a module's attribute is, or None."""
    try:
        # Another decorator on top, such as functools.cache, leaves a function below.
        found = getattr(value, _MARK, None) if callable(value) and inspect.isfunction(inspect.unwrap(value)) else None
    except Exception:  # noqa: BLE001 a lazy object of the user's, say, that raises whatever it is asked for
        return None
    return found if isinstance(found, Aggregation) else None


def _wrong(
    function: Callable[..., Any], sources: tuple[Source, ...], version: object, references: Mapping[str, object]
) -> str | None:
    name = function.__name__
    parameters = positional(function)
    if not name.isascii() or not is_aggregation_name(name):
        return "its name must be a plain identifier (letters, digits, underscores) that does not begin with '_'"
    if not (function.__doc__ or "").strip() and sys.flags.optimize < 2:  # python -OO takes docstrings away
        return "it has no docstring; one line that says what the result holds is enough"
    if any(
        kind(function)
        for kind in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    ):
        return "it is asynchronous or a generator; expected a plain function that returns a LazyFrame"
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        return f"version={version!r}, expected a whole number from 1"
    if not sources or not all(isinstance(source, Source) for source in sources):
        return "expected @aggregation(source, …) with at least one Source"
    if misplaced := next((source for source in sources if isinstance(source, Reference)), None):
        return f"{misplaced} among the sources; expected it in references={{name: …}}, for it makes no days"
    if len({source.template.kind for source in sources}) > 1:
        return f"{sources[0]} and another source number their days differently: dates with integers share no day"
    if wrong := wrong_keywords(function, ("day",)):
        return wrong
    if len(parameters) != len(sources) + len(references):
        found = f"it takes {len(parameters)} frames ({', '.join(parameters)})"
        tables = f" and of its {len(references)} references" * bool(references)
        hint = "; write '*' before day to get the day" if "day" in parameters[len(sources) :] else ""
        return f"{found}, expected one parameter for each of its {len(sources)} sources{tables}{hint}"
    return None
