"""The fingerprint changes with what an aggregation says, and with nothing else."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from tasks.catalog import fingerprint as module_under_test
from tasks.catalog.fingerprint import fingerprint

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

REGISTERED = {
    "daily.py": """
import functools
import operator
import polars as pl
from tasks.catalog import Source, aggregation
import rates

flights = Source("flights/{day}.csv")
TABLE, GROUPS, ITEMS = {}, {}, {}


class Registry:
    kinds = []

    def add(self, name):
        return lambda function: self.kinds.append(name) or function


class Rule:
    pass


registry = Registry()


def register(name):
    def put(function):
        _keep(name, function)
        return function
    return put


def _keep(name, function):
    return TABLE.setdefault(name, function)


def start():
    global LIMIT
    LIMIT = 1


@register("sum")
def total(x):
    return x + 10


@functools.singledispatch
def convert(x):
    return x


@convert.register
def _(x: int):
    return x + 20


@registry.add("a")
def added(x):
    return x + 30


@rates.register
def rated(x):
    return x + 40


@pl.api.register_expr_namespace("late")
class Late:
    minutes = 50


GROUPS.setdefault("a", []).append(60)
setattr(Rule, "minutes", 70)
operator.setitem(ITEMS, "a", 80)
start()


@functools.cache
def unused(x):
    return x + 90


@aggregation(flights)
@register("departures")
def departures(flights):
    return [TABLE, convert(1), registry.kinds, pl.col("x").late, GROUPS, Rule.minutes, ITEMS, LIMIT, rates.RATES]


@aggregation(flights)
@functools.cache
@register("arrivals")
def arrivals(flights):
    return functools.reduce(max, [1, 100])


if __name__ == "__main__":
    departures("by hand").run(110)
""",
    "rates.py": """
RATES = []


def register(function):
    RATES.append(function)
    return function


@register
def rate(x):
    return x + 120
""",
}

FILLED = [
    Case("x + 10", "x + 11", "an entry that a decorator puts into a table counts"),
    Case('register("sum")', 'register("all")', "so does the name under which it stands there"),
    Case("x + 20", "x + 21", "an implementation of a single dispatch counts"),
    Case("x + 30", "x + 31", "an entry that a registry's method takes in counts"),
    Case("x + 40", "x + 41", "an entry for another module's registry counts for readers beside it"),
    Case("= 50", "= 51", "a namespace that is registered with polars counts where polars is used"),
    Case("append(60)", "append(61)", "what a method's method puts into a table counts"),
    Case("70)", "71)", "an attribute that setattr sets counts"),
    Case("80)", "81)", "an item that operator.setitem sets counts"),
    Case("LIMIT = 1", "LIMIT = 2", "a global that a function sets at import counts"),
    Case("x + 120", "x + 121", "a table that its own module fills counts where it is imported", "rates.py"),
]

APART = [
    Case("x + 90", "x + 91", "a library's decorator registers nothing"),
    Case("110)", "111)", "what only a script runs puts nothing into a table"),
]

PLAIN = {
    "c50351d0d18dbd3a0658bee49242fd649fc218df04df72ffe9b71b878b33a81d": """
import functools
CACHE = {}
class Memory:
    def cache(self, f):
        return f
memory = Memory()
def memo(f):
    def inner(x):
        CACHE[x] = f(x)
        return CACHE[x]
    return inner
@memo
def one(x):
    return x
@memo
def two(x):
    return x * 2
@memory.cache
def three(x):
    return x
@memory.cache
def four(x):
    return x
@functools.cache
def five(x):
    return x
def departures(x):
    return functools.reduce(one, [three(x), five(x)])
""",
    "6dbad84bbb66166c6d7b4e1da2c6e0fc28ece606b7b3851d69a384dc6153f46a": """
import logging
import sys
from pathlib import Path
HERE = Path(__file__).parent
sys.path.append(HERE)
logging.getLogger(__name__).setLevel(logging.INFO)
TABLE = {}
TABLE.update(a=1)
print(HERE)
def main():
    global SHOWN
    SHOWN = departures(1)
    setattr(TABLE, 'shown', SHOWN)
def departures(x):
    return TABLE, HERE, main
if __name__ == '__main__':
    main()
    departures(1).show()
""",
    "a86faac519afdfbbb32918afa1a2d477d79f212495c0193ffdfbbe335ae56623": """
class Rule:
    minutes = 15
    @property
    def late(self):
        return self._late
    @late.setter
    def late(self, late):
        self._late = late
        self.minutes += 1
RULE = Rule()
RULE.late = 5
late = 3
def departures(x, of=RULE):
    return of.late, late
""",
}
"""Modules that fill no table by a call at import, by the fingerprints that they had before such calls were seen."""

Prints = Callable[..., str]


@pytest.fixture
def print_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prints:
    """Write modules into a folder of their own, import one and take a function's fingerprint.

    The catalog is a stand-in: it is never looked into, and the real one has opinions of its own on declarations. No
    namespace stays in the polars of the other tests.
    """
    catalog = types.ModuleType("tasks.catalog")
    vars(catalog).update(
        Source=lambda template, **options: (template, options),
        aggregation=lambda *_sources, **_options: lambda function: function,
    )
    monkeypatch.setitem(sys.modules, "tasks.catalog", catalog)
    monkeypatch.setattr(pl.api, "register_expr_namespace", lambda _name: lambda namespace: namespace)

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


@pytest.mark.parametrize("case", FILLED, ids=lambda case: case.why)
def test_what_a_call_puts_into_a_table_changes_the_fingerprint_of_its_readers(case: Case, print_of: Prints) -> None:
    """A registry counts with all its entries for who reads it, and not for who only stands in it."""
    after = edited(case, REGISTERED)
    assert print_of(after) != print_of(REGISTERED)
    assert print_of(after, name="arrivals") == print_of(REGISTERED, name="arrivals")


@pytest.mark.parametrize("case", APART, ids=lambda case: case.why)
def test_what_fills_no_table_keeps_the_fingerprint(case: Case, print_of: Prints) -> None:
    """A warning about what has no say is worse than none; each case says which."""
    assert print_of(edited(case, REGISTERED)) == print_of(REGISTERED)


@pytest.mark.parametrize("digest", PLAIN)
def test_where_no_table_is_filled_fingerprints_stay_as_they_were(digest: str, print_of: Prints) -> None:
    """Nobody is warned by an upgrade: caches, settings and scripts count as before entries of registries counted."""
    assert print_of({"daily.py": PLAIN[digest]}) == digest


def test_it_is_a_whole_sha256(print_of: Prints) -> None:
    """Commit records hold it, and compare it as text."""
    assert len(print_of(FILES)) == 64
    assert int(print_of(FILES), 16)


def test_it_is_the_same_under_every_python(print_of: Prints) -> None:
    """Upgrading Python is no change of code: this constant holds under 3.11, 3.12 and 3.13 alike.

    Where the algorithm changes on purpose, every user is warned once; only then put the new value here.
    """
    assert print_of(FILES) == "1b90d9136479f06313bcdda2f58c73060ebbbe0b9bf58b791b2f84213f7ddb23"
    assert print_of(REGISTERED) == "b33499e96d833f53b28ffa173e27b6bcc7b2803c5c47c3aa3d2a4dbe5f155ccf"


def test_definitions_may_change_places(print_of: Prints) -> None:
    """Sorting the helpers of a module is housekeeping."""
    deepest = DAILY[DAILY.index("def deepest") : DAILY.index("def helper")]
    moved = DAILY.replace(deepest, "").replace("class Rule", deepest + "class Rule")
    assert moved != DAILY
    assert print_of({**FILES, "daily.py": moved}) == print_of(FILES)


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


def test_a_module_handed_on_as_a_value_counts_as_a_whole(print_of: Prints) -> None:
    """Where only the running code knows which helper it takes from a module, all of them count."""
    files = {
        "daily.py": "import rules\n\ndef departures(n):\n    return getattr(rules, n)\n",
        "rules.py": "def a(): 1\n",
    }
    assert print_of(files) != print_of({**files, "rules.py": "def a(): 2\n"})


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


def test_without_source_constants_and_names_decide() -> None:
    """A function typed at a prompt has no file: its constants and names tell it apart, and no address or line does."""

    def typed(text: str) -> str:
        names: dict[str, Callable[..., object]] = {}
        exec(text, {"__name__": "__main__"}, names)
        return fingerprint(names["f"])

    first = "def f(x, k=1):\n    return x in {'a', 'b', 'c'} or abs(x) + 2"
    assert typed(first) == typed("\n\n# moved\n" + first)
    assert len({typed(first), typed(first.replace("2", "3")), typed(first.replace("abs", "len"))}) == 3
    assert typed(first) != typed(first.replace("k=1", "k=2"))


def test_a_callable_that_is_no_function_is_refused() -> None:
    """It has no source of its own, and a digest of nothing would never change."""
    with pytest.raises(TypeError, match="needs a Python function"):
        fingerprint(partial(max, 1))


def test_only_fingerprint_is_public() -> None:
    """The module has one thing to offer."""
    own = {n for n, v in vars(module_under_test).items() if getattr(v, "__module__", "") == module_under_test.__name__}
    assert {name for name in own if not name.startswith("_")} == {"fingerprint"}
