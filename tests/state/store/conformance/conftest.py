"""The conformance suite: what every store of results promises. Each implementation has to pass all of it.

The numbers in docstrings are those of the promises in docs/design.md. Whoever adds a store adds a harness for it here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.state.store.conformance.harness.base import Harness
from tests.state.store.conformance.harness.in_memory import in_memory
from tests.state.store.conformance.harness.on_disk import on_disk


@pytest.fixture(params=["local", "memory"])
def given(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    """An empty output on each kind of store."""
    if request.param == "local" and sys.platform == "darwin":
        pytest.skip("flushes through fcntl there")
    with on_disk(tmp_path / "output") if request.param == "local" else in_memory() as harness:
        yield harness
