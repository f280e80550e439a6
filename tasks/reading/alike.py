"""Holds files that are to be one frame to one schema: where polars inferred others, it names the column and the files.

No common type is made up: text that looked like a number in one file has lost its zeros there.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from tasks.catalog.source import Source
from tasks.reading.declared import not_as_declared, other_columns
from tasks.strict.finding import Finding

Schemas = Sequence[tuple[str, pl.Schema]]
"""The paths of some files, and the schema that they have."""


def require_alike(source: Source, schemas: Schemas) -> None:
    """Raise NotAsDeclared where some files have other columns or types than the first, whatever their order in JSON."""
    first_path, first = schemas[0]
    for path, schema in schemas[1:]:
        if schema != first and (findings := _findings(source, first_path, first, schema)):
            raise not_as_declared([(path, findings)])


def _findings(source: Source, first_path: str, first: pl.Schema, schema: pl.Schema) -> list[Finding]:
    names = schema.names()
    if other := other_columns(source, names, first.names(), first_path):
        return [other]
    differing = [name for name in names if schema[name] != first[name]]
    return [
        Finding(None, name, str(schema[name]), f"{first[name]}, as in {first_path}; {_step(source, name)}")
        for name in differing
    ]


def _step(source: Source, name: str) -> str:
    if source.read is not None:
        return "let read= give the column one type"
    if source.format.text is None:
        return "files of one type, or cast_options="
    declared = f'schema_overrides={{"{name}": …}} with the type that it is to have'
    return f"{declared} (pl.String keeps text as it stands)" if source.format.text == "csv" else declared
