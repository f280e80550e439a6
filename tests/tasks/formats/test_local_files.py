"""Files on disk as polars is given them: the rows and the names that a path gives, and nothing mapped into memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tasks.formats.formats import FORMATS
from tests.chaos.harness.tracing import lacking
from tests.tasks.formats.test_formats import MORE, ROWS, encoded

SUFFIXES = [".csv", ".csv.gz", ".ndjson", ".ndjson.zst", ".parquet"]
ODD = ["50%.x", "%41.x", "[ab].x", "a*.x", "a?#b.x", "line\nend.x", "n=1 ä.x", "a\\b.x", "file#12", "\udcff.x"]
every_suffix = pytest.mark.parametrize("suffix", SUFFIXES)


def _put(folder: Path, suffix: str, names: list[str]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for at, name in enumerate(names):
        (folder / name).write_bytes(encoded(suffix, MORE if at else ROWS))
    return [folder / name for name in names]


@every_suffix
def test_the_paths_that_a_source_asks_for_are_true(tmp_path: Path, suffix: str) -> None:
    """``include_file_paths`` shows the path of each file as it was given, whatever the file is called."""
    names = [name for name in ODD if not name.startswith("\udcff")]
    files = _put(tmp_path, suffix, ["a.x", *names])
    rows = FORMATS[suffix].read(files, {"include_file_paths": "path"}).collect(engine="streaming")
    assert rows.columns == ["x", "y", "path"]
    assert rows["path"].to_list() == [str(files[0])] * len(ROWS) + [str(file) for file in files[1:]]
    assert rows["x"].to_list() == [1, 2, 3] + [4] * len(names)


def test_a_name_that_is_no_text_is_shown_escaped(tmp_path: Path) -> None:
    """No column of polars holds such a text; the file is read all the same."""
    [file] = _put(tmp_path, ".csv", ["\udcff.x"])
    rows = FORMATS[".csv"].read([file], {"include_file_paths": "path"}).collect()
    assert rows["path"].unique().to_list() == [f"{tmp_path}/\\xff.x"]


def test_a_root_that_goes_up_is_followed(tmp_path: Path) -> None:
    """``..`` behind a link leads where the system says, and not where the text does."""
    [file] = _put(tmp_path / "far" / "raw", ".csv", ["a.csv"])
    (tmp_path / "far" / "deep").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "deep")
    up = tmp_path / "link" / ".." / "raw" / file.name
    rows = FORMATS[".csv"].read([up], {"include_file_paths": "path"}).collect()
    assert rows["path"].unique().to_list() == [str(up)]


OPTIONS: list[tuple[str, dict[str, Any]]] = [
    (".csv", {"with_column_names": lambda names: [name.upper() for name in names]}),
    (".csv", {"infer_schema_length": None}),
    (".csv", {"infer_schema_length": 0, "row_index_name": "at", "n_rows": 2}),
    (".csv", {"schema": {"x": pl.Int32, "y": pl.String}, "skip_rows_after_header": 1}),
    (".csv", {"new_columns": ["q", "r"], "ignore_errors": True, "encoding": "utf8-lossy"}),
    (".ndjson", {"infer_schema_length": None}),
    (".ndjson", {"infer_schema_length": 1, "ignore_errors": True}),
    (".ndjson", {"schema": {"x": pl.Float64, "z": pl.String}, "row_index_name": "at"}),
    (".ndjson", {"schema_overrides": {"x": pl.String}, "n_rows": 2, "include_file_paths": "path"}),
    (".parquet", {"n_rows": 2, "row_index_name": "at", "include_file_paths": "path"}),
]


@pytest.mark.parametrize(("suffix", "options"), OPTIONS)
def test_options_mean_what_they_mean_for_a_path(tmp_path: Path, suffix: str, options: dict[str, Any]) -> None:
    """Rows, columns and their number are those that polars' own function gives for the files' paths."""
    files = _put(tmp_path, suffix, ["a.x", "b.x"])
    form = FORMATS[suffix]
    given = form.read(files, options)
    own: pl.LazyFrame = getattr(pl, form.scan.__name__)(files, **options)
    assert given.collect_schema() == own.collect_schema()
    assert given.collect(engine="streaming").equals(own.collect(engine="streaming"))
    assert given.select(pl.len()).collect(engine="streaming").item() == own.collect().height


def test_nothing_private_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made for a name or an option goes with the frame, or at once where it cannot be made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    files = _put(tmp_path, ".csv", ["50%.csv", "a.csv"])
    for options in ({}, {"infer_schema_length": None}):
        frame = FORMATS[".csv"].read(files, options)
        assert len(os.listdir(tmp_path / "tmp")) == 1
        assert frame.collect().height == len(ROWS + MORE)
        del frame
        assert os.listdir(tmp_path / "tmp") == []
    with pytest.raises(FileNotFoundError):
        FORMATS[".csv"].read([tmp_path / "gone.csv"], {"infer_schema_length": None})
    assert os.listdir(tmp_path / "tmp") == []


def test_the_rows_of_csv_are_counted_in_the_file_itself(tmp_path: Path) -> None:
    """A cache of remote files would count a former state: an edit may keep size and time."""
    file = tmp_path / "a.csv"
    for content, rows in (("x\n1\n2\n3\n", 3), ("x\n1\n234\n", 2)):
        file.write_text(content)
        os.utime(file, (0, 0))
        assert FORMATS[".csv"].read([file], {}).select(pl.len()).collect().item() == rows


READS_ALL = """
import sys
from pathlib import Path
import polars as pl
from tasks.formats.formats import FORMATS

options = [{}, {"infer_schema_length": None}, {"with_column_names": list}, {"include_file_paths": "path"}]
for suffix, form in FORMATS.items():
    files = sorted(path for path in Path(sys.argv[1]).iterdir() if path.name.endswith(suffix))
    assert len(files) == 2, files
    for chosen in options:
        if set(chosen) <= form.options:
            frame = form.read(files, chosen)
            for query in (frame, frame.select(pl.len()), frame.head(1), frame.select(pl.all().count())):
                for engine in ("streaming", "in-memory"):
                    query.collect(engine=engine)
print("read")
"""


@pytest.mark.skipif(lacking() is not None, reason=str(lacking()))
def test_polars_maps_no_file_that_may_change(tmp_path: Path) -> None:
    """Whatever the format, the option and the query: mapped, a file that is cut short kills the whole run."""
    for suffix in FORMATS:
        _put(tmp_path / "raw", suffix, [f"a{suffix}", f"50%{suffix}"])
    log = tmp_path / "log"
    trace = ["strace", "-f", "-y", "-e", "trace=mmap,openat", "-o", str(log)]
    ended = subprocess.run(
        [*trace, sys.executable, "-c", READS_ALL, str(tmp_path / "raw")], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "read\n", ended.stderr
    lines = [line for line in log.read_text(errors="replace").splitlines() if str(tmp_path / "raw") in line]
    assert len([line for line in lines if "openat" in line]) > 100
    assert [line for line in lines if "mmap" in line] == []
