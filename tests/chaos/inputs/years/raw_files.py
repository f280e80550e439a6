"""Two years of raw files of several collections, shaped after real ones. Each is a pure function of seed and place.

What a file was written from (``rows``) stays beside its bytes: who judges a result needs to read no file.
"""

from __future__ import annotations

import datetime as dt
import gzip
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from tests.dirt import OBJECTS, TABLES, Dirty, Objects, Table

FIRST = dt.date(2023, 1, 1)
DAYS = 730
Row = tuple[str | int | None, ...]

_SHOPS = ("Åre", "Köln, Dom", 'The "Old" Mill', "north", "south", "Zürich", "東京")
_NOTES = ("", "plain", "two\nlines", 'a "quoted" word', "comma, here", "x" * 40)
_COUNTRIES = ("France", "Germany", "Korea, South", "US", "Côte d'Ivoire")
_CITIES = ("Bonn", "Malmö", "São Paulo", "Łódź")
_ROOMS = ("Küche", "Büro", "Flur")
_PAGES = ("/", "/about", "/über")
_CLOCKS = tuple(dt.timezone(dt.timedelta(hours=hours)) for hours in (0, 5.5, -8))
_STATIONS = ("a1", "a2", "b7")


@dataclass(frozen=True)
class RawFile:
    """One file as it was meant. ``name`` is its own, without folders."""

    name: str
    rows: tuple[Row, ...]
    text: Table | Objects
    packed: bool = False
    footer: bytes = b""

    @cached_property
    def content(self) -> bytes:
        """Its bytes: asked for after each run."""
        return self.pack(self.text.content)

    def pack(self, content: bytes) -> bytes:
        """Bytes as they lie on the disk, with what a program appends that is no part of the table."""
        content += self.footer
        return gzip.compress(content, 1, mtime=0) if self.packed else content

    def soiled(self, kind: str, chance: random.Random) -> Dirty:
        """The same file with dirt of a kind in it; the content is packed."""
        text = self.text
        dirty = TABLES[kind](text, chance) if isinstance(text, Table) else OBJECTS[kind](text, chance)
        return replace(dirty, content=self.pack(dirty.content))


@dataclass(frozen=True)
class Collection:
    """One source's files. ``place`` gives folder and name of a part of a day; ``folders`` are those it may lie in.

    ``dirt`` are the kinds that its declaration makes a day fail by. ``reach``: files of so many days before and after
    a day hold rows of it. ``tables``: which aggregation joins which other collection. One that ``serves_all`` days has
    one file. ``duplicates``: what a file is that lies in two folders.
    """

    name: str
    aggregations: tuple[str, ...]
    parts: int
    rows: Callable[[random.Random, str], list[Row]]
    write: Callable[[str, Sequence[Row]], RawFile]
    place: Callable[[str, str, int], str]
    dirt: tuple[str, ...]
    folders: tuple[str, ...] = ("",)
    reach: tuple[int, int] = (0, 0)
    tables: Mapping[str, str] = field(default_factory=dict)
    serves_all: bool = False
    duplicates: str = "error"
    numbered: bool = False

    def day(self, at: int) -> str:
        """A day's name as reports have it."""
        return str(at) if self.numbered else (FIRST + dt.timedelta(days=at)).isoformat()

    def file(self, seed: int, at: int, part: int, revision: int) -> RawFile:
        """A part of a day, in its first form (0) or a later one."""
        chance = random.Random(f"{seed} {self.name} {at} {part} {revision}")
        return self.write(self.path("", at, part), self.rows(chance, self.day(at)))

    def path(self, folder: str, at: int, part: int) -> str:
        """Where it lies below the input root."""
        return self.place(folder, self.day(at), part)


def _table(path: str, rows: Sequence[Row], header: tuple[str, ...], **options: str) -> RawFile:
    records = tuple(tuple("" if value is None else str(value) for value in row) for row in rows)
    return RawFile(path.rpartition("/")[2], tuple(rows), Table((header, *records), **options))


def _objects(path: str, rows: Sequence[Row], keys: tuple[str, ...], *, lines: bool, packed: bool) -> RawFile:
    objects = tuple(dict(zip(keys, row, strict=True)) for row in rows)
    return RawFile(path.rpartition("/")[2], tuple(rows), Objects(objects, lines), packed)


def _sales(chance: random.Random, _: str) -> list[Row]:
    some = [
        (chance.choice(_SHOPS), chance.choice(_NOTES), chance.randrange(1, 500)) for _ in range(chance.randint(3, 12))
    ]
    return [*some, ("north", "plain", chance.randrange(1, 500))]


def _cases(chance: random.Random, _: str) -> list[Row]:
    some = [(None, country, chance.randrange(10**6)) for country in chance.sample(_COUNTRIES, 3)]
    return [*some, ("Hubei", "China", chance.randrange(10**6))]


def _meter(chance: random.Random, _: str) -> list[Row]:
    return [
        (chance.choice(_ROOMS), chance.choice((None, chance.randrange(50))), chance.randrange(900)) for _ in range(24)
    ]


def _trips(chance: random.Random, _: str) -> list[Row]:
    return [
        (chance.choice(_CITIES), chance.choice((None, 4)), chance.randrange(9000)) for _ in range(chance.randint(2, 9))
    ]


def _air(chance: random.Random, _: str) -> list[Row]:
    return [(station, chance.randrange(-30, 45)) for station in chance.sample(_STATIONS, chance.randint(1, 3))]


def _cases_file(path: str, rows: Sequence[Row]) -> RawFile:
    """The program that writes them is another one in the second half of each month."""
    old = int(path.rpartition("/")[2][3:5]) <= 15
    header = ("Province/State", "Country/Region", "Confirmed") if old else ("region", "country", "cases")
    return _table(path, rows, header, newline="\r\n", start="\ufeff" * old)


def _meter_file(path: str, rows: Sequence[Row]) -> RawFile:
    """A device that knows no Unicode, and appends a sum."""
    plain = _table(path, rows, ("room", "fault", "watts"), separator=";", encoding="cp1252")
    return replace(plain, footer=f"Summe;;{len(rows)}\n".encode())


def _continents(chance: random.Random, _: str) -> list[Row]:
    return [(country, chance.choice(("Asia", "Europe", "elsewhere"))) for country in (*_COUNTRIES, "China")]


def _clicks(chance: random.Random, day: str) -> list[Row]:
    """Events of the day and of those around it, by the clocks of several countries."""
    noon = dt.datetime.fromisoformat(f"{day}T11:00:00+00:00")
    times = [noon + dt.timedelta(minutes=chance.randrange(-30 * 60, 30 * 60)) for _ in range(chance.randint(2, 9))]
    return [
        (one.astimezone(chance.choice(_CLOCKS)).isoformat(), chance.choice(_PAGES), chance.randrange(1, 9))
        for one in times
    ]


STRUCTURE = tuple(TABLES)
"""Every kind of dirt of CSV files."""
ROWS = tuple(kind for kind in OBJECTS if kind not in ("0 bytes", "a time of no day"))
"""The dirt of all files of JSON objects."""

COLLECTIONS: Mapping[str, Collection] = {
    one.name: one
    for one in (
        Collection(
            "sales",
            ("items_by_shop", "sales_total"),
            3,
            _sales,
            partial(_table, header=("shop", "note", "items")),
            lambda folder, day, part: f"sales/{folder}/{day}_{part}.csv",
            STRUCTURE,
            ("inbox", "archive/2023", "archive/2024", "old disk"),
        ),
        Collection(
            "cases",
            ("cases_by_country", "cases_by_continent"),
            1,
            _cases,
            _cases_file,
            lambda folder, day, _: f"cases/{folder}/{day[5:7]}-{day[8:]}-{day[:4]}.csv",
            STRUCTURE,
            ("a", "b"),
            tables={"cases_by_continent": "continents"},
            duplicates="first",
        ),
        Collection(
            "continents",
            (),
            1,
            _continents,
            partial(_table, header=("country", "continent")),
            lambda _, __, ___: "tables/continents.csv",
            tuple(kind for kind in STRUCTURE if kind != "a bad value"),  # it has no number
            serves_all=True,
        ),
        Collection(
            "meter",
            ("power",),
            1,
            _meter,
            _meter_file,
            lambda _, day, __: f"meter/{day}.csv",
            tuple(kind for kind in STRUCTURE if kind != "a byte of cp1252"),
            numbered=True,
        ),
        Collection(
            "trips",
            ("trips_by_city",),
            3,
            _trips,
            partial(_objects, keys=("city", "seats", "metres"), lines=True, packed=True),
            lambda _, day, part: f"trips/dt={day}/{7 * part}.ndjson.gz",
            ROWS,  # a file of 0 bytes is an hour without a trip
        ),
        Collection(
            "clicks",
            ("clicks_by_page",),
            2,
            _clicks,
            partial(_objects, keys=("time", "page", "clicks"), lines=True, packed=False),
            lambda _, day, part: f"clicks/{day[:4]}/{day}-{part}.jsonl",
            (*ROWS, *3 * ("a time of no day",)),
            reach=(1, 1),
        ),
        Collection(
            "air",
            ("air_extremes",),
            1,
            _air,
            partial(_objects, keys=("station", "degrees"), lines=False, packed=False),
            lambda _, day, __: f"air/{day[:4]}/{day[5:7]}/{day[8:]}.json",
            (*ROWS, "0 bytes"),
        ),
    )
}
