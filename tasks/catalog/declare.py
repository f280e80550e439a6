"""What a user writes: sources and aggregations. This is the whole of Noonmark that an aggregation's module imports."""

from __future__ import annotations

import inspect
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from state.errors import DeclarationError
from state.partition import is_aggregation_name
from tasks.catalog.dialects import wrong_dialect
from tasks.catalog.dtypes import wrong_dtypes
from tasks.catalog.fingerprint import fingerprint
from tasks.catalog.formats import FORMATS, File, Format
from tasks.catalog.template import Template

Reader = Callable[[list[Path]], pl.LazyFrame]
Function = TypeVar("Function", bound=Callable[..., pl.LazyFrame])
_MARK = "__noonmark__"


class Source:
    """Raw files by day.

    ``template`` is a path below the input root, or an absolute one, with ``{day}`` (``%Y-%m-%d``), ``{day:%Y%m%d}`` or
    ``{day:int}`` in it, and ``*``, ``?``, ``**`` as in a shell, but no placeholder between two of ``*`` or ``**``; all
    files that match make up the day. The suffix tells the format; ``schema``, ``schema_overrides`` and all other
    options go to polars' scan function for it, and ``include_file_paths`` shows the input root joined with the path of
    each file below it. ``read`` takes the day's files and returns their LazyFrame, for files that no option can
    describe. ``name`` is what commit records call the source; by default it is the name of the aggregation's parameter.

    Raises DeclarationError for what is ambiguous or unknown.
    """

    def __init__(
        self,
        template: str,
        *,
        name: str | None = None,
        read: Reader | None = None,
        schema: object = None,
        schema_overrides: object = None,
        **options: object,
    ) -> None:
        given = {"schema": schema, "schema_overrides": schema_overrides}
        self.template = Template.parse(template)
        self.name = name
        self.read = read
        self.options = options | {key: value for key, value in given.items() if value is not None}
        self.format = self._checked_format()

    def _checked_format(self) -> Format:
        if self.read is not None:
            if self.options:
                raise DeclarationError(f"{self} has read= and the option {min(self.options)!r}: read= takes no options")
            return Format(self.read, {}, unpack=None)
        form = FORMATS.get(self.template.suffix)
        if form is None:
            raise DeclarationError(
                f"{self} ends in {self.template.suffix or 'no fixed suffix'!r}; expected one of {', '.join(FORMATS)}, "
                "or read=, a function from a list of files to a LazyFrame"
            )
        wrong = form.unknown_option(self.options) or wrong_dtypes(self.options)
        if wrong := wrong or (wrong_dialect(self.options) if form.text == "csv" else None):
            raise DeclarationError(f"{self}: {wrong}")
        return form

    @property
    def key(self) -> str:
        """What plans and reports call it. Sources of one key have the same files."""
        return self.template.text

    @property
    def digest_key(self) -> str:
        """The key of its files' digests. Sources that share it list the same files and name them alike."""
        return f"{self.key}\nwith paths" if self.shows_paths else self.key

    @property
    def shows_paths(self) -> bool:
        """Whether the aggregation can see where a file lies: through ``read=``, or through ``include_file_paths=``."""
        return self.read is not None or self.options.get("include_file_paths") is not None

    def scan(self, files: list[File]) -> pl.LazyFrame:
        """The rows of a day's files. ``read=`` gets paths, a format may get bytes."""
        frame: object = self.format.read(files, self.options)
        if not isinstance(frame, pl.LazyFrame):
            raise TypeError(f"{self}: read= returned {type(frame).__name__}, expected a polars LazyFrame")
        return frame

    def __str__(self) -> str:
        return f"source {self.template.text!r}"

    __repr__ = __str__


@dataclass(frozen=True)
class Aggregation:
    """A declared aggregation: ``sources`` maps the name of each source in the commit record to the source."""

    name: str
    function: Callable[..., pl.LazyFrame]
    version: int
    sources: Mapping[str, Source] = field(compare=False)

    @cached_property
    def code(self) -> str:
        """The fingerprint of what the function says; a warning is all that hangs on it."""
        return fingerprint(self.function)

    @property
    def place(self) -> str:
        """Where it is declared, for messages."""
        return _place(self.function)

    def place_of(self, error: BaseException) -> str:
        """The line of the aggregation's own file that an error came from; where none is, the declaration's."""
        file = inspect.unwrap(self.function).__code__.co_filename
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
        return f"{Path(file).name}:{lines[-1]}" if lines else self.place


def aggregation(*sources: Source, version: int = 1) -> Callable[[Function], Function]:
    """Declare a function from one day's LazyFrames, one for each source in order, to a LazyFrame.

    Its days are those that every source has. Its name is the output's name. ``version`` is the user's word that results
    changed meaning: raising it recomputes every day. The function itself is returned unchanged.

    Raises DeclarationError for a missing docstring, a name that is no plain identifier or begins with ``_``, a version
    below 1, sources that number their days differently, parameters that do not fit the sources, or ``@aggregation``
    without its parentheses.
    """
    for bare in filter(inspect.isfunction, sources):
        raise DeclarationError(
            f"aggregation {bare.__name__} ({_place(bare)}): found @aggregation alone; expected @aggregation(source, …) "
            "with at least one Source"
        )

    def declare(function: Function) -> Function:
        if earlier := _earlier(function):
            raise DeclarationError(
                f"two aggregations are called {function.__name__} ({earlier.place} and {_place(function)}), and the "
                "second would replace the first; expected different names"
            )
        if wrong := _wrong(function, sources, version):
            raise DeclarationError(f"aggregation {function.__name__} ({_place(function)}): {wrong}")
        pairs = zip(sources, _positional(function), strict=True)
        named = {source.name or parameter: source for source, parameter in pairs}
        if len(named) < len(sources):
            raise DeclarationError(f"aggregation {function.__name__} ({_place(function)}): two sources have one name")
        setattr(function, _MARK, Aggregation(function.__name__, function, version, named))
        return function

    return declare


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


def _wrong(function: Callable[..., Any], sources: tuple[Source, ...], version: object) -> str | None:
    name = function.__name__
    parameters = _positional(function)
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
    if len({source.template.kind for source in sources}) > 1:
        return f"{sources[0]} and another source number their days differently: dates with integers share no day"
    if len(parameters) != len(sources):
        found = f"it takes {len(parameters)} frames ({', '.join(parameters)})"
        return f"{found}, expected one parameter for each of its {len(sources)} sources"
    return None


def _positional(function: Callable[..., Any]) -> list[str]:
    several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return [one.name for one in parameters if one.kind not in several and one.default is inspect.Parameter.empty]


def _place(function: Callable[..., Any]) -> str:
    code = inspect.unwrap(function).__code__
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}"
