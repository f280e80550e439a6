from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from benchmarks import equality, plain, reading, work
from benchmarks.beside_peers import ALL, Peer
from benchmarks.comparison import Differs, Pair, compare, require_equal
from benchmarks.entries import ENTRIES
from benchmarks.environments import requirements
from benchmarks.figures import SMALL, Bench, Findings, Line, Target
from benchmarks.headlines import HEADLINES, LOST
from benchmarks.layouts import LAYOUTS
from benchmarks.machine import PEERS
from benchmarks.many_days import FOUR, LINEITEM
from benchmarks.measurements import RESULTS, page, tables
from benchmarks.project import Project
from benchmarks.timing import CHECKOUT, Command, ItFailed, Spread, ratio, run
from state.inputs.root import InputRoot
from tasks.catalog.load import load
from tasks.inputs.listing import list_source

DAYS = 3


@pytest.fixture(scope="module")
def bench(api_url: str, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A work folder with three made-up days."""
    where = tmp_path_factory.mktemp("work")
    (where / "lines/input").mkdir(parents=True)
    work.lines(where / "lines/input", DAYS, where)
    return Bench(where, 1, SMALL, 2, api_url)


@pytest.fixture(scope="module")
def floor(bench: Bench) -> Path:
    """What the plain loop made of them."""
    output = bench.work / "plain"
    run(_plain(bench, output))
    return output


def _plain(bench: Bench, output: Path, *options: str) -> Command:
    words = ["-m", "benchmarks.plain", LINEITEM, str(bench.work / "lines/input"), str(output), "2", *options]
    anew = partial(shutil.rmtree, output, ignore_errors=True)
    return Command([sys.executable, *words], dict(os.environ), before=anew)


def test_noonmark_and_the_plain_loops_give_equal_results(bench: Bench, floor: Path) -> None:
    """Both shapes of the plain loop, and a real run; an empty run commits nothing."""
    ours = Project(bench, bench.work / "lines/input", bench.work / "ours", LINEITEM, 2)
    run(ours.run("daily"))
    require_equal(floor, ours.output, FOUR)
    empty = ours.empty_run()
    committed = {path: path.stat().st_ino for path in ours.output.glob("*/day=*/data.parquet")}
    run(empty)
    assert {path: path.stat().st_ino for path in ours.output.glob("*/day=*/data.parquet")} == committed
    require_equal(floor, ours.output, FOUR)
    run(_plain(bench, bench.work / "together", "--together"))
    require_equal(floor, bench.work / "together", FOUR)
    assert len(list(reading.results(ours.output))) == len(list(reading.results(floor))) == DAYS * len(FOUR)


def test_the_comparison_catches_what_differs(floor: Path, tmp_path: Path) -> None:
    """A digit of an exact column, a lost day, and a float that is off are each named."""
    changed = tmp_path / "changed"
    shutil.copytree(floor, changed)
    require_equal(floor, changed, FOUR)
    file = next(changed.glob("by_status/day=*/data.parquet"))
    pl.read_parquet(file).with_columns(pl.col("price") + pl.lit("0.01").cast(pl.Decimal(15, 2))).write_parquet(file)
    with pytest.raises(Differs, match="by_status: column price"):
        require_equal(floor, changed, FOUR)
    shutil.rmtree(file.parent)
    with pytest.raises(Differs, match="rows, expected"):
        require_equal(floor, changed, ("by_status",))


def test_floats_may_differ_in_their_last_bits_alone() -> None:
    """An engine sums in an order of its own; it does not turn an exact column into floats."""
    expected = pl.DataFrame({"day": ["1", "2"], "mean": [1.0, 3.0], "count": [1, 2]})
    assert equality.difference(expected, expected.reverse().with_columns(pl.col("mean") * (1 + 1e-12))) is None
    off = equality.difference(expected, expected.with_columns(pl.col("mean") * 1.0001))
    inexact = equality.difference(expected, expected.with_columns(pl.col("count").cast(pl.Float64)))
    assert "mean: 2 values" in str(off)
    assert "count is Float64" in str(inexact)


def test_every_layout_is_what_its_aggregations_read(tmp_path: Path) -> None:
    """Numbered days and the huge day, computed by the plain loop."""
    for what, module in (("readings", "benchmarks.declared.numbered"), ("events", "benchmarks.declared.huge")):
        root = tmp_path / what
        root.mkdir()
        work.LAYOUTS[what](root, DAYS, tmp_path)
        words = [sys.executable, "-m", "benchmarks.plain", module, str(root), str(tmp_path / f"{what}-out"), "1"]
        run(Command([*words, "--streaming"], dict(os.environ)))
    assert equality.results(tmp_path / "readings-out", "totals")["readings"].to_list() == [3] * DAYS
    assert equality.results(tmp_path / "events-out", "by_user")["events"].sum() == DAYS


def test_the_layouts_hold_the_same_days(tmp_path: Path) -> None:
    """In one folder and in one for each year, and each source of the benchmark finds them all."""
    found = {}
    for template, (what, module) in LAYOUTS.items():
        root = tmp_path / what
        if not root.exists():
            root.mkdir()
            work.LAYOUTS[what](root, 400, tmp_path)
        [one] = load(module).values()
        days = list_source(InputRoot(root), one.sources["readings"].template).days
        found[template] = {day: [file.size for file in files.files] for day, files in days.items()}
    first, *others = found.values()
    assert len(first) == 400
    assert others == [first] * 2


def test_the_first_days_of_an_input(bench: Bench) -> None:
    """The first by name, and the same files."""
    some = work.first_days(bench.work / "lines/input", "lineitem", 1)
    assert [path.name for path in (some / "lineitem").iterdir()] == ["1992-01-02.parquet"]


def test_files_of_a_day_are_found_as_files_or_folders(tmp_path: Path) -> None:
    """The plain loop finds both forms that the sources here have."""
    from aggregations.sources import flights
    from benchmarks.declared.lineitem import lineitem

    (tmp_path / "flights/2013-01-01").mkdir(parents=True)
    (tmp_path / "flights/2013-01-01/flights.csv").touch()
    (tmp_path / "lineitem").mkdir()
    (tmp_path / "lineitem/1992-01-02.parquet").touch()
    found = [plain.files_by_day(tmp_path, source) for source in (flights, lineitem)]
    assert [list(days) for days in found] == [["2013-01-01"], ["1992-01-02"]]


def test_processes_are_timed_and_a_failure_is_told(bench: Bench) -> None:
    """Costs are a round's own, and memory is the largest process's."""
    python = partial(Command, environment=dict(os.environ))
    sleep, empty = (python([sys.executable, "-c", code]) for code in ("import time; time.sleep(0.2)", ""))
    found = Findings()
    costs, timed = compare(bench, found, "naps", [Pair("nap", sleep, empty)])
    assert costs["nap"][0] > 0.1
    assert timed["nap, empty run"][0].peak > 1e6
    assert [line.what for line in found.lines][:2] == ["naps: nap, cost", "naps: nap, whole process"]
    assert ratio([2.0, 6.0], [1.0, 2.0]) == Spread(2.5, 2.0, 3.0)
    with pytest.raises(ItFailed, match="exit 3"):
        run(python([sys.executable, "-c", "raise SystemExit(3)"]))


def test_a_ratio_over_noise_is_no_number_and_meets_nothing() -> None:
    """Where the floor's cost is lost in the noise, nothing is shown to be met."""
    assert Target("", "", ratio([1.0, 1.0], [1.0, -1.0]), 1.3).met is False


def test_the_page_shows_what_was_kept(tmp_path: Path) -> None:
    """Figures survive being kept; missed, failed and not run are said; no path of this machine is."""
    found = Findings(when="2026-01-01 00:00 UTC", commit="abc", runs=3)
    found.targets = [Target("quick", "", Spread(1.2, 1.1, 1.4), 1.3), Target("quicker", "", Spread(1.2, 1.1, 1.4), 1.0)]
    found.lines = [Line("run", "s", Spread(1234.5, 1, 2000), 5e6)]
    found.commands = {"run": Command([sys.executable, "-m", "x", str(tmp_path / "out")], {}).shown(tmp_path)}
    found.save(tmp_path / "found.json")
    again = Findings.read(tmp_path / "found.json")
    assert again == found
    text = page({"days": again, "huge": Findings(failed=True, notes=["It failed"])})
    assert "| days | quick | 1.2 (1.1 to 1.4) | ≤ 1.3 | yes |" in text
    assert "| days | quicker | 1.2 (1.1 to 1.4) | ≤ 1 | **no** |" in text
    assert "| huge | it failed | | | no |" in text
    assert "| peers | not run | | | no |" in text
    assert (
        "| days | What does a small day cost, beside a plain polars loop? | 2026-01-01 00:00 UTC, commit abc, 3" in text
    )
    assert f"| {HEADLINES[0].sentence} | not measured |" in text
    told = tables(ENTRIES[0], again)
    assert "| run | 1,234 s (1 to 2,000) | 5 MB |" in told
    assert "python -m x $WORK/out" in told
    assert str(tmp_path) not in told


def test_what_is_told_first_was_measured() -> None:
    """Each headline is a ratio of the kept figures, what is lost as much as what is won."""
    text = (CHECKOUT / "docs/measurements.md").read_text(encoding="utf-8")
    for one in (*HEADLINES, *LOST):
        kept = Findings.read(RESULTS / f"{one.benchmark}.json")
        [found] = {target.found for target in kept.targets if target.what == one.what}
        assert f"| {one.sentence} | {found.median:.3g} (" in text
    assert "xychart-beta" in text


@pytest.mark.parametrize("peer", ALL, ids=[one.name for one in ALL])
def test_a_peers_file_stands_alone(peer: Peer) -> None:
    """It parses, pins what it needs, and knows nothing of Noonmark."""
    script = PEERS / f"{peer.name}.py"
    tree = ast.parse(script.read_text(encoding="utf-8"))
    assert all("==" in one for one in requirements(script))
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {name.partition(".")[0] for name in imported} & {"benchmarks", "flows", "state", "tasks"}


def test_every_peer_is_run() -> None:
    """No file lies unused."""
    assert sorted(path.stem for path in PEERS.glob("*.py")) == sorted(peer.name for peer in ALL)


def test_figures_of_a_trial_are_never_written() -> None:
    """``--small`` with ``--write`` is refused before anything runs."""
    words = [sys.executable, "-m", "benchmarks", "--small", "--write"]
    assert subprocess.run(words, cwd=PEERS.parents[1], capture_output=True, check=False).returncode == 2
