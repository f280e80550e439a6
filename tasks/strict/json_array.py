"""Checks a JSON file: an array of objects, or one object, no key twice, and no value that its dtype would change."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from tasks.formats.unpacking import whole_text
from tasks.strict.csv_rows import NO_UTF8, NUL
from tasks.strict.dialect import BOM, other_unicode
from tasks.strict.finding import Checked, Findings, shown
from tasks.strict.json_keys import KnownKeys
from tasks.strict.json_lines import add_object, parsed

_EXPECTED = "an array of objects, or one object"


def check_json(content: bytes | Path, options: Mapping[str, Any]) -> Checked:
    """Check a JSON file by the options of ``polars.read_json``, which reads it whole. Raises OSError."""
    text = whole_text(content if isinstance(content, bytes) else content.read_bytes()).removeprefix(BOM)
    findings = Findings()
    keys = _check(text, options, findings)
    if keys and not findings:
        _check_values(text, options, findings)
    return Checked(keys, findings.all())


def _check(text: bytes, options: Mapping[str, Any], findings: Findings) -> tuple[str, ...] | None:
    if wide := other_unicode(text):
        findings.add(None, None, *wide)
        return None
    if not text:
        findings.add(None, None, "no text", _EXPECTED)
        return None
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        findings.add(text.count(b"\n", 0, error.start) + 1, None, *NO_UTF8)
        return None
    try:
        value, twice = parsed(decoded)
    except json.JSONDecodeError as error:
        found = "text that breaks off" if error.pos >= len(decoded.rstrip()) else "no valid JSON"
        fault = NUL if decoded[error.pos : error.pos + 1] == "\0" else (found, _EXPECTED)
        findings.add(error.lineno, None, *fault, shown(decoded[error.pos :]) if decoded[error.pos :] else "")
        return None
    except (ValueError, RecursionError) as error:
        found = str(error) if isinstance(error, ValueError) else "values nested too deeply"
        findings.add(None, None, found, _EXPECTED)
        return None
    declared = KnownKeys.of(options)
    objects = value if isinstance(value, list) else [value]
    keys = dict.fromkeys(key for one in objects if isinstance(one, dict) for key in one)
    are_objects = all(isinstance(one, dict) for one in objects)
    is_known = declared is None or not are_objects or not any(any(declared.unknown(one)) for one in objects)
    if twice or not are_objects or not is_known:
        for line, element in elements(decoded):
            one, doubled = parsed(element)
            add_object(findings, line, one, doubled, declared, _EXPECTED, shown(element))
    return tuple(keys)


def elements(text: str) -> Iterator[tuple[int, str]]:
    """Each element of the array with the line where it begins; what is no array is one element."""
    decoder = json.JSONDecoder()
    at = len(text) - len(text.lstrip())
    if not text.startswith("[", at):
        yield text.count("\n", 0, at) + 1, text
        return
    line, counted = 1, 0
    while True:
        at += 1
        at += len(text[at:]) - len(text[at:].lstrip()) if text[at : at + 1].isspace() else 0
        _, end = decoder.raw_decode(text, at)
        line, counted = line + text.count("\n", counted, at), at
        yield line, text[at:end]
        at = end
        while text[at].isspace():
            at += 1
        if text[at] == "]":
            return


def _check_values(text: bytes, options: Mapping[str, Any], findings: Findings) -> None:
    """Note values that polars makes null or cuts to fit a declared dtype, which it does to JSON without a word."""
    types = {name: options[name] for name in ("schema", "schema_overrides") if options.get(name) is not None}
    if not types:
        return
    try:
        declared = pl.read_json(text, infer_schema_length=None, **types)
        plain = pl.read_json(text, infer_schema_length=None)
    except PolarsError:
        return  # it says so itself
    lines: list[tuple[int, str]] = []
    for name in declared.columns:
        if name not in plain.columns or plain[name].dtype == declared[name].dtype:
            continue
        wrong = _changed(plain[name], declared[name]).arg_true().to_list()
        if wrong and not lines:
            lines = list(elements(text.decode()))
        for row in wrong:
            value = shown(str(plain[name][row]))
            findings.add(lines[row][0], name, "a value that does not fit", f"{declared[name].dtype}", value)


def _changed(plain: pl.Series, declared: pl.Series) -> pl.Series:
    """Which values polars made another of, to fit them to the declared dtype, in structs and lists too."""
    changed = declared.is_null() & plain.is_not_null()
    if plain.dtype.is_float() and declared.dtype.is_integer():
        changed |= (plain != declared.cast(pl.Float64)).fill_null(value=False)
    elif plain.dtype.is_numeric() and declared.dtype == pl.Date:
        changed |= plain.is_not_null()
    elif isinstance(plain.dtype, pl.Struct) and isinstance(declared.dtype, pl.Struct):
        for name in {field.name for field in plain.dtype.fields} & {field.name for field in declared.dtype.fields}:
            changed |= _changed(plain.struct.field(name), declared.struct.field(name))
    elif isinstance(plain.dtype, pl.List) and isinstance(declared.dtype, pl.List):
        each = pl.DataFrame({"row": range(len(plain)), "plain": plain, "declared": declared}).explode(
            "plain", "declared"
        )
        rows = each["row"].filter(_changed(each["plain"], each["declared"]))
        changed |= pl.Series(range(len(plain)), dtype=pl.Int64).is_in(rows.implode())
    return changed
