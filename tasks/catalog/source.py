"""What a user writes of raw files: a source of daily ones, and a reference that serves every day."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import polars as pl

from state.days import around, typed
from state.errors import DeclarationError
from tasks.catalog.columns import AS_DECLARED, Fit
from tasks.catalog.events import Contradiction, Events
from tasks.catalog.options import declared_options
from tasks.catalog.place import place_of, returned
from tasks.catalog.readiness import Readiness
from tasks.catalog.references import wrong_option
from tasks.catalog.signature import keyword_only, wanted
from tasks.formats.formats import File
from tasks.formats.local_files import kept_with
from tasks.templates.template import Template
from tasks.templates.undated import UndatedTemplate

Reader = Callable[..., pl.LazyFrame | pl.DataFrame]
Prepare = Callable[..., bytes]
Duplicates = Literal["error", "first", "allow"]
"""What becomes of a day that has a file twice: it fails, the first is read, or both are."""


class Source:
    """Raw files by day.

    ``template`` is a path below the input root, or an absolute one, with ``{day}`` (``%Y-%m-%d``), ``{day:%Y%m%d}`` or
    ``{day:int}`` in it, and ``*``, ``?``, ``**`` as in a shell, but no placeholder between two of ``*`` or ``**``; all
    files that match make up the day. The suffix tells the format.

    - ``name``: what commit records call the source; by default the name of the aggregation's parameter.
    - ``prepare``: a function from the bytes of one unpacked file to bytes, called before anything else looks at them.
      It gets the file's path below the input root and the day where it declares a keyword-only ``name`` or ``day``.
    - ``encoding``: any encoding of text that Python knows; polars' ``"utf8"`` and ``"utf8-lossy"`` keep their meaning.
    - ``rename``: names in the file to the names in use, which all other arguments have. A file may lack an old name.
    - ``schema``: name to type of the columns in use. A file that lacks one fails its day, and so does one that has
      another; ``schema_overrides`` has the types of some columns, and nothing is said of the others.
    - ``extra_columns="ignore"``: columns that ``schema`` does not have are left out.
    - ``missing_columns``: the names of the schema that a file may lack, or ``"insert"`` for all. Nulls replace them.
    - ``read``: a function from the list of the day's paths to a LazyFrame or a DataFrame, for what is no table. It gets
      all other options that are given, and a keyword-only ``day``. What it reads beside these paths is no input: when
      that changes, results go stale unnoticed.
    - ``marker``: a file in the day's folder; ``settle``: for how long no file was touched (``90s``, ``15m``, ``2h``,
      ``1d``). Until then the day waits.
    - ``duplicates``: a day that has a file twice (equal bytes under one name, or a link) fails, since its rows would
      count twice. With ``"first"`` the first by its path is read, with ``"allow"`` all are.
    - ``event_time``: a column's name or an expression that says when each row's event happened. A day then takes the
      rows whose event is of it, from the files of ``reach=(before, after)`` days around it; each event lands in just
      one day. The last days wait until a file that lies so far after them is there. Every day within reach of a file is
      a day: one without a file has the events that its neighbours hold, and no row where they hold none.
    - ``time_zone``: an IANA name, where days begin; without it the day of a time is the one that is written.
      ``naive_time_zone``: where times that carry no zone are written.
    - ``outside``: a row of a day that its file cannot reach, or without a time, fails every day that reads the file.
      With ``"drop"`` the former is left out, and counted. ``no_event``: a condition for rows of which nothing is asked.
    - All other options go to polars' scan function for the format. ``include_file_paths`` shows the input root joined
      with the path of each file below it.

    A day is passed to functions as a ``datetime.date``, or as an ``int`` where days are numbers.

    Raises DeclarationError for what is ambiguous or unknown.
    """

    def __init__(
        self,
        template: str,
        *,
        name: str | None = None,
        prepare: Prepare | None = None,
        encoding: str | None = None,
        rename: Mapping[str, str] | None = None,
        schema: object = None,
        schema_overrides: object = None,
        extra_columns: str | None = None,
        missing_columns: str | Collection[str] | None = None,
        read: Reader | None = None,
        marker: str | None = None,
        settle: str | None = None,
        duplicates: Duplicates = "error",
        event_time: pl.Expr | str | None = None,
        time_zone: str | None = None,
        naive_time_zone: str | None = None,
        reach: tuple[int, int] | None = None,
        outside: Literal["fail", "drop"] = "fail",
        no_event: pl.Expr | str | None = None,
        **options: object,
    ) -> None:
        given = {
            "encoding": encoding,
            "rename": rename,
            "schema": schema,
            "schema_overrides": schema_overrides,
            "extra_columns": extra_columns,
            "missing_columns": missing_columns,
        }
        self.template = self._parsed(template)
        self.readiness = Readiness.declared(self.template, marker, settle)
        self.duplicates = self._checked_duplicates(duplicates)
        self.name = name
        self.prepare = prepare
        self.read = read
        declared = declared_options(
            self.template.suffix, read, prepare, options | {key: one for key, one in given.items() if one is not None}
        )
        if isinstance(declared, str):
            raise DeclarationError(f"{self}: {declared}")
        self.format = declared.format
        self.options = declared.options
        self.columns = declared.columns
        self.codec = declared.codec
        self._scan = declared.scan
        self.events = self._declared_events(
            event_time=event_time,
            time_zone=time_zone,
            naive_time_zone=naive_time_zone,
            reach=reach,
            outside=outside,
            no_event=no_event,
        )

    def _declared_events(self, **given: object) -> Events | None:
        try:
            events = Events.declared(**given)
        except Contradiction as wrong:
            raise DeclarationError(f"{self}: {wrong}") from None
        if events and self.template.kind == "int":
            raise DeclarationError(f"{self}: event_time= says a date, and its days are numbers; expected {{day}}")
        return events

    def _checked_duplicates(self, duplicates: Duplicates) -> Duplicates:
        if duplicates not in get_args(Duplicates):
            known = ", ".join(map(repr, get_args(Duplicates)))
            raise DeclarationError(f"{self}: duplicates={duplicates!r}; expected one of {known}")
        return duplicates

    @staticmethod
    def _parsed(template: str) -> Template:
        return Template.parse(template)

    @property
    def key(self) -> str:
        """What plans and reports call it. Sources of one key have the same files, ready at the same time."""
        said = [str(self.readiness)] if self.readiness else []
        said += [f"reach={self.reach}"] if any(self.reach) else []
        return f"{self.template.text} ({', '.join(said)})" if said else self.template.text

    @property
    def reach(self) -> tuple[int, int]:
        """How many days' files before and after a day's own are read for it."""
        return (self.events.before, self.events.after) if self.events else (0, 0)

    def file_days(self, day: str) -> list[str]:
        """The days whose files are read for a day, in their order."""
        return around(day, *self.reach) if any(self.reach) else [day]

    def event_days(self, day: str) -> list[str]:
        """The days that read the files of a day, in their order."""
        before, after = self.reach
        return around(day, after, before)

    def pattern(self, day: str) -> str:
        """Which files are read for a day, as a person reads it."""
        if not any(self.reach):
            return self.template.pattern(day)
        files = [self.template.pattern(one) for one in self.file_days(day) if self.template.covers(one)]
        return files[0] if len(files) == 1 else f"{files[0]} to {files[-1]}"

    def name_of(self, path: str) -> str:
        """What counts of a file's path as a part of its contents.

        Its own name; where it lies, as far as the aggregation can see that; its day, where other days read it too.
        """
        name = self.template.placed_name(path) if self.shows_paths else path.rpartition("/")[2]
        return f"{self.template.day_in(path)}/{name}" if any(self.reach) else name

    @property
    def digest_key(self) -> str:
        """The key of its files' digests. Sources that share it list the same files and name them alike."""
        return f"{self.key}\nwith paths" if self.shows_paths else self.key

    @property
    def shows_file_paths(self) -> bool:
        """Whether ``include_file_paths=`` makes a column of them."""
        return self.read is None and self.options.get("include_file_paths") is not None

    @cached_property
    def shows_paths(self) -> bool:
        """Whether the aggregation can see where a file lies: by ``read=``, ``include_file_paths=`` or ``prepare=``."""
        named = self.prepare is not None and "name" in keyword_only(self.prepare)
        return self.read is not None or self.shows_file_paths or named

    @property
    def rewrites(self) -> bool:
        """Whether polars reads other bytes than those of the files: what ``prepare=`` made, or decoded text."""
        return self.prepare is not None or self.codec is not None

    def scan(self, files: list[File], fit: Fit = AS_DECLARED) -> pl.LazyFrame:
        """The rows of a day's files, all of which have a header that ``fit`` is for. A format may get bytes."""
        frame = self.format.read(files, {**self._scan, **fit.options})
        return frame if fit.select is None else kept_with(frame.select(fit.select), frame)

    def read_files(self, paths: list[Path], day: str) -> pl.LazyFrame | pl.DataFrame:
        """What ``read=`` makes of a day's files. Raises whatever it raises, and TypeError for what is no frame."""
        assert self.read is not None
        frame: object = self.read(paths, **self.options, **wanted(self.read, day=lambda: typed(day)))
        if not isinstance(frame, pl.LazyFrame | pl.DataFrame):
            raise TypeError(f"read= of {self}: {returned(frame, 'a polars LazyFrame or DataFrame')}")
        return frame

    def __str__(self) -> str:
        return f"source {self.template.text!r}"

    __repr__ = __str__


class Reference(Source):
    """A file that serves every day, such as a table of airlines: for the ``references=`` of an aggregation.

    ``path`` is below the input root, or absolute, and has no ``{day}``. It may hold ``*``, ``?`` and ``**``: all files
    that match are one table. It takes the options of a Source, but for those that are about days.

    Raises DeclarationError for what is ambiguous or unknown.
    """

    def __init__(self, path: str | os.PathLike[str], **options: Any) -> None:
        if wrong := wrong_option(options):
            raise DeclarationError(f"reference {os.fspath(path)!r}: {wrong}")
        super().__init__(os.fspath(path), **options)
        for name in ("read", "prepare"):
            if (function := getattr(self, name)) and "day" in keyword_only(function):
                raise DeclarationError(f"{self}: {name}= ({place_of(function)}) takes a day, and a reference has none")

    @staticmethod
    def _parsed(template: str) -> Template:
        return UndatedTemplate.parse(template)

    def __str__(self) -> str:
        return f"reference {self.template.text!r}"

    __repr__ = __str__
