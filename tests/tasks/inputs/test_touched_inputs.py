"""Raw files whose times moved and whose bytes did not: read by one run, and by none after it."""

from __future__ import annotations

import os
import time

from state.inputs.files import RECENT_NS
from state.store.local import layout
from tests.project import Project, dates, wait_until


def test_touched_files_are_read_once_and_an_edit_is_found_all_the_same(project: Project) -> None:
    """Only a run keeps what it read, a look keeps nothing; an edit that keeps the size is found behind what is kept."""
    days = dates(10)
    files = [project.sales_file(day) for day in days]
    for file in files:
        os.utime(file)
    newest = max(file.stat().st_ctime_ns for file in files)
    wait_until(lambda: time.time_ns() > newest + 1.5 * RECENT_NS)
    kept = project.output / layout.note_file("cache/digests")
    assert project.run("--dry-run").planned == {}
    assert not kept.exists()
    assert project.run().committed == {}
    content = kept.read_bytes()
    assert all(f'"{day}"'.encode() in content for day in days)
    before = files[3].stat()
    files[3].write_bytes(files[3].read_bytes().replace(b"south,7", b"south,9"))
    os.utime(files[3], ns=(before.st_atime_ns, before.st_mtime_ns))
    assert files[3].stat().st_size == before.st_size
    changed = {(name, days[3]): "changed" for name in ("items_by_shop", "totals")}
    assert project.run("--dry-run").planned == changed
    assert project.run().committed == changed
    assert project.rows() == project.expected()
