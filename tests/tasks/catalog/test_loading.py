"""Finding what the user declared: packages and their modules, and every way in which that can be wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prefect.exceptions import TerminationSignal

from state.errors import CHECK, ConfigurationError, DeclarationError, Interrupted
from tasks.catalog.load import load
from tasks.planning import planned

HEAD = "from tasks.catalog import Source, aggregation\nflights = Source('flights/{day}/*.csv')\n"
Write = Callable[..., str]


def function(name: str, source: str = "flights", version: int = 1) -> str:
    """A declared aggregation."""
    return f"@aggregation({source}, version={version})\ndef {name}(flights):\n    'A result.'\n    return flights\n"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Write]:
    """Writes files of a package ``user`` below an import path of the test's own; forgets what was imported of it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(bare: str = "", **files: str) -> str:
        for name, text in files.items():
            path = tmp_path / "user" / (name.replace("__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            for folder in [path.parent, *path.parent.parents]:
                if bare != folder.name and folder.is_relative_to(tmp_path / "user"):
                    (folder / "__init__.py").touch()
            (path.parent / "__init__.py" if path.stem == "init" else path).write_text(text)
        return "user"

    yield write
    for name in [name for name in sys.modules if name.split(".")[0] == "user"]:
        del sys.modules[name]


def test_a_package_is_searched_with_all_its_modules(write: Write) -> None:
    """Modules, nested packages and the package itself; in alphabetical order of the aggregations."""
    write(
        init=HEAD + function("in_package"),
        zebra=HEAD + function("a_first"),
        deep__deeper__module=HEAD + function("nested") + function("z_last"),
        empty="",
    )
    assert list(load("user")) == ["a_first", "in_package", "nested", "z_last"]


def test_a_single_module_serves_too(write: Write) -> None:
    """NOONMARK_AGGREGATIONS may name a module, also one inside a package; its neighbours do not count then."""
    write(one=HEAD + function("first"), two=HEAD + function("second"))
    assert list(load("user.one")) == ["first"]


def test_an_aggregation_imported_elsewhere_is_one(write: Write) -> None:
    """Importing a function from another module, under another name even, does not declare it twice."""
    write(a=HEAD + function("departures"), b="from user.a import *\nfrom user.a import departures as other\n")
    assert list(load("user")) == ["departures"]


def test_the_planner_gets_each_aggregation_with_its_sources(write: Write) -> None:
    """Name, version, fingerprint, and the source's template as the key of its listing."""
    write(a=HEAD + function("departures", version=4))
    [found] = planned(load("user"))
    assert (found.name, found.version, dict(found.sources)) == ("departures", 4, {"flights": "flights/{day}/*.csv"})
    assert len(found.code) == len("2:") + 64


@pytest.mark.parametrize(("one", "other"), [("departures", "departures"), ("departures", "Departures")])
def test_two_aggregations_of_one_name(write: Write, one: str, other: str) -> None:
    """Equal names, or equal but for case, would share a folder on some file system: both places are named."""
    write(a=HEAD + function(one), b=HEAD + "\n" + function(other))
    with pytest.raises(DeclarationError) as caught:
        load("user")
    message = caught.value.message
    assert f"two aggregations are called {other} (b.py:4) and {one} (a.py:3)" in message
    assert "expected names that differ by more than case" in message


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nosuch", "NOONMARK_AGGREGATIONS=nosuch: there is no module nosuch; expected a Python module or package"),
        ("nosuch.deep", "NOONMARK_AGGREGATIONS=nosuch.deep: there is no module nosuch; expected"),
        ("user.nosuch", "NOONMARK_AGGREGATIONS=user.nosuch: there is no module user.nosuch; expected"),
        ("user.good.deep", "there is no module user.good.deep"),
        ("user/good.py", "NOONMARK_AGGREGATIONS=user/good.py: there is no module user/good"),
        ("..user", "NOONMARK_AGGREGATIONS=..user: "),
        ("", "NOONMARK_AGGREGATIONS=: "),
    ],
)
def test_a_module_that_is_not_there(write: Write, name: str, told: str) -> None:
    """The setting, what was looked for and what was expected; exit 2."""
    write(good=HEAD + function("good"))
    with pytest.raises(ConfigurationError) as caught:
        load(name)
    assert told in caught.value.message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import nosuchlibrary.deep", "user.bad needs nosuchlibrary: No module named 'nosuchlibrary'"),
        ("from user import nosuch", "user.bad cannot be imported: ImportError"),
        ("1 / 0", "NOONMARK_AGGREGATIONS=user: user.bad cannot be imported: ZeroDivisionError: division by zero"),
        ("def broken(", "'(' was never closed"),
    ],
)
def test_a_module_that_cannot_be_imported(write: Write, text: str, told: str) -> None:
    """One broken module is an error that names it, never a silently shorter list of aggregations."""
    write(good=HEAD + function("good"), bad=text)
    with pytest.raises(ConfigurationError) as caught:
        load("user")
    assert told in caught.value.message
    assert caught.value.hint in (f"correct it, then: {CHECK}", f"pip install what it needs, then: {CHECK}")


def test_a_broken_package_inside_the_package(write: Write) -> None:
    """A subpackage that fails is named too, and not passed over as walking packages would."""
    write(good=HEAD + function("good"), deep__init="import nosuchlibrary")
    with pytest.raises(ConfigurationError, match=r"user\.deep needs nosuchlibrary"):
        load("user")


@pytest.mark.parametrize(
    "statement",
    [
        "raise SystemExit(0)",
        "raise KeyboardInterrupt",
        "raise asyncio.CancelledError",
        "raise GeneratorExit",
        "os._exit(0)",
        "raise type('Own', (Exception,), {'__str__': lambda _: 1 / 0})",
    ],
)
def test_a_module_that_leaves(write: Write, statement: str) -> None:
    """A script that ends with sys.exit(), or raises what is no Exception, is no reason to end without a word."""
    write(bad=f"import asyncio, os\n{statement}\n")
    with pytest.raises(ConfigurationError, match=r"user\.bad cannot be imported: .*\(bad\.py:2\)"):
        load("user")


@pytest.mark.parametrize("error", ["state.errors.Interrupted(2)", "prefect.exceptions.TerminationSignal(15)"])
def test_a_signal_during_the_import_is_no_fault_of_the_module(write: Write, error: str) -> None:
    """The run was told to end, on a terminal or by Prefect."""
    write(bad=f"import prefect.exceptions, state.errors\nraise {error}\n")
    with pytest.raises((Interrupted, TerminationSignal)):
        load("user")


def test_a_declaration_error_keeps_its_own_words(write: Write) -> None:
    """What the catalog says of a wrong declaration reaches the user as it was said."""
    write(bad=HEAD + "@aggregation(flights)\ndef departures(flights):\n    return flights\n")
    with pytest.raises(DeclarationError, match=r"aggregation departures \(bad\.py:3\): it has no docstring"):
        load("user")


@pytest.mark.parametrize("text", ["", HEAD, "def departures(flights):\n    'A result.'\n"])
def test_a_module_that_declares_nothing(write: Write, text: str) -> None:
    """An empty catalog is an error and not a run with nothing to do."""
    write(empty=text)
    with pytest.raises(ConfigurationError, match="NOONMARK_AGGREGATIONS=user declares no aggregation; expected"):
        load("user")


def test_what_a_module_holds_may_answer_nothing(write: Write) -> None:
    """A lazy object that raises whatever it is asked for, or a function that wraps itself, is no aggregation."""
    lazy = (
        "class Lazy:\n    def __call__(self): pass\n    def __getattr__(self, name): raise ValueError('not set up')\n"
    )
    write(a=HEAD + function("departures") + lazy + "settings = Lazy()\ndef loop(): pass\nloop.__wrapped__ = loop\n")
    assert list(load("user")) == ["departures"]


def test_a_long_error_of_a_module_is_cut_and_moves_no_cursor(write: Write) -> None:
    """A data frame that is printed into an error, or bytes read as text, fill no screen and no log."""
    write(bad="raise ValueError('a\\x1b[2J' + 'x' * 10_000_000)")
    with pytest.raises(ConfigurationError) as caught:
        load("user")
    assert r"ValueError: a\x1b[2Jxxx" in caught.value.message
    assert len(caught.value.message) < 500


def test_a_declared_function_that_another_decorator_wrapped(write: Write) -> None:
    """Decorating the declared function again must not lose it silently."""
    write(a=HEAD + "import functools\n" + function("plain") + "@functools.cache\n" + function("cached"))
    assert list(load("user")) == ["cached", "plain"]


def test_a_folder_of_modules_without_init(write: Write) -> None:
    """A folder inside the package counts, or is complained of: its aggregations are not left out silently."""
    write(a=HEAD + function("first"), deep__module=HEAD + function("second"), bare="deep")
    assert list(load("user")) == ["first", "second"]


def test_a_source_that_loosens_is_told_once_at_import(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    """An option that can change numbers is said with what it does, once for each source, and not by child processes."""
    source = (
        'flights = Source("loose/{day}/*.csv", schema={"a": pl.Int64}, '
        "ignore_errors=True, truncate_ragged_lines=True, try_parse_dates=True, "
        'encoding="utf8-lossy", missing_columns="insert")'
    )
    write(a="import polars as pl\n" + HEAD + source + "\n" + function("first") + function("second"))
    load("user", quiet=True)
    assert not caplog.records
    load("user")
    load("user")
    told = [record.getMessage() for record in caplog.records]
    assert [line.partition(": ")[0] for line in told] == [
        "source 'loose/{day}/*.csv' has ignore_errors=True",
        "source 'loose/{day}/*.csv' has truncate_ragged_lines=True",
        "source 'loose/{day}/*.csv' has try_parse_dates=True",
        "source 'loose/{day}/*.csv' has encoding=\"utf8-lossy\"",
        "source 'loose/{day}/*.csv' has missing_columns=\"insert\"",
    ]
    assert "becomes null, and sums and counts leave it out" in told[0]
