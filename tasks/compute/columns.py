"""Says which columns a day's files lack, once for all aggregations that read them: one bad header is one finding."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import polars as pl
from polars.exceptions import ColumnNotFoundError

from state.errors import nearest
from state.words import enumerated
from tasks.catalog.declare import Aggregation
from tasks.catalog.source import Source
from tasks.reading.day_input import DayInput
from tasks.strict.csv_check import other_separator
from tasks.strict.finding import printable
from tasks.user_code import Raised, guarded_call

_LACKS = re.compile(r'unable to find column "(.+?)"; valid columns: \[(.*)\]')
"""What polars says; the columns are those of the frame on which it failed."""


class LackedColumns:
    """The columns that aggregations of one day did not find in the files of their sources.

    A column that an aggregation lost by itself, after it had read its frame, is not among them.
    """

    def __init__(self, inputs: Mapping[Source, DayInput], frames: Mapping[Source, pl.LazyFrame]) -> None:
        self._inputs = inputs
        self._frames = frames
        self._names: dict[Source, Sequence[str]] = {}
        self._lacked: dict[Source, dict[str, list[str]]] = {}

    def note(self, aggregation: Aggregation, error: object) -> Source | None:
        """Note what an aggregation did not find. Returns the source that lacks it, or None for any other error."""
        if not (isinstance(error, ColumnNotFoundError) and (found := _LACKS.match(str(error)))):
            return None
        for source in aggregation.sources.values():
            if found[2] == ", ".join(f'"{name}"' for name in self._columns(source)):
                places = self._lacked.setdefault(source, {}).setdefault(found[1], [])
                places.append(aggregation.place_of(error))
                return source
        return None

    def told(self, source: Source) -> str:
        """What the files of a source lack, who reads it, and what they have."""
        one, columns = self._inputs[source], self._columns(source)
        paths = [file.path for file in one.files.files]
        files = paths[0] if len(paths) == 1 else source.pattern(one.day)
        is_text = "\N{REPLACEMENT CHARACTER}" not in "".join(columns)
        has = f"its columns are {enumerated([printable(name) for name in columns])}"
        has = has + self._hint(source, columns) if is_text else "what stands for its header is not text"
        return f"{files} {self._no_column(source)}; {has}"

    def summary(self, source: Source) -> str:
        """What they lack without what is the day's own."""
        return f"{source} {self._no_column(source)}"

    def _no_column(self, source: Source) -> str:
        lacked = []
        for name, places in sorted(self._lacked[source].items()):
            near = nearest(name, self._columns(source))
            suggestion = f", did you mean {near!r}?" if near else ""
            lacked.append(f"{name!r} ({', '.join(dict.fromkeys(places))}{suggestion})")
        return f"has no column {', '.join(lacked)}"

    def _hint(self, source: Source, columns: Sequence[str]) -> str:
        if source.format.text != "csv":
            return ""
        return other_separator(columns, str(source.options.get("separator", ",")))

    def _columns(self, source: Source) -> Sequence[str]:
        if source not in self._names:
            names = guarded_call(lambda: self._frames[source].collect_schema().names())
            self._names[source] = () if isinstance(names, Raised) else names
        return self._names[source]
