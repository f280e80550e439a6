"""Gives a tool an environment of its own: none shares Noonmark's, and each has the versions that its file pins."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

_METADATA = re.compile(r"^# /// script$\n(?P<lines>(?:^#(?: .*)?$\n)+)^# ///$", re.M)


def requirements(script: Path) -> list[str]:
    """What a script says it needs, in its inline metadata (PEP 723)."""
    found = _METADATA.search(script.read_text(encoding="utf-8"))
    if found is None:
        raise ValueError(f"{script.name} has no inline metadata")
    metadata = tomllib.loads(
        "".join(line.removeprefix("#").removeprefix(" ") for line in found["lines"].splitlines(True))
    )
    return list(metadata["dependencies"])


def environment(folder: Path, wanted: Sequence[str]) -> Path:
    """The Python of the environment in ``folder``; made anew where it is missing or has other requirements."""
    python = folder / "bin/python"
    noted = folder / "requirements.txt"
    if noted.exists() and noted.read_text().split("\n") == list(wanted):
        return python
    print(f"making an environment with {', '.join(wanted)}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    install: list[str | Path]
    if uv := shutil.which("uv"):
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python]
    else:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    subprocess.run([*install, *wanted], check=True)
    noted.write_text("\n".join(wanted))  # last: an interrupted installation is begun anew
    return python
