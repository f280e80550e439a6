"""Templates: a path has one day or none, a day has one pattern, and what could be read in two ways is refused.

The judge is a naive matcher of its own: it writes the day into the text and matches that, character by character.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from functools import cache

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from state.errors import ConfigurationError, DeclarationError
from tasks.templates.template import NO_DAY, Template
from tests.builders import path_day

GOOD = [
    # template, path, day
    ("flights/{day}/*.csv", "flights/2013-01-01/flights.csv", "2013-01-01"),
    ("{day}*.csv", "2013-01-01.csv", "2013-01-01"),
    ("{day}*.csv", "2013-01-01-late.csv", "2013-01-01"),
    ("*-{day}.csv", "a-2013-01-02-2013-01-01.csv", "2013-01-01"),
    ("*{day:%Y%m%d}.csv", "1120130101.csv", "2013-01-01"),
    ("name-{day:%Y%m%d}-*.csv", "name-20130101-20130102.csv", "2013-01-01"),
    ("dt={day}/**/*.ndjson.gz", "dt=2013-01-01/a/b/x.ndjson.gz", "2013-01-01"),
    ("dt={day}/**/*.ndjson.gz", "dt=2013-01-01/x.ndjson.gz", "2013-01-01"),
    ("{day}/**", "2013-01-01/x", "2013-01-01"),
    ("{day}/**", "2013-01-01/a/b/x", "2013-01-01"),
    ("**/{day}.csv", "2013-01-02/2013-01-01.csv", "2013-01-01"),
    ("**/{day}.csv", "2013-01-01.csv", "2013-01-01"),
    ("**/**/{day}.csv", "a/2013-01-01.csv", "2013-01-01"),
    ("{day:int}/orders_{day:int}.csv", "10/orders_10.csv", "10"),
    ("{day:int}.csv", "0.csv", "0"),
    ("{day:int}.csv", "999999999999999999.csv", "999999999999999999"),
    ("*_{day:int}.csv", "1_12.csv", "12"),
    ("{day:%Y/%m/%d}.json", "2013/01/31.json", "2013-01-31"),
    ("{day:%Y}/{day:%Y-%m-%d}.csv", "2013/2013-01-31.csv", "2013-01-31"),
    ("{day:%Y}/{day:%m}/{day:%d}.csv", "2013/01/31.csv", "2013-01-31"),
    ("{day:%m-%d-%Y}.csv", "01-31-2013.csv", "2013-01-31"),
    ("{day:%Y}/{day:%j}.csv", "2012/366.csv", "2012-12-31"),
    ("{day:%y%m%d}.csv", "690101.csv", "1969-01-01"),
    ("{day:%y%m%d}.csv", "681231.csv", "2068-12-31"),
    ("{day:%y%m%d}/{day:%Y}.csv", "130101/1913.csv", "1913-01-01"),
    ("{day:%Y}.csv/{day:%j}{day:%m}{day:%d}", "0999.csv/0320201", "0999-02-01"),
    ("/mnt/x/{day}.csv", "mnt/x/2013-01-01.csv", "2013-01-01"),
    ("[ab]/n=1/{day}.csv", "[ab]/n=1/2013-01-01.csv", "2013-01-01"),
    ("{day}/?.csv", "2013-01-01/\n.csv", "2013-01-01"),
    ("{day}/*.csv", "2013-01-01/\udcff\udcfe.csv", "2013-01-01"),
    ("{day}/.*", "2013-01-01/.x", "2013-01-01"),
    ("{day:%Y.%m.%d}%20.csv", "2013.01.31%20.csv", "2013-01-31"),
]


@pytest.mark.parametrize(("text", "path", "day"), GOOD)
def test_a_path_is_read_as_its_day(text: str, path: str, day: str) -> None:
    """Each kind of template of the contract finds the day, and the day's own matcher agrees."""
    template = Template.parse(text)
    assert path_day(template, path) == day
    assert naive(concrete(text.lstrip("/"), day), path)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("{day}/*.csv", "2013-01-01/.hidden.csv"),
        ("{day}/*.csv", "2013-01-01/.csv"),
        ("{day}/?x", "2013-01-01/.x"),
        ("{day}/*.csv", "2013-01-01/a/b.csv"),
        ("{day}/*.csv", "x2013-01-01/b.csv"),
        ("{day}/*.csv", "2013-01-01/b.csv\n"),
        ("{day}/*.csv", "2013-01-01//b.csv"),
        ("{day}/*.csv", "/2013-01-01/b.csv"),
        ("{day}/**/x", "2013-01-01/.git/x"),
        ("{day}/**", "2013-01-01/a/.x"),
        ("{day}/**", "2013-01-01"),
        ("{day}/.*/x", "2013-01-01/../x"),
        ("{day}.csv", "٢٠١٣-01-01.csv"),
        ("{day:int}.csv", "٣.csv"),
        ("{day:int}.csv", "-1.csv"),
        ("[ab]{day}", "a2013-01-01"),
        ("x.csv/{day}", "xxcsv/2013-01-01"),
        ("{day:%Y%m%d}.csv", "2013011.csv"),
    ],
)
def test_what_does_not_match_has_no_day_and_is_no_stray(text: str, path: str) -> None:
    """Hidden names, other depths, other digits and glob classes are none of a source's business."""
    template = Template.parse(text)
    assert path_day(template, path) is None


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("{day}/*.csv", "2013-02-29/x.csv"),
        ("{day}/*.csv", "0000-01-01/x.csv"),
        ("{day:%Y}/{day:%j}.csv", "2013/366.csv"),
        ("{day:%Y}/{day:%j}.csv", "2013/000.csv"),
        ("{day:%y%j}.csv", "68367.csv"),
        ("{day:%y%m%d}/{day:%Y}.csv", "000229/1900.csv"),
        ("{day:%Y}/{day:%j}.csv", "9999/367.csv"),
        ("{day:%Y}/{day:%j}.csv", "0001/000.csv"),
        ("{day:int}.csv", "007.csv"),
        ("{day:int}.csv", "1000000000000000000.csv"),
        ("{day:int}/orders_{day:int}.csv", "1/orders_12.csv"),
        ("{day:%Y}/{day}.csv", "2013/2014-01-01.csv"),
        ("{day:%y}/{day}.csv", "14/2013-01-01.csv"),
        ("{day}/{day:%j}.csv", "2013-02-01/033.csv"),
        ("{day}/{day}-*.csv", "2013-01-01/2013-01-02-y.csv"),
    ],
)
def test_a_stray_is_told_from_a_path_of_another_shape(text: str, path: str) -> None:
    """A path with digits in the right places that is no day, or two, has no day and is a stray."""
    template = Template.parse(text)
    assert path_day(template, path) == NO_DAY


BAD = [
    ("flights/*.csv", "no {day} in it", "'flights/{day}/*.csv'"),
    ("", "no {day}", "{day}"),
    ("{date}.csv", "{date} is not a placeholder", "{day}"),
    ("{}.csv", "{} is not a placeholder", "{day}"),
    ("{day:}.csv", "{day:} is not a placeholder", "{day}"),
    ("{day!r}.csv", "{day!r} is not a placeholder", "{day}"),
    ("{day:integer}.csv", "{day:integer} holds no part of a date", "{day:int}"),
    ("{day:%Y-%m-%d %H}.csv", "holds %H", "%Y, %y, %m, %d and %j"),
    ("{day:%-d%m%Y}.csv", "holds %-", "%Y, %y, %m, %d and %j"),
    ("{day:%Y%%%m%d}.csv", "holds %%", "%Y, %y, %m, %d and %j"),
    ("{day:%Y%m%d%}.csv", "holds %", "%Y, %y, %m, %d and %j"),
    ("{day:%Y*%m%d}.csv", "holds '*'", "outside of the braces"),
    ("{day.csv", "'{' without its '}'", "{day}"),
    ("{day}}.csv", "'}' without its '{'", "{day}"),
    ("{{day}}.csv", "braces within braces", "{day}"),
    ("{a{day}}.csv", "braces within braces", "{day}"),
    ("./{day}.csv", "'.' as a segment", "without it"),
    ("../{day}.csv", "'..' as a segment", "absolute"),
    ("{day:%Y/../%m-%d}", "'..' as a segment", "absolute"),
    ("a//{day}.csv", "an empty segment", "'folder/*'"),
    ("{day}/", "an empty segment", "'folder/*'"),
    ("//{day}", "an empty segment", "'folder/*'"),
    ("{day}/{day:int}.csv", "{day:int} and a date", "one of the two"),
    ("{day}\n.csv", "a newline or a NUL", "'?'"),
    ("{day}\0.csv", "a newline or a NUL", "'?'"),
    ("s3://bucket/{day}.csv", "s3:// is an object store, and those come later", "/a/path"),
    ("gs://bucket/{day}.csv", "gs:// is an object store", "/a/path"),
    ("abfs+x://c/{day}.csv", "abfs+x:// is an object store", "/a/path"),
    ("{day}/a**.csv", "'**' that does not stand alone", "single '*'"),
    ("{day}/***", "'**' that does not stand alone", "single '*'"),
    ("{day:%Y-%m}.csv", "lack the day of the month", "%Y with %m and %d"),
    ("{day:%m-%d}.csv", "lack the year", "{day}"),
    ("{day:%Y}.csv", "lack the month and the day of the month", "%j"),
    ("{day:%j}.csv", "lack the year", "%j"),
    ("{day:int}{day:int}", "two days, since '{day:int}' next to {day:int}", "not a digit"),
    ("*{day:int}.csv", "two days, since '*' next to {day:int}", "'v1_{day:int}.csv'"),
    ("{day:int}*.csv", "two days, since '*' next to {day:int}", "'v1_{day:int}.csv'"),
    ("{day:int}?.csv", "two days, since '?' next to {day:int}", "'v1_{day:int}.csv'"),
    ("v1{day:int}.csv", "two days, since '1' next to {day:int}", "'v1_{day:int}.csv'"),
    ("{day:int}0.csv", "two days, since '0' next to {day:int}", "'v1_{day:int}.csv'"),
    ("{day:int}/orders{day:int}*.csv", "two days, since '*' next to {day:int}", "'v1_{day:int}.csv'"),
    ("*-{day:int}-*.csv", "{day:int} stands between two '*'", "single '*'"),
    ("*{day}*.csv", "{day} stands between two '*'", "single '*'"),
    ("**/{day}/**", "{day} stands between two '**'", "single '**'"),
    ("**/{day:%Y}/**/{day:%m-%d}.csv", "{day:%Y} stands between two '**'", "single '**'"),
    ("{day:%y%m%d}-*-{day:%Y}-*", "{day:%Y} stands between two '*'", "single '*'"),
    ("{day:%Y-%m}/*{day}*", "{day} stands between two '*'", "single '*'"),
    ("{day}/*-{day}-*.csv", "{day} stands between two '*'", "single '*'"),
    ("**/.{day}/**/x.csv", "{day} stands between two '**'", "single '**'"),
]


@pytest.mark.parametrize(("text", "found", "write"), BAD)
def test_a_bad_template_says_what_is_wrong_and_what_to_write(text: str, found: str, write: str) -> None:
    """An error at import names the template, the fault and the remedy."""
    with pytest.raises(DeclarationError) as raised:
        Template.parse(text)
    problem, _, remedy = raised.value.message.partition("; write ")
    assert problem.startswith(f"template {text!r}: ")
    assert found in problem
    assert write in remedy


def test_what_a_template_tells_about_itself() -> None:
    """Kind, root and format are read off the template; equality goes by text."""
    dates, integers = Template.parse("/mnt/{day}/*.CSV.gz"), Template.parse("n/{day:int}/part.ndjson.zst")
    assert (dates.kind, dates.absolute, dates.suffix) == ("date", True, ".csv.gz")
    assert (integers.kind, integers.absolute, integers.suffix) == ("int", False, ".ndjson.zst")
    assert dates == Template.parse("/mnt/{day}/*.CSV.gz") != integers
    assert len({dates, Template.parse(dates.text)}) == 1
    with pytest.raises(AttributeError):
        dates.text = "x"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "suffix"),
    [
        ("{day}.parquet", ".parquet"),
        ("{day}/a.b.jsonl", ".jsonl"),
        ("{day}/*", ""),
        ("{day}/**", ""),
        ("{day}/x.csv*", ""),
        ("{day}/*.?sv", ""),
        ("a.csv/{day}", ""),
        ("{day}csv", ""),
        ("{day:%Y.%m.%d}", ""),
        ("{day}/*.gz", ".gz"),
        ("{day}/*.tar.bz2", ".bz2"),
    ],
)
def test_the_suffix_is_what_every_file_ends_with(text: str, suffix: str) -> None:
    """Where the end of the name is left open, no format is guessed."""
    assert Template.parse(text).suffix == suffix


def test_a_pattern_shows_where_a_day_would_be() -> None:
    """The day → pattern way, and its refusal of a day that the template has no way to write."""
    assert Template.parse("/x/{day:%Y/%m}/*{day:%d}.csv").pattern("2013-01-31") == "/x/2013/01/*31.csv"
    assert Template.parse("{day:int}/**").pattern("12") == "12/**"
    for text, day in [("{day}", "12"), ("{day:int}", "2013-01-01"), ("{day:%y%m%d}", "1950-01-01"), ("{day}", "x")]:
        assert not Template.parse(text).covers(day)
        with pytest.raises(ConfigurationError, match=re.escape(f"{text!r} has no day {day!r}")):
            Template.parse(text).pattern(day)


# --- the naive judge ---------------------------------------------------------------------------------------------


def concrete(text: str, day: str) -> str:
    """The template with the day written into it."""

    def write(found: re.Match[str]) -> str:
        form = found[1] or ":%Y-%m-%d"
        if form == ":int":
            return day
        date = dt.date.fromisoformat(day)
        codes = {"%Y": f"{date.year:04}", "%y": f"{date.year % 100:02}", "%m": f"{date.month:02}"}
        codes |= {"%d": f"{date.day:02}", "%j": f"{date.toordinal() - dt.date(date.year, 1, 1).toordinal() + 1:03}"}
        return re.sub("%[YymdJj]", lambda code: codes[code[0]], form[1:])

    return re.sub(r"\{day(:[^}]*)?\}", write, text)


def naive(pattern: str, path: str) -> bool:
    """Whether a shell's pattern (with ``**``) matches a path."""

    def names(p: str, name: str, start: bool = True) -> bool:
        if not p:
            return not name
        if p[0] in "*?" and start and name.startswith("."):
            return False
        if p[0] == "*":
            return names(p[1:], name, start) or (name != "" and names(p, name[1:], False))
        return name != "" and p[0] in ("?", name[0]) and names(p[1:], name[1:], False)

    def folders(ps: list[str], parts: list[str]) -> bool:
        if not ps or not parts:
            return not ps and not parts
        if ps[0] == "**":
            deeper = not parts[0].startswith(".") and folders(ps, parts[1:])
            return deeper or folders(ps[1:], parts) or (ps == ["**"] and len(parts) == 1 and parts[0][0] != ".")
        return names(ps[0], parts[0]) and folders(ps[1:], parts[1:])

    return {"", ".", ".."}.isdisjoint(path.split("/")) and folders(pattern.split("/"), path.split("/"))


@cache
def names_meet(a: str, b: str, visible: bool, start: bool = True) -> bool:
    """Whether one name can match both patterns; a ``visible`` one has no leading dot."""
    if not a and not b:
        return not start
    if (a[:1] == "*" and names_meet(a[1:], b, visible, start)) or (
        b[:1] == "*" and names_meet(a, b[1:], visible, start)
    ):
        return True
    for p, q in itertools.product(a[:1], b[:1]):
        letters = {p, q} - {"*", "?"} or {"x"}
        if len(letters) == 1 and (start or p + q != "**") and not (visible and start and letters == {"."}):
            return names_meet(a if p == "*" else a[1:], b if q == "*" else b[1:], visible, False)
    return False


def paths_meet(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    """Whether one path can match both patterns: the exact question of ambiguity, for two given days."""
    if not a or not b:
        return not a and not b
    for p, q in ((a, b), (b, a)):
        if p[0] == "**":
            swallows = q[0] == "**" or names_meet("*", q[0], True)
            return paths_meet(p[1:], q) or (swallows and paths_meet(p, q[1:]))
    visible = a[0][0] in "*?" or b[0][0] in "*?"
    return names_meet(a[0], b[0], visible) and paths_meet(a[1:], b[1:])


def two_days(text: str, days: list[str]) -> bool:
    """Whether some path could be of two of the days."""
    patterns = [tuple(re.sub(r"\*\*\Z", "**/*", concrete(text, day)).split("/")) for day in days]
    return any(paths_meet(a, b) for a, b in itertools.combinations(patterns, 2))


def named(text: str, days: list[str]) -> list[str]:
    """The days that a template can name: by POSIX, two digits of a year are 1969 to 2068."""
    century = "%Y" in text or "{day}" in text or "{day:int}" in text
    return [day for day in days if century or "1969" <= day[:4] <= "2068"]


DATES = ["2013-01-01", "2013-01-02", "2013-02-01", "2014-01-01", "1913-01-01", "2012-12-31", "2013-01-31"]
INTEGERS = ["0", "1", "2", "11", "12", "21", "111", "112", "121", "1212"]
DATE_PARTS = ["{day}", "{day:%Y%m%d}", "{day:%Y}", "{day:%m}", "{day:%d}", "{day:%y}", "{day:%j}", "{day:%Y/%m/%d}"]
GLUE = ["*", "?", "/", "/", "/**/", "-", ".", "/.", "x", "1", ".csv", "[a]"]


def texts(parts: list[str]) -> st.SearchStrategy[str]:
    """Templates of a few pieces, most of them close to the line between good and bad."""
    piece = st.one_of(st.sampled_from(parts), st.sampled_from(GLUE))
    return st.lists(piece, min_size=1, max_size=8).map(lambda pieces: re.sub("/+", "/", "".join(pieces)).strip("/"))


def parsed(text: str) -> tuple[Template | None, str]:
    """The template, or why it is refused."""
    try:
        return Template.parse(text), ""
    except DeclarationError as error:
        return None, error.message


@settings(max_examples=600, deadline=None)
@given(texts(DATE_PARTS))
@example("**/.{day}/**")
@example("{day:%y%m%d}*{day:%Y}*")
@example("**/*{day}*/**/{day}.csv")
def test_dates_are_never_accepted_where_a_path_could_have_two(text: str) -> None:
    """A path is never counted in two days. Stricter only about a placeholder between two stars."""
    template, why = parsed(text)
    if template is not None:
        assert not two_days(text, named(text, DATES))
    elif "stands between" in why:
        assert re.search(r"\*.*\{.*\*", text)


@settings(max_examples=400, deadline=None)
@given(texts(["{day:int}"]))
def test_integers_are_never_accepted_where_a_path_could_have_two(text: str) -> None:
    """Integers have no fixed width, so what stands beside them decides; stricter only about digits that touch."""
    template, _ = parsed(text)
    if template is not None:
        assert not two_days(text, INTEGERS)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_a_path_is_read_as_the_naive_matcher_reads_it(data: st.DataObject) -> None:
    """day(path) is the one day whose pattern matches; the pinned matcher of every other day says no."""
    parts, days, more = data.draw(
        st.sampled_from([(DATE_PARTS, DATES, [*DATES, "20130101", "2013", "01"]), (["{day:int}"], INTEGERS, INTEGERS)])
    )
    text = data.draw(texts(parts))
    template, _ = parsed(text)
    if template is None:
        return
    written = concrete(text, data.draw(st.sampled_from(named(text, days))))
    filler = st.sampled_from(["", "x", "-", ".", "y/z", "/.h/", *more])
    path = "".join(data.draw(filler) if c == "*" else "x" if c == "?" else c for c in re.sub(r"\*\*", "*", written))
    expected = {day for day in named(text, days) if naive(concrete(text, day), path)}
    assert len(expected) <= 1
    found = path_day(template, path) or None
    assert {found} & set(days) == expected
    assert found is None or naive(concrete(text, found), path)


@settings(max_examples=200, deadline=None)
@given(texts(DATE_PARTS), st.dates())
def test_a_day_written_is_the_day_read(text: str, date: dt.date) -> None:
    """Roundtrip over the whole calendar: the paths of a day's pattern are read as that day."""
    template, _ = parsed(text)
    day = date.isoformat()
    if template is None:
        return
    if not template.covers(day):
        assert named(text, [day]) == []
        return
    assert template.pattern(day) == concrete(text, day)
    assert path_day(template, template.pattern(day).replace("**", "a/b").replace("*", "x").replace("?", "x")) == day


@given(st.integers(min_value=0, max_value=10**18 - 1))
def test_an_integer_written_is_the_integer_read(number: int) -> None:
    """Roundtrip over all the integers of the contract."""
    template = Template.parse("{day:int}/a_{day:int}-*.csv")
    assert path_day(template, template.pattern(str(number)).replace("*", "7")) == str(number)
