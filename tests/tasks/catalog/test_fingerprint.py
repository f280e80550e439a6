"""The fingerprint changes with what an aggregation says, and with nothing else."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from tasks.catalog import fingerprint as module_under_test
from tasks.catalog.fingerprint import KIND, fingerprint

DAILY = '''
from tasks.catalog import Source, aggregation

from functools import lru_cache, wraps
import shared as common
from shared import scale, star_only as renamed
from package import exported
from stars import *

flights = Source("flights/{day}/*.csv", null_values=["NA"])
weather = Source("weather/{day}.csv")
LIMIT, UNIT = 10, "minutes"
LIMIT += 1
TABLE: dict[str, int] = {}
TABLE["a"] = 1
TABLE.update(b=2)
VERSION = 1

try:
    import no_such_module
except ImportError:
    FALLBACK = 7


def timed(function):
    @wraps(function)
    def timer(*args):
        return function(*args)

    return timer


class Rule:
    """What counts as late."""

    minutes = 15

    def late(self, minutes):
        """Whether it is."""
        return minutes > self.minutes


@lru_cache
def cached(x):
    return x + 1


def deepest(x):
    return x * 3


def helper(x, again=True):
    """A helper."""
    return helper(deepest(x), False) if again else x


def other(x):
    limit = [flights for flights in range(x)]
    return limit


@aggregation(flights, version=1)
@timed
def departures(flights, by="carrier"):
    """Departures of each carrier."""
    from late import lazily

    def inner(x):
        return x + LIMIT

    weather = "a local name, not the source"
    parts = [f"{x:>{len(UNIT)}} late" for x in sorted(TABLE)]
    return [inner(1), helper(2), cached(3), Rule().late(4), scale(5), renamed, common.twice(6), weather,
            exported(7), from_star(8), lazily(9), FALLBACK, parts, (lambda x: x - 1)(10)]
'''

FILES = {
    "daily.py": DAILY,
    "shared.py": "def scale(x):\n    return _unit(x)\n\ndef _unit(x):\n    return x / 60\n\n"
    "star_only = 1\n\ndef twice(x):\n    import daily\n    return 2 * daily.helper(x)\n\ndef idle():\n    return 1\n",
    "package/__init__.py": "from . import inner\nfrom .inner import deep as exported\n",
    "package/inner.py": "import package\nfrom .constants import FACTOR\ndef deep(x):\n    return x * FACTOR\n",
    "package/constants.py": "FACTOR = 4\nOTHER = 5\n",
    "stars.py": "def from_star(x):\n    return x + 100\n",
    "late.py": "def lazily(x):\n    return x - 100\n",
}


class Case(NamedTuple):
    """One edit of the files above: what is replaced by what, in which file, and why it counts or does not."""

    old: str
    new: str
    why: str
    file: str = "daily.py"


SAME = [
    Case("    return x * 3", "    # three of them\n    return x * 3  # here", "a comment says nothing to the machine"),
    Case("[inner(1), helper(2),", "[\n        inner(  1 ),\n        helper(2), ", "layout is the formatter's business"),
    Case('"""Departures of each carrier."""', '"""Departures."""', "the function's docstring changes no result"),
    Case('    """A helper."""\n', "", "a helper's docstring may go altogether"),
    Case('"""What counts as late."""', '"""Late."""', "a class's docstring changes no result"),
    Case('"""Whether it is."""', '"""Is it?"""', "a method's docstring changes no result"),
    Case("version=1", "version=2", "raising the version is the answer to a change, not a change"),
    Case("version=1", "version=VERSION", "a version may be a name, which is not followed either"),
    Case(", version=1", "", "a version may be left to its default"),
    Case("version=1", 'references_from="new days"', "which days see a changed reference is no change of results"),
    Case("def other(x):\n    limit", "\n\n\ndef other(x):\n    limit", "a function may move to another line"),
    Case("range(x)]", "range(x + 1)]", "a function that is not called has no say"),
    Case("def other(x):", "def another(x):\n    from late import lazily\n    return lazily(x)\n\n\ndef other(x):",
         "a new function has no say, though it imports the same helper"),
    Case('Source("weather/{day}.csv")', 'Source("weather/{day}.json")', "a local name hides the source of that name"),
    Case("VERSION = 1", "VERSION = 9", "a constant that is not used has no say"),
    Case('"minutes"\n', "'min' 'utes'\n", "how a literal is quoted or split changes nothing"),
    Case("return 1\n", "return 2\n", "an unused function of another module has no say", "shared.py"),
    Case("OTHER = 5", "OTHER = 6", "an unused constant of a package has no say", "package/constants.py"),
]  # fmt: skip

CHANGED = [
    Case("(lambda x: x - 1)", "(lambda x: x - 2)", "a lambda's body is part of the function"),
    Case("x + LIMIT", "x - LIMIT", "a nested function is part of the function"),
    Case('by="carrier"', 'by="origin"', "a default argument is part of the function"),
    Case("inner(1)", "inner(1.0)", "a literal's type counts: 1 and 1.0 give different columns"),
    Case("inner(1)", "inner(True)", "True is not 1"),
    Case('"minutes"\n', 'b"minutes"\n', "bytes are not text"),
    Case("else x\n", "else -x\n", "a helper's body counts"),
    Case("again=True", "again=1", "a helper's default counts"),
    Case("return x * 3", "return x * 4", "a helper's helper counts"),
    Case("return x + 1\n", "return x + 2\n", "a helper behind lru_cache counts"),
    Case("@lru_cache\n", "@lru_cache(maxsize=1)\n", "a helper's decorator counts"),
    Case("return function(*args)", "return function(*args[:1])", "the function's own decorators count"),
    Case("minutes = 15", "minutes = 16", "a class that is used counts"),
    Case("minutes > self", "minutes >= self", "a method of a class that is used counts"),
    Case("= 10, ", "= 11, ", "a constant of a tuple assignment counts"),
    Case("LIMIT += 1", "LIMIT += 2", "every assignment of a name counts"),
    Case('TABLE["a"] = 1', 'TABLE["a"] = 3', "a table filled item by item counts"),
    Case("update(b=2)", "update(b=3)", "a table changed by a method counts"),
    Case("FALLBACK = 7", "FALLBACK = 8", "a name inside a top-level try counts"),
    Case(":>{len(UNIT)}", ":<{len(UNIT)}", "an f-string's format counts"),
    Case('["NA"]', '["NA", ""]', "an option of the function's source counts"),
    Case("aggregation(flights,", "aggregation(weather,", "which source it reads counts"),
    Case("star_only as renamed", "scale as renamed", "what an alias stands for counts"),
    Case("import lru_cache,", "import cache as lru_cache,", "so does what a library's alias stands for"),
    Case("_unit(x)\n\n", "_unit(x) + 1\n\n", "a helper of another module counts", "shared.py"),
    Case("x / 60", "x / 61", "a helper of a helper of another module counts", "shared.py"),
    Case("star_only = 1", "star_only = 2", "an imported constant counts", "shared.py"),
    Case("return 2 *", "return 3 *", "a helper reached as module.name counts", "shared.py"),
    Case("x * FACTOR", "x + FACTOR", "a name that a package passes on is followed to its home", "package/inner.py"),
    Case("FACTOR = 4", "FACTOR = 5", "and from there through relative imports", "package/constants.py"),
    Case("x + 100", "x + 101", "a helper from a star import counts", "stars.py"),
    Case("x - 100", "x - 101", "a helper that is imported when the function runs counts", "late.py"),
]

Prints = Callable[..., str]


@pytest.fixture
def print_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prints:
    """Write modules into a folder of their own, import one and take a function's fingerprint.

    The catalog is a stand-in: it is never looked into, and the real one has opinions of its own on declarations.
    """
    catalog = types.ModuleType("tasks.catalog")
    vars(catalog).update(
        Source=lambda template, **options: (template, options),
        aggregation=lambda *_sources, **_options: lambda function: function,
    )
    monkeypatch.setitem(sys.modules, "tasks.catalog", catalog)

    def take(files: dict[str, str], module: str = "daily", name: str = "departures") -> str:
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        before = set(sys.modules)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(root)
            try:
                return fingerprint(getattr(importlib.import_module(module), name))
            finally:
                for added in set(sys.modules) - before:
                    del sys.modules[added]

    return take


def edited(case: Case, files: dict[str, str] = FILES) -> dict[str, str]:
    """The files with a case's edit made."""
    text = files[case.file]
    assert case.old in text, f"the table names text that is not there: {case.old}"
    return {**files, case.file: text.replace(case.old, case.new)}


@pytest.mark.parametrize("case", SAME, ids=lambda case: case.why)
def test_an_edit_without_meaning_keeps_the_fingerprint(case: Case, print_of: Prints) -> None:
    """Nobody is warned of a change that cannot change a result; each case says which."""
    assert print_of(edited(case)) == print_of(FILES)


@pytest.mark.parametrize("case", CHANGED, ids=lambda case: case.why)
def test_an_edit_with_meaning_changes_the_fingerprint(case: Case, print_of: Prints) -> None:
    """A change that may change a result is noticed wherever it stands; each case says where."""
    assert print_of(edited(case)) != print_of(FILES)


def test_it_says_its_kind_and_is_a_whole_sha256(print_of: Prints) -> None:
    """Commit records hold it, and only those of one kind are compared."""
    kind, _, digest = print_of(FILES).partition(":")
    assert (kind, len(digest), int(digest, 16) > 0) == (KIND, 64, True)


def test_it_is_the_same_under_every_python(print_of: Prints) -> None:
    """Upgrading Python is no change of code: this constant holds under 3.11, 3.12 and 3.13 alike.

    Where the algorithm changes on purpose, every user is warned once; only then put the new value here.
    """
    assert print_of(FILES) == "2:e7e6cc70d1b56427f9cf6b3a9e772301d8b95e0e79a8de94162f4a2645dc3f84"


def test_definitions_may_change_places(print_of: Prints) -> None:
    """Sorting the helpers of a module is housekeeping."""
    deepest = DAILY[DAILY.index("def deepest") : DAILY.index("def helper")]
    moved = DAILY.replace(deepest, "").replace("class Rule", deepest + "class Rule")
    assert moved != DAILY
    assert print_of({**FILES, "daily.py": moved}) == print_of(FILES)


def test_what_prepares_or_reads_a_source_counts(print_of: Prints) -> None:
    """The functions of the source that an aggregation has, and what they refer to, are a part of what it says."""
    source = 'Source("flights/{day}/*.csv", null_values=["NA"]'
    function = "FOOTER = 7\n\n\ndef without_footer(content, *, day):\n    return content[:-FOOTER]\n\n\nflights = "
    for argument in ("prepare", "read"):
        whole = DAILY.replace(f"flights = {source}", f"{function}{source}, {argument}=without_footer")
        prints = {
            print_of({**FILES, "daily.py": text})
            for text in (
                DAILY,
                whole,
                whole.replace("FOOTER = 7", "FOOTER = 8"),
                whole.replace("[:-FOOTER]", "[FOOTER:]"),
            )
        }
        assert len(prints) == 4


def test_what_a_late_import_has_loaded_does_not_matter(print_of: Prints) -> None:
    """A module that the function imports as it runs counts the same before and after its first call."""
    early = {**FILES, "daily.py": FILES["daily.py"] + "\n\nimport late\n"}
    assert print_of(early) == print_of(FILES)


def test_reading_runs_no_code(print_of: Prints) -> None:
    """A helper's module that is not imported yet is read, not imported."""
    print_of({**FILES, "late.py": "raise SystemExit('imported')\n\ndef lazily(x):\n    return x\n"})


def test_modules_that_import_each_other_come_to_an_end(print_of: Prints) -> None:
    """A name that two modules pass back and forth has no home; that is no reason to hang."""
    ring = "try:\n    from {} import ghost\nexcept ImportError:\n    pass\n\ndef departures():\n    return ghost\n"
    assert print_of({"daily.py": ring.format("b"), "b.py": ring.format("daily")})


def test_functions_of_one_factory_differ_by_what_they_close_over(print_of: Prints) -> None:
    """One factory may make several aggregations: the values and functions it was given are part of each."""
    text = (
        "def double(x):\n    return x * 2\n\ndef make(by, of, f):\n    def result(x, of=of):\n"
        "        return by, of, f(x)\n    return result\n\ndepartures = make('carrier', 1, double)\n"
    )
    edits = [
        ("'carrier'", "'origin'"),
        ("1, double", "2, double"),
        ("x * 2", "x * 3"),
        ("by, of, f(x)", "of, by, f(x)"),
    ]
    prints = {print_of({"daily.py": text.replace(old, new)}) for old, new in [("", ""), *edits]}
    assert len(prints) == 1 + len(edits)


def test_libraries_count_by_name_alone(print_of: Prints) -> None:
    """An upgrade of a library is recorded elsewhere: code under site-packages is named, not read."""
    files = {
        "daily.py": "import sys\nsys.path.append(__file__[:-8] + 'site-packages')\nfrom lib import f\n\n"
        "def departures():\n    return f()\n",
        "site-packages/lib.py": "def f(): return 1\n\ndef g(): pass\n",
    }
    assert print_of(files) == print_of({**files, "site-packages/lib.py": "def f(): return 2\n\ndef g(): pass\n"})
    assert print_of(files) != print_of({**files, "daily.py": files["daily.py"].replace("f\n\n", "g as f\n\n")})


def test_a_registry_s_entries_are_not_seen(print_of: Prints) -> None:
    """A limit that the documentation names: what a call at import puts into a table has no say."""
    text = (
        "TABLE = {}\n\ndef register(f):\n    TABLE[f.__name__] = f\n    return f\n\n@register\ndef total(x):\n"
        "    return x + 1\n\ndef departures(x):\n    return [f(x) for f in TABLE.values()]\n"
    )
    assert print_of({"daily.py": text}) == print_of({"daily.py": text.replace("x + 1", "x + 2")})


def test_a_callable_that_is_no_function_is_refused() -> None:
    """It has no source of its own, and a digest of nothing would never change."""
    with pytest.raises(TypeError, match="needs a Python function"):
        fingerprint(partial(max, 1))


def test_only_fingerprint_is_public() -> None:
    """The module has one thing to offer."""
    own = {n for n, v in vars(module_under_test).items() if getattr(v, "__module__", "") == module_under_test.__name__}
    assert {name for name in own if not name.startswith("_")} == {"fingerprint"}
