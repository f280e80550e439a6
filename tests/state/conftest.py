"""What the tests of the store and of its readers share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from state.store.local.root import open_store
from state.store.local.store import LocalStore


@pytest.fixture
def root(tmp_path: Path) -> Iterator[LocalStore]:
    """An empty output."""
    with open_store(tmp_path / "out", create=True, remembered=False) as made:
        yield made
