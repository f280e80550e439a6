"""Every kind of dirt that was seen in raw files: what it does to a sound file, and what a message must name of it.

A kind is a function from a sound file to a ``Dirty`` one. Nothing here knows how the files are read.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

Record = tuple[str, ...]


@dataclass(frozen=True)
class Dirty:
    """A file with dirt in it. ``line`` counts from 1, ``column`` is a name of the header, ``value`` stands there.

    What a kind has not is None: a message need not name it.
    """

    content: bytes
    line: int | None = None
    column: str | None = None
    value: str | None = None


@dataclass(frozen=True)
class Table:
    """A CSV file before it is written: records of text, the header first."""

    records: tuple[Record, ...]
    separator: str = ","
    newline: str = "\n"
    start: str = ""
    encoding: str = "utf-8"

    @property
    def content(self) -> bytes:
        """The file; ``start`` is a byte order mark, or nothing."""
        return self.text.encode(self.encoding)

    @property
    def text(self) -> str:
        """The file before it is encoded."""
        return self.start + "".join(map(self.written, self.records))

    def written(self, record: Record) -> str:
        """One record with its line end, quoted where it must be."""
        text = io.StringIO()
        csv.writer(text, delimiter=self.separator, lineterminator=self.newline).writerow(record)
        return text.getvalue()

    def line(self, at: int) -> int:
        """The line of the file on which a record begins."""
        return 1 + sum(self.written(record).count("\n") for record in self.records[:at])

    def plain(self, chance: random.Random) -> int:
        """A record, not the header, in which nothing is quoted."""
        return chance.choice([at for at, record in enumerate(self.records) if at and '"' not in self.written(record)])

    def with_bytes(self, at: int, line: bytes, skip: int = 1) -> bytes:
        """The file with other bytes in the place of ``skip`` records."""
        head, tail = (replace(self, records=some) for some in (self.records[:at], self.records[at + skip :]))
        return head.content + line + replace(tail, start="").content

    def with_record(self, at: int, *records: Record) -> Table:
        """The same table with others in the place of one record."""
        return replace(self, records=(*self.records[:at], *records, *self.records[at + 1 :]))


TableDirt = Callable[[Table, random.Random], Dirty]


def field_more(table: Table, chance: random.Random) -> Dirty:
    """A record has a field more, in second place."""
    at = table.plain(chance)
    first, *others = table.records[at]
    dirty = table.with_record(at, (first, "7", *others))
    return Dirty(dirty.content, table.line(at), value=f"{len(others) + 2} fields")


def field_less(table: Table, chance: random.Random) -> Dirty:
    """A record lacks its last field."""
    at = table.plain(chance)
    fewer = table.records[at][:-1]
    return Dirty(table.with_record(at, fewer).content, table.line(at), value=f"{len(fewer)} field")


def cut_in_line(table: Table, _: random.Random) -> Dirty:
    """The file ends in mid-line, within the first field."""
    return Dirty(table.content + b"cut", table.line(len(table.records)))


def cut_in_quote(table: Table, _: random.Random) -> Dirty:
    """The file ends within a quoted field."""
    last = len(table.records)
    return Dirty(table.content + b'"cut', table.line(last))


def nul_tail(table: Table, _: random.Random) -> Dirty:
    """A crash left zeros at the end of the file."""
    return Dirty(table.content + bytes(512), table.line(len(table.records)))


def blank_line(table: Table, chance: random.Random) -> Dirty:
    """An empty line between two records."""
    at = table.plain(chance)
    return Dirty(table.with_bytes(at, table.newline.encode(), skip=0), table.line(at))


def carriage_returns(table: Table, _: random.Random) -> Dirty:
    """Lines end as they did on a Macintosh of 1995."""
    return Dirty(replace(table, newline="\r").content, 1)


def header_again(table: Table, chance: random.Random) -> Dirty:
    """Two files were put one after the other."""
    at = table.plain(chance)
    again = table.with_record(at, table.records[0], table.records[at])
    return Dirty(again.content, table.line(at))


def other_separator(table: Table, _: random.Random) -> Dirty:
    """The file was saved by a spreadsheet of another country."""
    return Dirty(replace(table, separator=";" if table.separator != ";" else "\t").content)


def utf_16(table: Table, _: random.Random) -> Dirty:
    """The file was saved as "Unicode"."""
    return Dirty(table.text.lstrip("\ufeff").encode("utf-16"))


def stray_quote(table: Table, chance: random.Random) -> Dirty:
    """A quote in the middle of a field, which moves the ends of later lines for who counts quotes."""
    at = table.plain(chance)
    first, *others = table.records[at]
    line = table.separator.join([f'{first}5"x', *others]) + table.newline
    return Dirty(table.with_bytes(at, line.encode(table.encoding)), table.line(at))


def not_utf_8(table: Table, chance: random.Random) -> Dirty:
    """A name was written in the code page of Windows."""
    at = table.plain(chance)
    line = table.written(("Köln", *table.records[at][1:])).encode("cp1252")
    return Dirty(table.with_bytes(at, line), table.line(at))


def no_character(table: Table, chance: random.Random) -> Dirty:
    """A byte that is no character, in UTF-8 or in cp1252."""
    at = table.plain(chance)
    return Dirty(
        table.with_bytes(at, b"\x81" + table.written(table.records[at]).encode(table.encoding)), table.line(at)
    )


def bad_value(table: Table, chance: random.Random) -> Dirty:
    """The last field, a number by declaration, is a word."""
    at = table.plain(chance)
    bad = table.with_record(at, (*table.records[at][:-1], "many"))
    return Dirty(bad.content, table.line(at), table.records[0][-1], "many")


def column_lost(table: Table, _: random.Random) -> Dirty:
    """The last column is not there."""
    fewer = replace(table, records=tuple(record[:-1] for record in table.records))
    return Dirty(fewer.content, column=table.records[0][-1])


def no_byte(*_: object) -> Dirty:
    """The file was created and never written."""
    return Dirty(b"")


TABLES: Mapping[str, TableDirt] = {
    "a field more in second place": field_more,
    "a row too short": field_less,
    "cut in mid-line": cut_in_line,
    "cut in mid-quote": cut_in_quote,
    "a NUL tail": nul_tail,
    "a blank line": blank_line,
    "CR alone as line end": carriage_returns,
    "the header again": header_again,
    "another separator": other_separator,
    "UTF-16": utf_16,
    "a stray quote": stray_quote,
    "a byte of cp1252": not_utf_8,
    "a byte of no character": no_character,
    "a bad value": bad_value,
    "a lost column": column_lost,
    "0 bytes": no_byte,
}
"""The dirt of CSV files."""


@dataclass(frozen=True)
class Objects:
    """A file of JSON objects before it is written: one a line, or one array of all."""

    objects: tuple[Mapping[str, Any], ...]
    lines: bool

    @property
    def content(self) -> bytes:
        """The file."""
        return self._written(list(map(_json, self.objects)))

    def with_text(self, at: int, text: str) -> bytes:
        """The file with another text in the place of one object."""
        texts = list(map(_json, self.objects))
        return self._written([*texts[:at], text, *texts[at + 1 :]])

    def _written(self, texts: list[str]) -> bytes:
        text = "".join(f"{one}\n" for one in texts) if self.lines else "[" + ",\n".join(texts) + "]\n"
        return text.encode()


ObjectsDirt = Callable[[Objects, random.Random], Dirty]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def no_object(file: Objects, chance: random.Random) -> Dirty:
    """One of the objects is a number."""
    at = chance.randrange(len(file.objects))
    return Dirty(file.with_text(at, "17"), at + 1 if file.lines else None, value="17")


def object_cut(file: Objects, _: random.Random) -> Dirty:
    """The file ends within its last object."""
    content = file.content
    return Dirty(content[: len(content) - 9], len(file.objects) if file.lines else None)


def bad_number(file: Objects, chance: random.Random) -> Dirty:
    """The last value of an object, a number by declaration, is a word."""
    at = chance.randrange(len(file.objects))
    column = list(file.objects[at])[-1]
    text = _json({**file.objects[at], column: "many"})
    return Dirty(file.with_text(at, text), at + 1 if file.lines else None, column, "many")


def unknown_key(file: Objects, chance: random.Random) -> Dirty:
    """An object has a key that the declaration lacks."""
    at = chance.randrange(len(file.objects))
    return Dirty(file.with_text(at, _json({**file.objects[at], "surplus": 1})), column="surplus")


def no_day(file: Objects, chance: random.Random) -> Dirty:
    """The clock of who wrote an object was reset."""
    at = chance.randrange(len(file.objects))
    when = "1970-01-01T00:00:00+00:00"
    text = _json({**file.objects[at], "time": when})
    return Dirty(file.with_text(at, text), value="1970-01-01")


OBJECTS: Mapping[str, ObjectsDirt] = {
    "a line that is no object": no_object,
    "cut in an object": object_cut,
    "a bad value": bad_number,
    "an unknown key": unknown_key,
    "a time of no day": no_day,
    "0 bytes": no_byte,
}
"""The dirt of NDJSON and JSON files."""
