"""What the tests from end to end share."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user reaches; pytest's own are private."""
    folder = Path(tempfile.mkdtemp(prefix="noonmark-open-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
