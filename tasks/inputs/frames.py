"""A day's files of one source as one frame: each as its own header says, and those of one header in one scan."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import polars as pl

from state.inputs.files import FileStat
from state.words import enumerated
from tasks.catalog.columns import AS_DECLARED, Columns, Fit, Misfit
from tasks.catalog.declare import Source
from tasks.catalog.formats import File
from tasks.catalog.local_files import kept_with
from tasks.inputs.headers import header
from tasks.inputs.rewriting import NotAsDeclared

Files = Sequence[tuple[FileStat, File]]
_SHOWN = 10
_WITH_HEADERS = ("scan_csv", "scan_parquet")
"""The formats whose columns have an order."""


def frame_of(source: Source, files: Files, root: Path) -> pl.LazyFrame:
    """The rows of the files below ``root``, in their order.

    Raises NotAsDeclared where a header is not as declared, and whatever polars raises for one that it cannot read.
    """
    fits = _fits(source, source.columns, files) if source.columns else [AS_DECLARED] * len(files)
    column = source.options.get("include_file_paths") if source.rewrites else None
    frames = []
    for _, group in groupby(range(len(files)), lambda at: (fits[at].select and id(fits[at]), at if column else None)):
        numbers = list(group)
        frame = source.scan([files[at][1] for at in numbers], fits[numbers[0]])
        if column:
            path = os.fsencode(root / files[numbers[0]][0].path).decode(errors="backslashreplace")
            shown = pl.lit(path, dtype=pl.String)
            frame = kept_with(frame.with_columns(shown.alias(column)), frame)
        frames.append(frame)
    return frames[0] if len(frames) == 1 else kept_with(pl.concat(frames), *frames)


def _fits(source: Source, columns: Columns, files: Files) -> list[Fit]:
    fits: list[Fit] = []
    if not columns.has_rules and len(files) == 1 and source.format.scan.__name__ not in _WITH_HEADERS:
        return [AS_DECLARED]  # to look for the keys of JSON takes longer than to read it
    for file, content in files:
        names = header(source, content)
        fit = columns.fit(names) if names is not None else AS_DECLARED
        if fit.misfits:
            raise _not_as_declared(file, fit.misfits)
        fits.append(fit)
    if columns.schema is None and len(files) > 1:
        for file, misfit in _differing(source, files, fits):
            raise _not_as_declared(file, [misfit])
    return fits


def _differing(source: Source, files: Files, fits: Sequence[Fit]) -> Iterator[tuple[FileStat, Misfit]]:
    """Files without declared columns whose columns are others than those of the first; JSON's keys have no order."""
    in_order = source.format.scan.__name__ in _WITH_HEADERS
    known = [at for at, fit in enumerate(fits) if fit is not AS_DECLARED]
    for at in known:
        first, names = fits[known[0]].names, fits[at].names
        if names != first and (in_order or set(names) != set(first)):
            others = enumerated([repr(name) for name in first])
            found = f"its columns are {enumerated([repr(name) for name in names])}"
            order = " in this order" * in_order
            expected = f"{others}{order}, as in {files[known[0]][0].path}, or schema= with the columns in use"
            yield files[at][0], Misfit(None, found, expected)


def _not_as_declared(file: FileStat, misfits: Sequence[Misfit]) -> NotAsDeclared:
    told = "; ".join(f"{one.found}; expected {one.expected}" for one in misfits[:_SHOWN])
    more = f"; and {len(misfits) - _SHOWN:,} more" if len(misfits) > _SHOWN else ""
    return NotAsDeclared(f"{file.path}: {told}{more}")
