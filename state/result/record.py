"""The commit record: the JSON in a result's footer that says what the result is and what it was computed from.

It travels inside the file, so one rename publishes the data with its proof, and whoever finds the file can judge it
without Redis and without a clock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from state.result.inferred import interned
from state.result.seal import OPEN_SEAL

FORMAT = 2
"""What is written. Format 1 has none of a source's optional fields, and is read as ever."""
KEY = b"noonmark"
LARGEST = 2**63 - 1
"""The largest number that a record may hold: what fits into 64 bits."""
_NONCE = b'"nonce":"'


class SourceRecord(NamedTuple):
    """What a result was computed from, for one source.

    ``files`` and ``rows`` are counts, ``bytes`` the files' size together. ``contents`` is the digest of names and
    bytes. ``stat`` is the digest of names, sizes and times, or None where a time was too recent to prove anything.
    The others stand in a record only where they hold something: ``schema`` has the columns whose type was inferred and
    that type, ``outside`` is how many rows were dropped since no day within reach takes them, ``absent`` how many of
    the days that were to be read too had no file.
    """

    files: int
    bytes: int
    rows: int
    contents: str
    stat: str | None
    schema: Mapping[str, str] = {}
    outside: int = 0
    absent: int = 0

    def written(self) -> dict[str, object]:
        """Its fields as they stand in a record."""
        return {
            name: value for name, value in self._asdict().items() if name not in _OPTIONAL or value != _OPTIONAL[name]
        }


_OPTIONAL = SourceRecord._field_defaults


class CommitRecord(NamedTuple):
    """The commit record of one day of one aggregation; its fields are the JSON's.

    ``generation`` rises strictly for a day. ``nonce`` is this commit's own and no other's. ``code`` is the fingerprint
    of the aggregation's source, ``result`` the digest of the rows, ``committed_at`` a UTC time for reports only.
    """

    aggregation: str
    version: int
    code: str
    day: str
    generation: int
    rows: int
    inputs: Mapping[str, SourceRecord]
    result: str
    libraries: Mapping[str, str]
    nonce: str
    committed_at: str
    format: int = FORMAT

    def fingerprint(self) -> str:
        """A short digest of the contents of all inputs: what the index keeps of them."""
        contents = {name: source.contents for name, source in self.inputs.items()}
        return hashlib.sha256(_canonical(contents)).hexdigest()[:32]


class Unfit(Exception):
    """A text that is no commit record; the message says why."""


class NewerFormat(Exception):
    """A record of a higher format than this code knows: refused as such, never called damaged by a run.

    ``altered``: its digest is right for a format that this code knows, so it was written as one, and its number is what
    was damaged. Only the deep check acts on that.
    """

    def __init__(self, number: int, *, altered: bool) -> None:
        super().__init__(f"commit record of format {number}, this code knows 1 to {FORMAT}")
        self.number = number
        self.altered = altered


def dump(record: CommitRecord) -> bytes:
    """The record as it stands in a footer: canonical JSON with its own digest, and the seal still open."""
    inputs = {name: source.written() for name, source in record.inputs.items()}
    named = record._asdict() | {"inputs": inputs}
    return _canonical({**named, "check": _check(named), "seal": OPEN_SEAL})


def load(text: bytes) -> CommitRecord:
    """Read a record back. Raises NewerFormat for a later format's, Unfit for all else that is not a whole record."""
    try:
        found = _DECODER.decode(text.decode())
    except (ValueError, RecursionError) as error:
        raise Unfit("its commit record is not JSON") from error
    number = found.get("format") if isinstance(found, dict) else None
    if type(number) is not int or not 0 < number <= LARGEST:
        raise Unfit("its commit record has no format")
    check, seal = found.pop("check", None), found.pop("seal", None)
    if not (found["format"] <= FORMAT and _is_canonical(text, check, seal)):
        _refuse(found, check, seal)
    try:
        inputs = {name: _source(source) for name, source in found.pop("inputs").items()}
        record = CommitRecord(inputs=inputs, **found)
    except (TypeError, KeyError, AttributeError) as error:
        raise Unfit("its commit record lacks fields, or has unknown ones") from error
    if not has_types(record) or not _is_within_bounds(record):
        raise Unfit("its commit record holds what no record of ours does")
    return record


def _source(fields: dict[str, Any]) -> SourceRecord:
    if "schema" in fields:  # thousands of days share one
        fields["schema"] = interned(fields["schema"])
    return SourceRecord(**fields)


def has_types(record: CommitRecord) -> bool:
    """Whether each value is of its field's type, and the nonce such as ours are."""
    if (*map(type, record),) != _TYPES or not is_token(record.nonce):
        return False
    return {(*map(type, source),) for source in record.inputs.values()} <= _SOURCE_TYPES


def is_token(value: str) -> bool:
    """Whether a text can be a nonce: short, and of plain ASCII letters and digits, as ours are."""
    return 0 < len(value) <= _TOKEN_LENGTH and value.isascii() and value.isalnum()


_TOKEN_LENGTH = 64
# A bool is an int and no number, so types are compared as they are.
_TYPES = (str, int, str, str, int, int, dict, str, dict, str, str, int)
_SOURCE_TYPES = {(int, int, int, str, stat, dict, int, int) for stat in (str, type(None))}


def _is_within_bounds(record: CommitRecord) -> bool:
    """Whether numbers are such as a file can hold, and texts such as can be written: JSON has halves of characters."""
    sources = record.inputs.values()
    numbers = [record.rows, *(number for source in sources for number in (*source[:3], *source[6:]))]
    texts = [record.aggregation, record.code, record.day, record.result, record.committed_at]
    texts += [*record.libraries, *record.libraries.values(), *record.inputs]
    texts += [text for source in sources for text in source[3:5] if text is not None]
    texts += [text for source in sources for pair in source.schema.items() for text in pair]
    try:
        "".join(texts).encode()
    except (TypeError, UnicodeEncodeError):
        return False
    least = min(record.version, record.generation)
    return least > 0 and min(numbers) >= 0 and max(record.version, record.generation, *numbers) <= LARGEST


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a number of JSON")


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object of JSON; two readers of one that has a name twice would take different values."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


_DECODER = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_each_once)


def bears_nonce(footer: bytes, nonce: str) -> bool:
    """Whether the record in a footer has this nonce, told by its text alone.

    The last label counts, as with the seal: what stands before the record may quote the data.
    """
    at = footer.rfind(_NONCE)
    return at >= 0 and footer.startswith(f'{nonce}"'.encode(), at + len(_NONCE))


def _is_canonical(text: bytes, check: object, seal: object) -> bool:
    """Whether the text is just what ``dump`` made: a third of the time that it takes to make it again."""
    if not isinstance(check, str) or not isinstance(seal, str):
        return False
    for name, value in (("check", check), ("seal", seal)):
        text = text.replace(f'"{name}":"{value}",'.encode("utf-8", "surrogatepass"), b"", 1)
    return hashlib.sha256(text).hexdigest() == check


def _refuse(fields: Mapping[str, Any], check: object, seal: object) -> None:
    """Raise what is wrong with a record, if anything is."""
    number = fields["format"]
    try:
        digests = {known: _check({**fields, "format": known}) for known in range(1, FORMAT + 1)}
    except RecursionError as error:
        raise Unfit("its commit record is nested too deep") from error
    if number > FORMAT:  # before its digest: a later format may compute that in another way
        raise NewerFormat(number, altered=check in digests.values())
    if check != digests[number] or not isinstance(seal, str):
        raise Unfit("its commit record does not match its own digest")


def _check(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(fields)).hexdigest()


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))  # ``json.dumps`` would make one for each record


def _canonical(value: Mapping[str, Any]) -> bytes:
    return _ENCODER.encode(value).encode("ascii")
