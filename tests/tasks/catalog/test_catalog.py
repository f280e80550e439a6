"""Declaring sources and aggregations: what is not accepted says which, where and what was expected."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from state.errors import DeclarationError
from tasks.catalog.declare import Aggregation, aggregation, declared
from tasks.catalog.source import Source
from tests.builders import DAY

FLIGHTS = Source("flights/{day}/*.csv")
WEATHER = Source("weather/{day}.csv")
NUMBERED = Source("orders/{day:int}.csv")


def made(
    name: str = "departures",
    doc: str | None = "A result.",
    takes: str = "flights",
    text: str = "def made({}):\n return",
) -> Callable[..., Any]:
    """A function with this name, docstring, parameters and text."""
    space: dict[str, Any] = {}
    exec(text.format(takes), space)
    function: Callable[..., Any] = space["made"]
    function.__name__ = name
    function.__doc__ = doc
    return function


def test_a_declared_function_stays_an_ordinary_callable() -> None:
    """It can be called and tested as before, and knows what it was declared as."""

    @aggregation(FLIGHTS, version=3)
    def departures(flights: pl.LazyFrame) -> pl.LazyFrame:
        """Departures."""
        return flights.select(pl.len())

    assert departures(pl.LazyFrame({"x": [1, 2]})).collect().item() == 2
    found = declared(departures)
    assert found is not None
    assert (found.name, found.version, found.sources) == ("departures", 3, {"flights": FLIGHTS})
    assert found.function is departures
    assert found.place.startswith("test_catalog.py:")
    assert len(found.code) == len("2:") + 64


def test_sources_are_named_by_the_parameters_or_by_themselves() -> None:
    """The name in the commit record: the source's own, or that of the parameter that takes it."""
    named = Source("w/{day}.csv", name="rain")
    found = declared(aggregation(FLIGHTS, named)(made(takes="flights, sky")))
    assert found is not None
    assert found.sources == {"flights": FLIGHTS, "rain": named}
    assert list(found.sources) == ["flights", "rain"]
    assert found.version == 1


def test_what_was_not_declared_is_no_aggregation() -> None:
    """Any other attribute of a module is passed over, whatever it claims to be."""

    class Claims:
        def __getattr__(self, name: str) -> object:
            return Aggregation("x", made(), 1, {})

    assert [declared(value) for value in (made(), Claims(), FLIGHTS, None, 1, aggregation)] == [None] * 6


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (made("_departures"), "aggregation _departures (<string>:1): its name must be a plain identifier"),
        (made("départs"), "aggregation départs (<string>:1): its name must be a plain identifier"),
        (made("a-b"), "aggregation a-b (<string>:1): its name must be a plain identifier"),
        (lambda flights: flights, "its name must be a plain identifier (letters, digits, underscores)"),
        (made(doc=None), "aggregation departures (<string>:1): it has no docstring"),
        (made(doc="  \n "), "it has no docstring; one line that says what the result holds is enough"),
        (made(text="async def made({}):\n return"), "it is asynchronous or a generator; expected a plain function"),
        (made(text="def made({}):\n yield"), "it is asynchronous or a generator; expected a plain function"),
        (made(text="async def made({}):\n yield"), "it is asynchronous or a generator; expected a plain function"),
        (made(takes=""), "it takes 0 frames (), expected one parameter for each of its 1 sources"),
        (
            made(takes="flights, weather"),
            "it takes 2 frames (flights, weather), expected one parameter for each of its 1 sources",
        ),
        (made(takes="flights, day"), "for each of its 1 sources; write '*' before day to get the day"),
        (made(takes="*flights"), "it takes 0 frames (), expected one parameter for each of its 1 sources"),
        (made(takes="flights, *, weather"), "its keyword-only parameter 'weather' has no default, and nothing passes"),
        (made(takes="flights, *, dey"), "nothing passes it; did you mean 'day'?"),
    ],
)
def test_a_function_that_cannot_be_meant(function: Callable[..., Any], told: str) -> None:
    """Its name, its place, what is wrong and what was expected."""
    with pytest.raises(DeclarationError) as caught:
        aggregation(FLIGHTS)(function)
    assert told in str(caught.value)
    assert declared(function) is None
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "takes", ["flights", "flights, /", "flights, bins=5", "flights, *more", "flights, *, bins=5", "flights, *, day"]
)
def test_parameters_with_defaults_are_the_functions_own(takes: str) -> None:
    """Only parameters that need a value take frames."""
    assert declared(aggregation(FLIGHTS)(made(takes=takes))) is not None


@pytest.mark.parametrize("version", [0, -1, True, False, "1", 1.0, None])
def test_a_version_is_a_whole_number_from_one(version: Any) -> None:
    """The message repeats what was found."""
    with pytest.raises(DeclarationError) as caught:
        aggregation(FLIGHTS, version=version)(made())
    assert f"version={version!r}, expected a whole number from 1" in str(caught.value)


def test_sources_that_do_not_fit_together() -> None:
    """No source, something else in its place, two kinds of days, one name twice."""
    anything: Any = aggregation
    for sources in ((), ("flights/{day}.csv",), (FLIGHTS, None)):
        with pytest.raises(DeclarationError, match="with at least one Source"):
            anything(*sources)(made())
    with pytest.raises(DeclarationError, match="at least one Source"):
        anything(made())(made())
    with pytest.raises(DeclarationError, match="number their days differently: dates with integers share no day"):
        aggregation(FLIGHTS, NUMBERED)(made(takes="flights, orders"))
    with pytest.raises(DeclarationError, match=r"aggregation departures \(.*\): two sources have one name"):
        aggregation(FLIGHTS, Source("w/{day}.csv", name="flights"))(made(takes="flights, weather"))


@pytest.mark.parametrize(
    ("template", "options", "told"),
    [
        (
            "f/{day}.csv",
            {"null_value": "NA"},
            "polars.scan_csv has no option 'null_value'; did you mean 'null_values'?",
        ),
        ("f/{day}.ndjson", {"separator": ";"}, "polars.scan_ndjson has no option 'separator'"),
        ("f/{day}.json", {"schemas": {}}, "polars.read_json has no option 'schemas'; did you mean 'schema'?"),
        ("f/{day}.parquet", {"zzzzz": 1}, "polars.scan_parquet has no option 'zzzzz'"),
        ("f/{day}.parquet", {"_table_statistics": 1}, "has no option '_table_statistics'"),
        ("f/{day}.csv", {"source": "x"}, "polars.scan_csv has no option 'source'"),
        ("f/{day}.csv", {"glob": True}, "option 'glob' is Noonmark's to set (False)"),
        ("f/{day}.parquet", {"hive_partitioning": True}, "option 'hive_partitioning' is Noonmark's to set (False)"),
        ("f/{day}.txt", {}, "ends in '.txt'; expected one of .csv, .csv.gz, .csv.zst, .ndjson"),
        ("f/{day}.csv.bz2", {}, "ends in '.bz2'; expected one of .csv"),
        ("f/{day}.parquet.gz", {}, "ends in '.parquet.gz'; expected one of"),
        ("f/{day}/*", {}, "ends in 'no fixed suffix'; expected one of"),
        ("f/{day}", {}, "ends in 'no fixed suffix'; expected one of"),
        ("f/{day}.csv", {"separator": ";;"}, "separator=';;': expected one character of one byte, such as ','"),
        ("f/{day}.csv", {"quote_char": "«"}, "quote_char='«': expected one character of one byte"),
        ("f/{day}.csv", {"eol_char": 10}, "eol_char=10: expected one character of one byte, such as '\\n'"),
        ("f/{day}.csv", {"separator": '"'}, "separator and quote_char are both '\"'; expected different characters"),
        ("f/{day}.csv", {"skip_lines": -1}, "skip_lines=-1: expected a whole number from 0"),
        ("f/{day}.csv", {"comment_prefix": ""}, "comment_prefix='': expected text, such as '#'"),
        (
            "f/{day}.csv",
            {"schema": {"a": "int"}},
            "schema gives 'a' the type 'int'; expected a polars dtype, such as pl.I",
        ),
        ("f/{day}.json", {"schema": {"a": str}}, "the type <class 'str'>; expected a polars dtype, such as pl.String"),
        (
            "f/{day}.csv",
            {"schema_overrides": [pl.Int8, "x"]},
            "schema_overrides gives 1 the type 'x'; expected a polars",
        ),
        (
            "f/{day}.ndjson",
            {"schema": {"a": pl.Int8}},
            "schema gives 'a' the type Int8, which polars does not read from JSON; expected pl.Int64, and a cast",
        ),
        ("f/{day}.json.gz", {"schema": {"a": pl.Decimal(9, 2)}}, "does not read from JSON; expected pl.Float64, and a"),
        ("f/{day}.jsonl", {"schema_overrides": {"a": pl.Time}}, "from JSON; expected pl.String, and str.to_time() in"),
        ("f/{day}.ndjson", {"schema": [("a", pl.Array(pl.Int64, 2))]}, "from JSON; expected pl.List, and list.to_arr"),
        (
            "f/{day}.json",
            {"schema": {"a": pl.List(pl.Struct({"b": pl.Duration("us")}))}},
            "from JSON; expected pl.Int64",
        ),
        ("f/{day}.csv", {"schema": ["a"]}, "schema=['a']: expected names with polars dtypes, such as schema={"),
    ],
)
def test_a_source_that_cannot_be_meant(template: str, options: dict[str, Any], told: str) -> None:
    """Found while the module is imported: the template, the option and the nearest known one."""
    with pytest.raises(DeclarationError) as caught:
        Source(template, **options)
    assert told in str(caught.value)
    assert f"source '{template}'" in str(caught.value)


@pytest.mark.parametrize(
    ("dtype", "value", "wrong"),
    [
        *((dtype, "3", "1.5") for dtype in (pl.Int32, pl.Int64, pl.UInt32, pl.UInt64)),
        *((dtype, "1.5", "true") for dtype in (pl.Float32, pl.Float64)),
        (pl.Boolean, "true", "1"),
        (pl.Date, '"2024-01-02"', "1"),
        (pl.Datetime("us"), '"2024-01-02T10:00:00"', "1"),
        (pl.Enum(["a"]), '"a"', '"b"'),
        (pl.Categorical, '"a"', "1"),
        (pl.List(pl.Int8), "[1]", "[300]"),
        (pl.Struct({"a": pl.UInt16}), '{"a":1}', '{"a":-1}'),
    ],
)
def test_the_other_types_are_read_from_json(dtype: Any, value: str, wrong: str) -> None:
    """Each reads what it should, and refuses what it would have to change."""
    for suffix, text in (("ndjson", '{{"a":{}}}\n'), ("json", '[{{"a":{}}}]')):
        source = Source(f"f/{{day}}.{suffix}", schema={"a": dtype})
        assert source.scan([text.format(value).encode()]).collect()["a"].null_count() == 0
        with pytest.raises(pl.exceptions.PolarsError):
            source.scan([text.format(wrong).encode()]).collect()


def test_the_suffix_may_be_written_in_capitals() -> None:
    """``.CSV`` is CSV, as files from other systems are often named."""
    assert Source("f/{day}.CSV").format == Source("f/{day}.csv").format


def test_options_go_to_polars() -> None:
    """What the source says of its files is what polars is told."""
    source = Source("f/{day}.csv", separator=";", null_values=["NA"], schema_overrides={"x": pl.Float64})
    rows = source.scan([b"x;y\n1;NA\n"]).collect()
    assert rows.schema == {"x": pl.Float64, "y": pl.String}
    assert rows.rows() == [(1.0, None)]
    assert Source("f/{day}.csv", schema={"x": pl.String}).scan([b"x\n1\n"]).collect().rows() == [("1",)]


def test_read_takes_paths_and_returns_a_frame(tmp_path: Path) -> None:
    """``read=`` gets the day's files as paths; what it returns must be a frame, or the message says what it was."""
    taken: list[list[Path]] = []

    def read(files: list[Path]) -> pl.LazyFrame:
        taken.append(files)
        return pl.LazyFrame({"names": [file.name for file in files]})

    source = Source("f/{day}/*", read=read)
    paths = [tmp_path / "a.bin", tmp_path / "b.bin"]
    assert source.read_files(paths, DAY).lazy().collect()["names"].to_list() == ["a.bin", "b.bin"]
    assert taken == [paths]
    eager = Source("f/{day}/*", read=lambda _: pl.DataFrame({"x": [1]}))
    assert eager.read_files(paths, DAY).lazy().collect().rows() == [(1,)]
    nothing: Any = Source("f/{day}/*", read=lambda _: None)  # type: ignore[arg-type, return-value]
    told = r"read= of source 'f/\{day\}/\*': it returned None, expected a polars LazyFrame or DataFrame: a return"
    with pytest.raises(TypeError, match=told):
        nothing.read_files(paths, DAY)


def test_read_gets_the_options_that_are_given_and_the_day() -> None:
    """Each option as it stands, and a keyword-only ``day`` as a date or a number; nothing that was not given."""
    taken: list[dict[str, Any]] = []

    def read(files: list[Path], *, day: object, schema: object, **others: Any) -> pl.DataFrame:
        taken.append({"day": day, "schema": schema, **others})
        return pl.DataFrame()

    given: dict[str, Any] = {"schema": {"a": pl.Int64}, "encoding": "cp1252", "sheet": 2}
    Source("f/{day}.xls", read=read, **given).read_files([], "2024-02-29")
    assert taken == [{"day": dt.date(2024, 2, 29), **given}]
    numbered = Source("f/{day:int}.xls", read=read, schema={})
    numbered.read_files([], "12")
    assert taken[1] == {"day": 12, "schema": {}}


def _named(content: bytes, *, name: str) -> bytes:
    return name.encode() + content


def test_a_source_tells_whether_its_function_sees_paths() -> None:
    """Through ``read=`` and ``include_file_paths=`` a result can depend on where a file lies."""
    assert Source("f/{day}.csv", read=pl.scan_csv).shows_paths
    assert Source("f/{day}.csv", include_file_paths="path").shows_paths
    assert Source("f/{day}.csv", prepare=_named).shows_paths
    assert not Source("f/{day}.csv", prepare=bytes.upper).shows_paths
    assert not Source("f/{day}.csv", separator=";").shows_paths
