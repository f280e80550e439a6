"""What the arguments of a source mean together. What contradicts itself is found here, at import."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from state.errors import nearest
from tasks.catalog.columns import Columns, wrong_names
from tasks.catalog.place import place_of
from tasks.catalog.signature import unknown_keyword, wrong_function
from tasks.formats.dialects import wrong_dialect
from tasks.formats.dtypes import unread_in_json, wrong_dtypes
from tasks.formats.encoding import codec_of, wrong_encoding
from tasks.formats.formats import FORMATS, Format

RULES = {"extra_columns": ("ignore", "raise"), "missing_columns": ("insert", "raise")}
"""Arguments about columns that polars has for some formats, and Noonmark for all; and polars' words for them."""
_UNNAMED = ("new_columns", "with_column_names")


@dataclass(frozen=True, slots=True)
class Declared:
    """A source's arguments, checked.

    ``options`` are those that a user gave for the format or for ``read=``, ``scan`` those of them that polars gets.
    ``columns`` is None where no header is read: polars alone decides then. ``codec`` is that of Python which decodes
    the text, if any.
    """

    format: Format
    options: dict[str, Any]
    scan: Mapping[str, Any]
    columns: Columns | None = None
    codec: str | None = None


def declared_options(
    suffix: str, read: Callable[..., Any] | None, prepare: Callable[..., Any] | None, given: Mapping[str, Any]
) -> Declared | str:
    """The arguments of a source whose files end in ``suffix``, or what is wrong with them."""
    if read is not None:
        return _wrong_read(read, prepare, given) or Declared(Format(read, {}, unpack=None), dict(given), {})
    form = FORMATS.get(suffix)
    if form is None:
        return (
            f"it ends in {suffix or 'no fixed suffix'!r}; expected one of {', '.join(FORMATS)}, or read=, a function "
            "from a list of files to a LazyFrame"
        )
    if prepare is not None and (wrong := wrong_function(prepare, "the bytes of a file", ("name", "day"))):
        return f"prepare= ({place_of(prepare)}): {wrong}"
    options = {name: value for name, value in given.items() if name != "rename"}
    encoding = options.get("encoding")
    if wrong := _wrong_encoding(form, suffix, encoding):
        return wrong
    codec = codec_of(encoding) if encoding else None
    if encoding and (codec or "encoding" not in form.options or encoding not in ("utf8", "utf8-lossy")):
        del options["encoding"]
    plain = {name: value for name, value in options.items() if name not in RULES}
    wrong = form.unknown_option(plain) or (wrong_dialect(plain) if form.text == "csv" else None)
    wrong = wrong or wrong_dtypes(options) or (unread_in_json(options) if form.text in ("ndjson", "json") else None)
    if wrong := wrong or _wrong_rules(options, suffix):
        return wrong
    columns = _columns(form, options, given.get("rename"), rewrites=prepare is not None or codec is not None)
    if isinstance(columns, str):
        return columns
    if prepare is not None or codec is not None:
        plain.pop("include_file_paths", None)
    scan = plain if columns else {**plain, **{name: options[name] for name in RULES if name in options}}
    return Declared(form, options, scan, columns, codec)


def _wrong_read(read: Callable[..., Any], prepare: Callable[..., Any] | None, given: Mapping[str, Any]) -> str | None:
    if prepare is not None:
        return "it has read= and prepare=; read= gets paths, so call what prepares a file in it"
    if wrong := wrong_function(read, "a list of paths", ("day", *given)):
        return f"read= ({place_of(read)}): {wrong}"
    if "day" in given:
        return "it has the option 'day', which Noonmark passes itself"
    if unknown := unknown_keyword(read, given):
        return f"read= ({place_of(read)}) {unknown}"
    return None


def _wrong_encoding(form: Format, suffix: str, encoding: object) -> str | None:
    if encoding is None:
        return None
    if form.is_binary:
        return f"encoding={encoding!r} says how text is written, and {suffix} is no text"
    if encoding == "utf8-lossy" and "encoding" not in form.options:
        return "encoding='utf8-lossy' is an option for CSV; expected the files' own encoding, such as 'cp1252'"
    return wrong_encoding(encoding)


def _wrong_rules(options: Mapping[str, Any], suffix: str) -> str | None:
    for name, words in RULES.items():
        value = options.get(name)
        if value is None or value == "raise":
            continue
        if isinstance(value, str) and value not in words:
            near = nearest(value, words)
            names = ", or a list of names of the schema" if name == "missing_columns" else ""
            meant = f"did you mean {near!r}?" if near else f"expected {' or '.join(map(repr, words))}{names}"
            return f"{name}={value!r}; {meant}"
        if name == "extra_columns" and not isinstance(value, str):
            return f"{name}={value!r}; expected {' or '.join(map(repr, words))}"
        if not isinstance(value, str) and not _are_names(value):
            return f"{name}={value!r}; expected a list of names of the schema, 'insert' or 'raise'"
        if "schema" not in options and not (suffix == ".parquet" and isinstance(value, str)):
            return f"{name}= needs schema=, which says what columns there are"
    return None


def _columns(form: Format, options: Mapping[str, Any], rename: object, *, rewrites: bool) -> Columns | str | None:
    """What the arguments say of columns; None where no header is read."""
    missing = options.get("missing_columns")
    ignores = options.get("extra_columns") == "ignore"
    by_name = rename is not None or not (missing is None or isinstance(missing, str))
    if options.get("has_header") is False or any(options.get(name) is not None for name in _UNNAMED):
        what = "rename=" if rename is not None else "missing_columns= with names"
        given = "schema= says all names" if options.get("schema") is not None else "give the names by schema="
        return f"{what} needs the names of a header, and there is none to go by; {given}" if by_name else None
    if form.is_binary and not by_name:
        return None
    if rename is not None and not (isinstance(rename, Mapping) and _are_names([*rename, *rename.values()])):
        return f"rename={rename!r}; expected a mapping of names in the file to names in use"
    if rename is not None and not all(rename.values()):
        return f"rename={rename!r} has an empty name; expected a name for each"
    for name in ("row_index_name", "n_rows"):
        if options.get(name) is not None and (by_name or ignores or missing == "insert"):
            return f"{name}= counts in files of one header only; leave it to the aggregation (with_row_index, head)"
    schema = None if options.get("schema") is None else dict(options["schema"])
    overrides = options.get("schema_overrides")
    nulls = options.get("null_values")
    shown = None if rewrites else options.get("include_file_paths")
    columns = Columns(
        rename=dict(rename or {}),
        schema=schema,
        overrides=dict(overrides) if isinstance(overrides, Mapping) else None,
        null_values=dict(nulls) if isinstance(nulls, Mapping) else None,
        may_miss=frozenset(missing_names(missing, schema or ())),
        ignores=ignores,
        told_to_ignore="extra_columns" in form.options,
        after=() if shown is None else (shown,),
    )
    return wrong_names(columns) or columns


def missing_names(missing: Any, schema: Collection[str]) -> Collection[str]:
    """The columns of a schema that a file may lack, as ``missing_columns=`` says."""
    return schema if missing == "insert" else () if missing in (None, "raise") else missing


def _are_names(value: object) -> bool:
    return isinstance(value, list | tuple | set | frozenset) and all(isinstance(name, str) for name in value)
