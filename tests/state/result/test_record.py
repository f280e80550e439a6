"""The commit record: what was written is read back, and nothing else is."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.result import record as record_module
from state.result.record import FORMAT, LARGEST, CommitRecord, NewerFormat, SourceRecord, Unfit, dump, load
from tests.builders import RECORD

words = st.text(max_size=8)
numbers = st.integers(min_value=0, max_value=LARGEST)
positive = st.integers(min_value=1, max_value=LARGEST)
source_records = st.builds(
    SourceRecord,
    files=numbers,
    bytes=numbers,
    rows=numbers,
    contents=words,
    stat=words | st.none(),
    schema=st.dictionaries(words, words, max_size=2),
    outside=numbers,
    absent=numbers,
)


@given(
    st.builds(
        CommitRecord,
        aggregation=words,
        version=positive,
        code=words,
        day=words,
        generation=positive,
        rows=numbers,
        inputs=st.dictionaries(words, source_records, max_size=3),
        result=words,
        libraries=st.dictionaries(words, words, max_size=3),
        nonce=st.from_regex("[0-9A-Za-z]{1,64}", fullmatch=True),
        committed_at=words,
        format=st.just(FORMAT),
    )
)
def test_what_was_written_is_read_back(whole: CommitRecord) -> None:
    """A record survives its footer, whatever the names of sources hold."""
    assert load(dump(whole)) == whole


def test_the_names_are_the_contracts() -> None:
    """Dashboards and other programs read the record: its field names are fixed."""
    fields = json.loads(dump(RECORD))
    assert set(fields) == {
        *("format", "aggregation", "version", "code", "day", "generation", "rows", "inputs", "result"),
        *("libraries", "nonce", "committed_at", "check", "seal"),
    }
    assert set(fields["inputs"]["sales"]) == {"files", "bytes", "rows", "contents", "stat"}


def test_a_record_of_the_first_format_is_read() -> None:
    """Results that an earlier version committed stay commits: it wrote no optional field, and another number."""
    fields = json.loads(dump(RECORD))
    del fields["check"], fields["seal"]
    first = {**fields, "format": 1}
    text = json.dumps({**first, "check": record_module._check(first), "seal": "0" * 64}).encode()
    assert load(text) == RECORD._replace(format=1)


@pytest.mark.parametrize("name", sorted(set(json.loads(dump(RECORD))) - {"seal", "format"}))
def test_an_altered_field_fails_the_records_own_digest(name: str) -> None:
    """Promise 6: a record that says anything else than what was committed is damage, seen without reading the rows."""
    fields = json.loads(dump(RECORD))
    value = fields[name]
    fields[name] = value + 1 if isinstance(value, int) else {**value, "x": {}} if isinstance(value, dict) else "x"
    with pytest.raises(Unfit):
        load(json.dumps(fields).encode())


def test_no_flipped_bit_passes() -> None:
    """Each bit of the record, turned over, is refused; only the seal's digits are for the seal to answer for."""
    whole = dump(RECORD)
    digits = range(whole.index(b'"seal":"') + 8, whole.index(b'"seal":"') + 72)
    for at in set(range(len(whole))) - set(digits):
        for bit in range(8):
            altered = bytearray(whole)
            altered[at] ^= 1 << bit
            with pytest.raises((Unfit, NewerFormat)):
                load(bytes(altered))


def test_a_torn_record_is_refused_at_every_length() -> None:
    """No beginning of a record is a record."""
    whole = dump(RECORD)
    for length in range(len(whole)):
        with pytest.raises(Unfit):
            load(whole[:length])


def test_a_newer_format_is_refused_as_such() -> None:
    """A later format may compute its digest in another way and hold other fields: it is newer, never corrupt."""
    for text in (
        {**json.loads(dump(RECORD)), "format": FORMAT + 1},
        {"format": FORMAT + 1, "check": "computed otherwise", "seal": ["not", "text"]},
        {"format": 2**40},
    ):
        with pytest.raises(NewerFormat) as caught:
            load(json.dumps(text).encode())
        assert caught.value.number == text["format"]
        assert caught.value.altered == ("aggregation" in text)  # its digest is still that of this code's format


@pytest.mark.parametrize(
    "text",
    [b"", b"null", b"1", b"[]", b"{}", b'{"format": "1"}', b'{"format": null}', b"\xff\xfe", b'{"format": 1}', b"{"],
)
def test_another_text_is_no_record(text: bytes) -> None:
    """What another program left under the key is refused, and raises nothing else."""
    with pytest.raises(Unfit):
        load(text)


def test_a_text_that_nests_without_end_is_no_record() -> None:
    """A hostile footer makes one damaged day; it does not end the scan."""
    with pytest.raises(Unfit):
        load(b'{"format":1,"a":' + b"[" * 100_000)


def _without_nonce(fields: dict[str, Any]) -> None:
    del fields["nonce"]


def _with_another(fields: dict[str, Any]) -> None:
    fields["another"] = 1


def _source_lacks_rows(fields: dict[str, Any]) -> None:
    del fields["inputs"]["sales"]["rows"]


def _inputs_are_a_list(fields: dict[str, Any]) -> None:
    fields["inputs"] = []


@pytest.mark.parametrize("alter", [_without_nonce, _with_another, _source_lacks_rows, _inputs_are_a_list])
def test_a_digest_alone_makes_no_record(alter: Callable[[dict[str, Any]], None]) -> None:
    """Of this format every field is known: one more or one less is no record, even under a digest that fits."""
    fields = json.loads(dump(RECORD))
    del fields["check"], fields["seal"]
    alter(fields)
    with pytest.raises(Unfit, match="fields"):
        load(json.dumps({**fields, "check": record_module._check(fields), "seal": "0" * 64}).encode())


_ODD: tuple[object, ...] = (
    *(None, True, False, 0.0, 1.5, math.nan, math.inf, 0, -1, 10**30, "", "1", "x", "\ud800", "é", "0" * 65),
    *([], [1], {}, {"sales": None}, {"sales": {}}, {"\ud800": "1"}, {"polars": 2.1}),
)
"""Values of every kind that JSON knows, and some that it does not."""


def _forged(**fields: object) -> bytes:
    """A record's text that says whatever it is told to, under a digest that fits."""
    named = {**json.loads(dump(RECORD)), **fields}
    seal = named.pop("seal")
    del named["check"]
    return json.dumps({**named, "check": record_module._check(named), "seal": seal}).encode()


def _typed(record: CommitRecord) -> bool:
    """Whether a record holds what its fields say, asked anew and one by one."""
    texts = [record.aggregation, record.code, record.day, record.result, record.nonce, record.committed_at]
    counts = [record.rows]
    sources = list(record.inputs.values())
    for source in sources:
        counts += source[:3]
        texts += [source.contents, "" if source.stat is None else source.stat]
    texts += [*record.inputs, *record.libraries, *record.libraries.values()]
    return (
        all(type(one) is str and one.isprintable() for one in texts)
        and all(type(one) is int and 0 <= one < 2**63 for one in (*counts, record.version - 1, record.generation - 1))
        and record.nonce.isalnum()
    )


@pytest.mark.parametrize("name", CommitRecord._fields)
def test_a_value_of_another_type_makes_no_record(name: str) -> None:
    """Promise 10: whatever a record says under a digest that fits, it is a record of right types or it is damage."""
    taken = []
    for value in _ODD:
        try:
            found = load(_forged(**{name: value}))
        except (Unfit, NewerFormat):
            continue
        assert _typed(found), value
        taken.append(value)
    assert len(taken) < len(_ODD) / 2, taken


@pytest.mark.parametrize("name", SourceRecord._fields)
def test_a_value_of_another_type_makes_no_input(name: str) -> None:
    """Likewise for what a record says of each source."""
    for value in _ODD:
        source = {**RECORD.inputs["sales"]._asdict(), name: value}
        try:
            found = load(_forged(inputs={"sales": source}))
        except Unfit:
            continue
        assert _typed(found), value


def test_fields_that_stand_there_twice_make_no_record() -> None:
    """Two readers of one text would take different values, and its digest fits both."""
    text = dump(RECORD).replace(b'"rows":0', b'"rows":0,"rows":7')
    digest = hashlib.sha256(re.sub(rb'"(check|seal)":"\w*",', b"", text)).hexdigest()
    with pytest.raises(Unfit, match="is not JSON"):
        load(re.sub(rb'"check":"\w*"', b'"check":"%s"' % digest.encode(), text))


def test_the_fingerprint_is_of_contents_alone() -> None:
    """A touched file is no change: times and sizes do not enter what the index keeps; each source's bytes do."""
    sales = RECORD.inputs["sales"]
    touched = RECORD._replace(inputs={"sales": sales._replace(stat=None, rows=9)}, generation=7, nonce="1")
    edited = RECORD._replace(inputs={"sales": sales._replace(contents="0" * 64)})
    renamed = RECORD._replace(inputs={"orders": sales})
    assert touched.fingerprint() == RECORD.fingerprint()
    assert len({one.fingerprint() for one in (RECORD, edited, renamed)}) == 3


def test_no_depth_of_nesting_ends_the_reading() -> None:
    """What json reads just so may be too deep to be written again: it is damage like any other."""
    for number in (FORMAT, FORMAT + 1):
        for depth in range(700, 1000, 20):
            with pytest.raises((Unfit, NewerFormat)):
                load(b'{"format":%d,"a":' % number + b"[" * depth + b"]" * depth + b"}")
