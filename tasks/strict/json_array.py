"""Checks a JSON file: an array of objects, or one object, each of which is sound as a line of NDJSON is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tasks.formats.json_elements import elements, flat_lines, joined
from tasks.formats.unpacking import whole_text
from tasks.strict.csv_rows import NO_UTF8, NUL
from tasks.strict.dialect import BOM, other_unicode
from tasks.strict.finding import Checked, Findings, shown
from tasks.strict.json_lines import LinesCheck

_EXPECTED = "an array of objects, or one object"


def check_json(content: bytes | Path, options: Mapping[str, Any]) -> Checked:
    """Check a JSON file by the options of ``polars.read_json``, which reads it whole. Raises OSError."""
    text = whole_text(content if isinstance(content, bytes) else content.read_bytes())
    check = LinesCheck(options, _EXPECTED)
    if wide := other_unicode(text):
        check.findings.add(None, None, *wide)
        return check.checked()
    text = text.removeprefix(BOM)
    if not text:
        check.findings.add(None, None, "no text", _EXPECTED)
        return check.checked()
    lines = flat_lines(text)
    if lines is None or not check.is_sound(lines):
        _check_elements(text, check, is_flat=lines is not None)
    return check.checked()


def _check_elements(text: bytes, check: LinesCheck, *, is_flat: bool) -> None:
    parts = _parts(text, check.findings)
    if parts is None or (parts and not is_flat and check.is_sound(joined(iter(parts)))):
        return
    for line, element in parts:
        check.object(line, element.encode())


def _parts(text: bytes, findings: Findings) -> list[tuple[int, str]] | None:
    """The elements, each with its line; None, and a finding, where the text is no JSON."""
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        findings.add(text.count(b"\n", 0, error.start) + 1, None, *NO_UTF8)
        return None
    try:
        return list(elements(decoded))
    except json.JSONDecodeError as error:
        found = "text that breaks off" if error.pos >= len(decoded.rstrip()) else "no valid JSON"
        fault = NUL if decoded[error.pos : error.pos + 1] == "\0" else (found, _EXPECTED)
        findings.add(error.lineno, None, *fault, shown(decoded[error.pos :]) if decoded[error.pos :] else "")
    except ValueError as error:  # a number of more digits than Python reads
        findings.add(None, None, str(error), _EXPECTED)
    except RecursionError:
        findings.add(None, None, "values nested too deeply", _EXPECTED)
    return None
