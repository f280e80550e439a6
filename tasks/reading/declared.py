"""Holds raw files to what their source declares, before polars reads them: their structure, and their columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from state.inputs.files import FileStat
from state.words import counted, enumerated
from tasks.catalog.columns import AS_DECLARED, Columns, Fit, Misfit, Names, polars_names
from tasks.catalog.source import Source
from tasks.formats.formats import File
from tasks.reading.sound_files import DaySound
from tasks.strict.check import check_file
from tasks.strict.finding import Finding, printable
from tasks.strict.telling import summary_of, told

Files = Sequence[tuple[FileStat, File]]
Bad = Sequence[tuple[str, Sequence[Finding]]]
"""The paths of bad files, each with what is wrong with it."""


class NotAsDeclared(Exception):
    """A day's files are not what their source says. ``summary`` is the message without what is the files' own."""

    def __init__(self, message: str, summary: str) -> None:
        super().__init__(message)
        self.message = message
        self.summary = summary


def not_as_declared(bad: Bad, beside: str = "") -> NotAsDeclared:
    """What is wrong with the first bad file, and how many more there are.

    ``beside`` is the path of the file that it was compared with, if any.
    """
    path, findings = bad[0]
    more = f" (and so {counted(len(bad) - 1, 'more file')} of the day)" if len(bad) > 1 else ""
    summary = summary_of(findings)
    return NotAsDeclared(
        told(path, findings) + more, summary.replace(beside, "another file of the day") if beside else summary
    )


def fits(source: Source, files: Files, sound: DaySound) -> list[tuple[Names, Fit]]:
    """The header of each file, as polars calls its columns, and how it is read. Raises NotAsDeclared.

    Where no header is read, or nothing is said of it, it is empty.
    """
    headers = _sound_headers(source, files, sound)
    if (columns := source.columns) is None:
        _require_named(source, files)
        return [((), AS_DECLARED)] * len(files)
    found = [(names or (), columns.fit(names) if names is not None else AS_DECLARED) for names in headers]
    bad = [
        (file.path, [_finding(one) for one in fit.misfits])
        for (file, _), (_, fit) in zip(files, found, strict=True)
        if fit.misfits
    ]
    every = [fit for _, fit in found]
    if not bad and columns.schema is None and len(files) > 1:
        _require_alike(source, files, every)
    if bad := bad or _lost(columns, files, every):
        raise not_as_declared(bad)
    return found


def _sound_headers(source: Source, files: Files, sound: DaySound) -> list[Names | None]:
    options = _in_any_name(source.options, source.columns)
    headers: list[Names | None] = []
    bad = []
    for file, content in files:
        try:
            known = sound.known("structure", file.path)
            checked = known or check_file(source.format, content, options)
        except OSError as error:
            why = error.strerror or f"what is packed in it cannot be unpacked ({error})"
            summary = f"cannot be read as declared: {why}"
            raise NotAsDeclared(f"{printable(file.path)} {summary}", summary) from error
        if checked.findings:
            bad.append((file.path, checked.findings))
        elif not known:
            sound.learn("structure", file.path, checked.columns, proven=isinstance(content, bytes))
        headers.append(_header(source, content, checked.columns))
    if bad:
        raise not_as_declared(bad)
    return headers


def _in_any_name(options: Mapping[str, Any], columns: Columns | None) -> Mapping[str, Any]:
    """The options, with dtypes for the columns' old names too: which of them a file has, its header says."""
    if columns is None or not columns.rename:
        return options
    both = dict(options)
    for option, dtypes in (("schema", columns.schema), ("schema_overrides", columns.overrides)):
        if dtypes is not None:
            old = {name: dtypes[new] for name, new in columns.rename.items() if new in dtypes}
            both[option] = {**dtypes, **old}
    return both


def _header(source: Source, content: File, names: Names | None) -> Names | None:
    match source.format.text:
        case "csv":
            return None if names is None else polars_names(names)
        case None if source.columns:
            return tuple(source.format.read([content], {}).collect_schema().names())
        case _:
            return names


def _require_alike(source: Source, files: Files, fits: Sequence[Fit]) -> None:
    """Raise NotAsDeclared for files without declared columns that are not those of the first; JSON's have no order."""
    known = [(file.path, fit.names) for (file, _), fit in zip(files, fits, strict=True) if fit is not AS_DECLARED]
    bad = []
    for path, names in known:
        beside, first = known[0]
        if other := other_columns(source, names, first, beside):
            bad.append((path, [other]))
    if bad:
        raise not_as_declared(bad, beside=known[0][0])


def other_columns(source: Source, names: Sequence[str], expected: Sequence[str], beside: str) -> Finding | None:
    """What is wrong with columns that have to be those of the file ``beside``; the keys of JSON have no order."""
    in_order = source.format.text in ("csv", None)
    if names == expected or (not in_order and set(names) == set(expected)):
        return None
    found, wanted = (enumerated([repr(name) for name in some]) for some in (names, expected))
    order = " in this order" * in_order
    remedy = "or schema= with the columns in use"
    return Finding(None, None, f"the columns {found}", f"{wanted}{order}, as in {beside}, {remedy}")


def _lost(columns: Columns, files: Files, fits: Sequence[Fit]) -> list[tuple[str, list[Finding]]]:
    """The first file, where options name columns that none of the files has."""
    names = dict.fromkeys(name for fit in fits for name in (*fit.names, *fit.made))
    if any(fit is AS_DECLARED for fit in fits):
        names |= dict.fromkeys(columns.schema or ())
    lost = columns.lost(tuple(names)) if names else []
    return [(files[0][0].path, [_finding(one) for one in lost])] if lost else []


def _require_named(source: Source, files: Files) -> None:
    """Raise NotAsDeclared where options name columns that files without header do not have: there polars numbers them,
    or the user names them.
    """
    named = (source.options.get(option) for option in ("schema_overrides", "null_values"))
    overrides, nulls = (one if isinstance(one, Mapping) else None for one in named)
    if not (files and (overrides or nulls)):
        return
    names = source.scan([files[0][1]]).collect_schema().names()
    if lost := Columns(overrides=overrides, null_values=nulls).lost(names):
        raise not_as_declared([(files[0][0].path, [_finding(one) for one in lost])])


def _finding(misfit: Misfit) -> Finding:
    return Finding(None, misfit.column, misfit.found, misfit.expected)
