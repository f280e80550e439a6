"""Checks the structure of a raw file before polars reads it: what polars would drop, shift or fill in is a finding.

It is the same for every aggregation, whichever columns a query parses, and costs a fraction of what reading costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tasks.formats.formats import Format
from tasks.strict.csv_check import check_csv
from tasks.strict.finding import Checked, Finding
from tasks.strict.json_array import check_json
from tasks.strict.json_lines import check_json_lines

__all__ = ["Checked", "Finding", "check_file"]


def check_file(form: Format, content: bytes | Path, options: Mapping[str, object]) -> Checked:
    """Check one file of a format, as the options of its source declare it; packed by gzip or zstd, or not.

    A file that is given by its path is read piece by piece, and never mapped. Raises OSError where it cannot be read.
    """
    match form.text:
        case "csv":
            return check_csv(content, options)
        case "ndjson":
            return check_json_lines(content, options)
        case "json":
            return check_json(content, options)
        case None:
            return Checked(None, ())
