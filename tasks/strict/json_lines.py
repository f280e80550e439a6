"""Checks the structure of NDJSON: every line is one object, no key comes twice in it, and a schema knows each key."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tasks.strict.csv_rows import unsound
from tasks.strict.dialect import BOM, other_unicode
from tasks.strict.finding import Checked, Findings, shown
from tasks.strict.json_keys import DeclaredKeys
from tasks.strict.pieces import LONG_ROW, RowTooLong, pieces
from tasks.strict.whole_text import is_utf8

if TYPE_CHECKING:
    import pyarrow as pa

_DEEP = 250
"""How deep a line may be nested: the parsers of pyarrow and polars have no limit but the stack, and die of it."""
_TOO_DEEP = "values nested too deeply"
Object = list[tuple[str, Any]]
"""A JSON object with its keys in their order, those that come twice too."""


def check_json_lines(content: bytes | Path, options: Mapping[str, Any]) -> Checked:
    """Check an NDJSON file by the options of ``polars.scan_ndjson``. Raises OSError where it cannot be read."""
    check = LinesCheck(options, "one JSON object on each line")
    line = 1
    try:
        for piece in pieces(content, b"\n", None, lambda text: _begin(text, check.findings)):
            if not check.is_sound(piece):
                for number, one in enumerate(piece.split(b"\n"), line):
                    if one and not one.isspace():
                        check.object(number, one)
            line += piece.count(b"\n")
    except RowTooLong:
        check.findings.add(None, None, *LONG_ROW)
    return check.checked()


def _begin(text: bytes, findings: Findings) -> int | None:
    """Note a beginning that polars does not read as JSON."""
    if wide := other_unicode(text):
        findings.add(None, None, *wide)
    elif text.startswith(BOM):
        findings.add(None, None, "a byte order mark", 'JSON without one, or encoding="utf-8-sig"')
    return None if findings else 0


class LinesCheck:
    """What is known of objects, one a line, while they come; ``expected`` is what a file of them has to be."""

    def __init__(self, options: Mapping[str, Any], expected: str) -> None:
        self.findings = Findings()
        self._keys: dict[str, None] | None = None
        self._expected = expected
        self._has_schema = options.get("schema") is not None
        self._declared = DeclaredKeys.of(options)

    def checked(self) -> Checked:
        """What came of it. The keys are those of all objects, in their order; None where there is no object."""
        if self._keys is None and not self.findings and not self._has_schema:
            self.findings.add(None, None, "no object", "an object, or schema= for files that may be empty")
        return Checked(None if self._keys is None else tuple(self._keys), self.findings.all())

    def is_sound(self, text: bytes) -> bool:
        """Whether all lines surely are as they should be; if not, a closer look has to be taken at each."""
        found = _schema(text)
        if found is None or (self._declared is not None and not self._declared.include(found)):
            return False
        self._know(found.names)
        return True

    def object(self, number: int, line: bytes) -> None:
        """Take a closer look at one of them, which stands in this line of the file."""
        text = shown(line)
        fault = unsound(line)
        if fault:
            self.findings.add(number, None, *fault, text)
            return
        try:
            value, twice = parsed(line.decode())
        except (ValueError, RecursionError) as error:
            self.findings.add(number, None, _told(error, line), self._expected, text)
            return
        if _is_nested_deeply(value):
            self.findings.add(number, None, _TOO_DEEP, self._expected, text)
            return
        if not isinstance(value, dict):
            self.findings.add(number, None, _kind(value), self._expected, text)
            return
        self._know(value)
        for key in dict.fromkeys(twice):
            self.findings.add(number, key, "the key twice in one object", "each key once", text)
        if _ESCAPED_SURROGATE.search(line):
            for key in (key for key, one in value.items() if _has_half_pair([key, one])):
                self.findings.add(number, key, *_HALF_PAIR, text)
        if self._declared is not None:
            for key in dict.fromkeys(self._declared.unknown(value)):
                expected = 'keys of schema=, or extra_columns="ignore"'
                self.findings.add(number, key, "a key that schema= lacks", expected, text)
            for key, one in dict(self._declared.no_text(value)).items():
                self.findings.add(number, key, f"{_kind(one)} where text is declared", _NO_TEXT, text)

    def _know(self, keys: Iterable[str]) -> None:
        self._keys = {**(self._keys or {}), **dict.fromkeys(keys)}


def parsed(text: str) -> tuple[Any, list[str]]:
    """A JSON value, and the keys that come twice in one of its objects. Raises ValueError, RecursionError."""
    twice: list[str] = []

    def pairs(found: Object) -> dict[str, Any]:
        made = dict(found)
        if len(made) < len(found):
            names = [key for key, _ in found]
            twice.extend(key for key in made if names.count(key) > 1)
        return made

    return json.loads(text, object_pairs_hook=pairs, parse_constant=_refuse, parse_float=_finite), twice


_KINDS: Mapping[type, str] = {
    list: "a list",
    dict: "an object",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "true or false",
}
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SURROGATE = re.compile("[\ud800-\udfff]")
_HALF_PAIR = ("half of a pair of surrogates", "both, such as \\ud83d\\ude00")
_NO_TEXT = "text in quotes, or another type than pl.String: polars would write it in its own way"


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "null")


def _is_nested_deeply(value: object) -> bool:
    level = [value]
    for _ in range(_DEEP):
        level = [one for outer in level for one in _parts(outer)]
        if not level:
            return False
    return True


def _parts(value: object) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _has_half_pair(value: object) -> bool:
    if isinstance(value, str):
        return _SURROGATE.search(value) is not None
    keys = value if isinstance(value, dict) else ()
    return any(map(_has_half_pair, (*keys, *_parts(value))))


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{shown(text)[1:-1]}, which is beyond all numbers of 64 bits")
    return number


def _told(error: ValueError | RecursionError, line: bytes) -> str:
    if isinstance(error, RecursionError):
        return _TOO_DEEP
    if not isinstance(error, json.JSONDecodeError):
        return str(error)
    if error.msg == "Extra data":
        return "more text after the value"
    if error.pos >= len(line.decode().rstrip()):
        return "a line that breaks off"
    return "no valid JSON"


def _schema(text: bytes) -> pa.Schema | None:
    """The keys of all objects where every line surely is a sound object; None: a closer look has to be taken."""
    if b"\0" in text or not (text.startswith(b"{") and is_utf8(text)):
        return None
    lines = text.count(b"\n") + (not text.endswith(b"\n"))
    if text.count(b"{") + text.count(b"[") > lines + _DEEP and _is_deep(text):
        return None
    boundaries = text.count(b"}\n{") + (text.count(b"}\r\n{") if b"\r" in text else 0)
    if boundaries != lines - 1 or not text.endswith((b"}", b"}\n", b"}\r\n")):
        return None
    import pyarrow as pa
    import pyarrow.json as pj

    try:
        table = pj.read_json(pa.BufferReader(text), read_options=_read_options(len(text)))
    except pa.ArrowException:  # a key that is text here and a number there, too: polars has its own word on that
        return None
    if "double" in str(table.schema) and any(one in text and word in text for one, word in _NO_NUMBERS):
        return None
    return table.schema if table.num_rows == lines else None


def _read_options(size: int) -> Any:
    import pyarrow.json as pj

    return pj.ReadOptions(use_threads=False, block_size=size + 1)


def _is_deep(text: bytes) -> bool:
    """Whether some line may be nested deeply. Brackets in strings count too: that costs a closer look."""
    marks = text.translate(None, _NO_BRACKETS)
    return max(map(len, marks.split(b"\n"))) > _DEEP and any(
        line.count(b"{") + line.count(b"[") > _DEEP for line in _flattened(marks).split(b"\n")
    )


def _flattened(marks: bytes) -> bytes:
    for _ in range(8):
        marks = marks.replace(b"{}", b"").replace(b"[]", b"")
    return marks


_NO_NUMBERS = ((b"N", b"NaN"), (b"I", b"Inf"))
"""What pyarrow takes for numbers, which it is not in JSON. Their first letters alone are found in no time."""
_NO_BRACKETS = bytes(set(range(256)) - set(b"{}[]\n"))
