"""Declaring files that serve every day: what is not accepted says which, and what was expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from state.days import EVERY_DAY
from state.errors import DeclarationError
from tasks.catalog import Reference, Source, aggregation
from tasks.catalog.declare import Aggregation, declared
from tasks.planning import planned
from tasks.templates.undated import UndatedTemplate

FLIGHTS = Source("flights/{day}/*.csv")


def made(references: Any, takes: str = "flights, airlines", source: Source = FLIGHTS, **options: Any) -> Aggregation:
    """An aggregation of these references whose function has these parameters."""
    space: dict[str, Any] = {}
    exec(f"def departures({takes}):\n '''Departures.'''", space)
    found = declared(aggregation(source, references=references, **options)(space["departures"]))
    assert found is not None
    return found


def test_references_come_after_the_sources_under_their_own_names() -> None:
    """A path is short for a Reference without options; both are inputs like sources, and make no days."""
    airlines = Reference("airlines.csv", schema={"carrier": pl.String})
    found = made({"airlines": airlines, "planes": Path("/srv/planes/*.parquet")}, "flights, airlines, planes")
    assert list(found.sources) == ["flights", "airlines", "planes"]
    assert found.sources["airlines"] is airlines
    assert found.references == {"airlines", "planes"}
    [known] = planned({"departures": found})
    assert known.daily_sources == [FLIGHTS.key]
    assert known.reads("2024-01-01") == [
        ("flights", FLIGHTS.key, "2024-01-01"),
        ("airlines", "airlines.csv", EVERY_DAY),
        ("planes", "/srv/planes/*.parquet", EVERY_DAY),
    ]
    assert not known.keeps_references
    assert planned({"a": made({"airlines": airlines}, references_from="new days")})[0].keeps_references


def test_one_path_is_one_reference_for_all_aggregations() -> None:
    """So that what was read of it serves them all."""
    first, second = made({"airlines": "airlines.csv"}), made({"airlines": Path("airlines.csv")})
    assert first.sources["airlines"] is second.sources["airlines"]


@pytest.mark.parametrize(
    ("references", "takes", "options", "told"),
    [
        ({"flights": "a.csv"}, "flights, airlines", {}, "a reference and a source are both called 'flights'"),
        ({"airlines": "a.csv"}, "flights", {}, "each of its 1 sources and of its 1 references"),
        ({"airlines": 3}, "flights, airlines", {}, "reference 'airlines' is 3; expected a path, or Reference"),
        ({"airlines": FLIGHTS}, "flights, airlines", {}, "expected a path, or Reference"),
        ("airlines.csv", "flights, airlines", {}, "expected a mapping such as {'airlines': 'airlines.csv'}"),
        ({"air lines": "a.csv"}, "flights, airlines", {}, "called 'air lines'; expected a name such as a parameter"),
        (
            {"airlines": "a.csv", "planes": "p.csv"},
            "flights, planes, airlines",
            {},
            r"references come in their order \(airlines, planes\), and its parameters for them are planes, airlines",
        ),
        ({}, "flights", {"references_from": "new days"}, "references_from= without references="),
        (
            {"airlines": "a.csv"},
            "flights, airlines",
            {"references_from": "today"},
            "references_from='today', expected 'all days' or 'new days'",
        ),
        ({"airlines": "a/{day}.csv"}, "flights, airlines", {}, "serves every day; write it without, or a Source for"),
        ({"airlines": "../a.csv"}, "flights, airlines", {}, "'..' as a segment"),
        ({"airlines": "s3://bucket/a.csv"}, "flights, airlines", {}, "is an object store"),
        ({"airlines": "a.xls"}, "flights, airlines", {}, "reference 'a.xls': it ends in '.xls'; expected one of .csv"),
    ],
)
def test_what_is_wrong_with_references_is_told_where_they_are_declared(
    references: Any, takes: str, options: dict[str, Any], told: str
) -> None:
    """No reference is taken for another one, or for a source, in silence."""
    with pytest.raises(DeclarationError, match=told):
        made(references, takes, **options)


def by_day(files: list[Path], *, day: object) -> pl.LazyFrame:
    """A function for daily files."""
    assert day
    return pl.scan_csv(files)


def test_options_about_days_mean_nothing_for_a_reference() -> None:
    """They are refused, and so is a reference in a source's place."""
    with pytest.raises(DeclarationError, match=r"reference 'a.csv': it has name=; expected none"):
        Reference("a.csv", name="airlines")
    with pytest.raises(DeclarationError, match=r"settle= is about days, and a reference has none"):
        Reference("a.csv", settle="15m")
    with pytest.raises(DeclarationError, match=r"reference 'a.csv': read= \(test_references.py:\d+\) takes a day"):
        Reference("a.csv", read=by_day)
    with pytest.raises(DeclarationError, match=r"no option 'seperator'; did you mean 'separator'"):
        Reference("a.csv", seperator=";")
    with pytest.raises(DeclarationError, match=r"reference 'a.csv' among the sources; expected it in references="):
        made({}, "flights", Reference("a.csv"))


def test_its_template_has_one_day_whatever_matches() -> None:
    """What lists and reads by template needs to know no more of references."""
    template = UndatedTemplate.parse("rates/*.csv")
    assert template.covers(EVERY_DAY)
    assert not template.covers("2024-01-01")
    assert template.pattern(EVERY_DAY) == "rates/*.csv"
    assert template.day_of(frozenset()) == EVERY_DAY
    assert template.suffix == ".csv"
    assert not template.shares_folders
    assert UndatedTemplate.parse("/srv/rates.csv.gz").absolute
    assert UndatedTemplate.parse("/srv/rates.csv.gz").pattern(EVERY_DAY) == "/srv/rates.csv.gz"
