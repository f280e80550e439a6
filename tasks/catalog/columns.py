"""What a source says of its files' columns: what they are called, and which of them a file must have.

The header of each file decides how it is read. Nothing is matched by its position, and polars is never asked to fill in
or to leave out what the user did not name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import polars as pl
import polars.selectors as cs

from state.errors import nearest
from state.words import enumerated

Names = tuple[str, ...]
_DOUBLE = re.compile(r"(.*)_duplicated_[0-9]+", re.DOTALL)
"""What polars calls the second and each further column of one name."""


class Misfit(NamedTuple):
    """How a file's header differs from what was declared. ``column`` is None where it is about no single one."""

    column: str | None
    found: str
    expected: str


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """How files of one header are read: the options of polars that depend on it, and what is selected of its columns.

    ``select`` is None where polars' own columns are as declared, ``names`` are those of the frame that comes of it, and
    ``made`` the names in use of the header's columns, where they may differ.
    """

    misfits: tuple[Misfit, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    select: tuple[pl.Expr, ...] | None = None
    names: Names = ()
    made: Names = ()


AS_DECLARED = Fit()
"""Files that polars reads with the declared options as they stand."""


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns as they are declared, by the names that ``rename`` gives.

    ``may_miss`` are those of the schema that a file need not have, ``ignores`` says that it may have others, and
    ``told_to_ignore`` that polars has to be told so. ``after`` are columns that polars adds behind the file's own.
    """

    rename: Mapping[str, str] = field(default_factory=dict)
    schema: Mapping[str, Any] | None = None
    overrides: Mapping[str, Any] | None = None
    null_values: Mapping[str, str] | None = None
    may_miss: frozenset[str] = frozenset()
    ignores: bool = False
    told_to_ignore: bool = True
    after: Names = ()

    @property
    def has_rules(self) -> bool:
        """Whether anything is said of columns, so that a file may fail by their names alone."""
        return self.schema is not None or bool(self.rename)

    def lost(self, names: Collection[str]) -> list[Misfit]:
        """Columns that an option names and a day's files lack: a slip of the pen, or the type would hold for none."""
        return [
            Misfit(
                name, f"no such column among {_shown(tuple(names))}", f"the name of one in {option}=" + _or(name, names)
            )
            for option, named in (("schema_overrides", self.overrides), ("null_values", self.null_values))
            for name in named or ()
            if name not in names
        ]

    def fit(self, header: Names) -> Fit:
        """How a file with this header is read; its columns are called as polars calls them."""
        return _fit(self, header)

    def _fit(self, header: Names) -> Fit:
        names = tuple(self.rename.get(name, name) for name in header)
        unclear = self._unclear(header, names)
        misfits = (*unclear.values(), *self._unexpected(names, unclear))
        if misfits:
            return Fit(misfits, names=names)
        if self.schema is None:
            return self._renamed(header, names)
        if set(names) == set(self.schema) and names == header:
            return AS_DECLARED
        old = dict(zip(names, header, strict=True))
        schema = {old[name]: dtype for name, dtype in self.schema.items() if name in old}
        select = (
            _column(old[name]).alias(name) if name in old else pl.lit(None, dtype=dtype).alias(name)
            for name, dtype in self.schema.items()
        )
        options = {"schema": schema, **self._in_its_names(old)}
        if self.told_to_ignore and len(names) > len(schema):
            options["extra_columns"] = "ignore"
        return Fit((), options, self._with_added(select), tuple(self.schema), names)

    def _renamed(self, header: Names, names: Names) -> Fit:
        if names == header:
            return Fit(names=names)
        options = self._in_its_names(dict(zip(names, header, strict=True)))
        select = (_column(old).alias(new) for old, new in zip(header, names, strict=True))
        return Fit((), options, self._with_added(select), names, names)

    def _in_its_names(self, old: Mapping[str, str]) -> dict[str, Any]:
        """The options that name columns, with the names that those have in a file, as far as it has them."""
        named = (("schema_overrides", self.overrides), ("null_values", self.null_values))
        return {
            option: {old[name]: said for name, said in of.items() if name in old}
            for option, of in named
            if of is not None
        }

    def _with_added(self, select: Any) -> tuple[pl.Expr, ...]:
        return (*select, *map(_column, self.after))

    def _unclear(self, header: Names, names: Names) -> dict[int, Misfit]:
        """Names that are empty, double, or made twice by renaming, unless nobody asked for that column; by position."""
        found = {}
        for at, (old, new) in enumerate(zip(header, names, strict=True)):
            double = _DOUBLE.fullmatch(old)
            if new in names[:at]:
                olds = dict.fromkeys(header[index] for index, name in enumerate(names) if name == new)
                both = f"{' and '.join(map(repr, olds))}, which are both {new!r}"
                twice = f"{old!r} twice, which is also what polars calls a name that comes again"
                found[at] = Misfit(new, both if len(olds) > 1 else twice, "one of them in a file")
            elif double and old == new and double[1] in header[:at] and not self._named(new):
                if not (self._ignored(new) and self._ignored(self.rename.get(double[1], double[1]))):
                    expected = f"a name of its own: rename={{{old!r}: …}}"
                    found[at] = Misfit(double[1], "the name twice in the header", expected)
            elif not new and not self._named(new) and not self._ignored(new):
                found[at] = Misfit(None, f"no name for column {at + 1} of {len(header)}", "a name: rename={'': …}")
        return found

    def _unexpected(self, names: Names, told: Collection[int]) -> list[Misfit]:
        """Columns of the schema that the file lacks, and others that it has."""
        if self.schema is None:
            return []
        if not set(names).intersection(self.schema):
            none = f"none of the declared columns among {_shown(names)}"
            return [Misfit(None, none, f"some of {_shown(tuple(self.schema))}{self._meant(names)}")]
        lost = [name for name in self.schema if name not in names and name not in self.may_miss]
        extra = [name for at, name in enumerate(names) if name not in self.schema and at not in told]
        found = []
        for name in lost:
            near = _near(name, extra)
            meant = f"; or rename={{{near!r}: {name!r}}}" if near else ""
            found.append(
                Misfit(
                    name,
                    f"no such column among {_shown(names)}",
                    f"that column, or missing_columns=[{name!r}] where it may be missing{meant}",
                )
            )
        for name in () if self.ignores else extra:
            expected = 'a type for it in schema=, or extra_columns="ignore" to leave it out'
            found.append(Misfit(name, "a column that schema= lacks", expected))
        return found

    def _meant(self, names: Names) -> str:
        """What would make them the declared ones: a loosened rule would not."""
        separators = [one for one in ";\t|," if one in names[0]] if len(names) == 1 else []
        if separators:
            return f"; is separator={separators[0]!r} meant?".replace("'", '"')
        pairs = {near: name for name in self.schema or () if (near := _near(name, names))}
        return f"; or rename={pairs}" if pairs else ""

    def _named(self, name: str) -> bool:
        return self.schema is not None and name in self.schema

    def _ignored(self, name: str) -> bool:
        return self.ignores and not self._named(name)


@lru_cache(maxsize=1024)
def _fit(columns: Columns, header: Names) -> Fit:
    return columns._fit(header)


def _near(name: str, names: Sequence[str]) -> str | None:
    return next((one for one in names if one.lower() == name.lower()), None) or nearest(name, names)


def _or(name: str, names: Collection[str]) -> str:
    near = _near(name, tuple(names))
    return f"; did you mean {near!r}?" if near else ""


def _shown(names: Names) -> str:
    return enumerated([repr(name) for name in names])


def _column(name: str) -> pl.Expr:
    """The column of this name, also where ``pl.col`` would take the name for a pattern."""
    is_pattern = name == "*" or (name.startswith("^") and name.endswith("$"))
    return cs.by_name(name) if is_pattern else pl.col(name)


def polars_names(header: Sequence[str], quote: str | None = '"') -> Names:
    """What polars calls the columns of a CSV header: each further one of a name ``…_duplicated_0`` and so on."""
    seen: dict[str, int] = {}
    names = []
    for name in header:
        raw = name.replace(quote, 2 * quote) if quote else name  # polars leaves doubled quotes as they stand
        names.append(f"{raw}_duplicated_{seen[raw] - 1}" if raw in seen else raw)
        seen[raw] = seen.get(raw, 0) + 1
    return tuple(names)


def wrong_names(columns: Columns) -> str | None:
    """What contradicts itself in the names of columns; None where nothing does."""
    made = set(columns.rename.values())
    for where, named in (
        ("schema=", columns.schema),
        ("schema_overrides=", columns.overrides),
        ("null_values=", columns.null_values),
    ):
        for name in named or ():
            if name in columns.rename and name not in made:
                return f"{where} names {name!r}, which rename= calls {columns.rename[name]!r}; expected the new name"
    if columns.schema is not None and not columns.ignores:
        for name in columns.rename.values():
            if name not in columns.schema:
                return f"rename= makes {name!r}, which schema= lacks{_meant(name, columns.schema)}"
    for name in columns.may_miss.difference(columns.schema or ()):
        return f"missing_columns= has {name!r}, which schema= lacks{_meant(name, columns.schema or ())}"
    return None


def _meant(name: str, known: Collection[str]) -> str:
    near = nearest(name, known)
    return f"; did you mean {near!r}?" if near else f"; it has {enumerated(tuple(known))}"
