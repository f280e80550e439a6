"""Checks the structure of NDJSON: every line is one object, no key comes twice in it, and a schema knows each key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from tasks.strict.csv_rows import NO_UTF8, NUL
from tasks.strict.dialect import BOM, other_unicode
from tasks.strict.finding import Checked, Findings, shown
from tasks.strict.json_keys import KnownKeys
from tasks.strict.pieces import LONG_ROW, RowTooLong, pieces
from tasks.strict.whole_text import is_utf8

if TYPE_CHECKING:
    import pyarrow as pa

_DEEP = 500
"""How deep a line may be nested before pyarrow is not asked about it: its parser has no limit but the stack."""
Object = list[tuple[str, Any]]
"""A JSON object with its keys in their order, those that come twice too."""


def check_json_lines(content: bytes | Path, options: Mapping[str, Any]) -> Checked:
    """Check an NDJSON file by the options of ``polars.scan_ndjson``. Raises OSError where it cannot be read."""
    check = _LinesCheck(options)
    try:
        for piece in pieces(content, b"\n", None, check.begin):
            check.piece(piece)
    except RowTooLong:
        check.findings.add(None, None, *LONG_ROW)
    return Checked(tuple(check.keys) if check.goes_on else None, check.findings.all())


class _LinesCheck:
    """What is known of a file while its pieces come; ``keys`` are those of all objects, in their order."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.findings = Findings()
        self.keys: dict[str, None] = {}
        self.goes_on = False
        self._line = 1
        self._has_schema = options.get("schema") is not None
        self._declared = KnownKeys.of(options)

    def begin(self, text: bytes) -> int | None:
        """Whether there is anything to go on with."""
        if begins_otherwise(text, self.findings):
            return None
        if not text and not self._has_schema:
            self.findings.add(None, None, "no text", "an object, or schema= for files that may be empty")
            return None
        self.goes_on = True
        return 0

    def piece(self, text: bytes) -> None:
        """Check whole lines."""
        found = _schema(text)
        if found is None or (self._declared is not None and not self._declared.include(found)):
            for number, line in enumerate(text.split(b"\n"), self._line):
                if line and not line.isspace():
                    self._check(number, line)
        else:
            self.keys.update(dict.fromkeys(found.names))
        self._line += text.count(b"\n")

    def _check(self, number: int, line: bytes) -> None:
        fault = _unsound(line)
        if fault:
            self.findings.add(number, None, *fault, shown(line))
            return
        try:
            value, twice = parsed(line.decode())
        except ValueError as error:
            self.findings.add(number, None, _told(error, line), "one JSON object on each line", shown(line))
            return
        except RecursionError:
            self.findings.add(number, None, "values nested too deeply", "one JSON object on each line", shown(line))
            return
        add_object(self.findings, number, value, twice, self._declared, "one JSON object on each line", shown(line))
        if isinstance(value, dict):
            self.keys.update(dict.fromkeys(value))


def begins_otherwise(text: bytes, findings: Findings) -> bool:
    """Note a beginning that polars does not read as JSON."""
    if wide := other_unicode(text):
        findings.add(None, None, *wide)
    elif text.startswith(BOM):
        findings.add(None, None, "a byte order mark", 'JSON without one, or encoding="utf-8-sig"')
    return bool(findings)


def parsed(text: str) -> tuple[Any, list[str]]:
    """A JSON value, and the keys that come twice in one of its objects. Raises ValueError, RecursionError."""
    twice: list[str] = []

    def pairs(found: Object) -> dict[str, Any]:
        made = dict(found)
        if len(made) < len(found):
            names = [key for key, _ in found]
            twice.extend(key for key in made if names.count(key) > 1)
        return made

    return json.loads(text, object_pairs_hook=pairs, parse_constant=_refuse), twice


def add_object(
    findings: Findings,
    line: int,
    value: object,
    twice: list[str],
    declared: KnownKeys | None,
    expected: str,
    text: str,
) -> None:
    """Note what is wrong with a value that should be an object: another kind, keys that come twice or are unknown."""
    if not isinstance(value, dict):
        findings.add(line, None, _KINDS.get(type(value), "null"), expected, text)
        return
    for key in dict.fromkeys(twice):
        findings.add(line, key, "the key twice in one object", "each key once", text)
    if declared is not None:
        for key in dict.fromkeys(declared.unknown(value)):
            findings.add(line, key, "a key that schema= lacks", 'keys of schema=, or extra_columns="ignore"', text)


_KINDS: Mapping[type, str] = {
    list: "a list",
    str: "a string",
    int: "a number",
    float: "a number",
    bool: "true or false",
}


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is no JSON")


def _unsound(line: bytes) -> tuple[str, str] | None:
    if b"\0" in line:
        return NUL
    try:
        line.decode()
    except UnicodeDecodeError:
        return NO_UTF8
    return None


def _told(error: ValueError, line: bytes) -> str:
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


_NO_BRACKETS = bytes(set(range(256)) - set(b"{}[]\n"))
