"""The flows: each is a deployment and a ``python -m``."""

import gc
import importlib.util
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import state.clock  # noqa: F401 first of all: it notes when the command began
from flows.cli.streams import open_closed_streams

open_closed_streams()

# Until a command handles signals, Ctrl-C would show a traceback through what it imports. While Python looks for the
# module of -m, that is its first argument; a signal that is ignored stays so.
_is_command = sys.argv[:1] == ["-m"] and not {"flows.daily", "flows.health", "flows.repair"}.isdisjoint(sys.orig_argv)
if _is_command and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _refuse(message: str, hint: str) -> NoReturn:
    """End before Prefect is imported: it would end with a traceback."""
    if "--json" in sys.argv:
        print(json.dumps({"error": {"kind": "configuration", "message": message, "command": None, "hint": hint}}))
    print(f"noonmark: {message}\n  → {hint}", file=sys.stderr)
    raise SystemExit(2)


if importlib.util.find_spec("prefect") is None:
    _refuse(
        f"{sys.executable} has no Prefect: the project's environment is not active",
        "in the project's folder: make setup && . .venv/bin/activate",
    )
_env_file = Path(".env")
try:
    if _env_file.is_file():
        _env_file.read_text(encoding="utf-8")
except UnicodeDecodeError:
    _refuse(f"{_env_file.absolute()} cannot be read: it is not UTF-8", "save it as UTF-8; .env.example shows one")
except OSError:
    pass  # ``state.settings`` says which

# Before Prefect is imported, and the only way that its client knows: on a terminal it would show a newcomer a notice
# about its telemetry, and without a network it would wait for it. A person who set the variable keeps what was set.
os.environ.setdefault("DO_NOT_TRACK", "1")

# Set and empty it means none, as here; half of Prefect takes it for a URL and reports what it cannot send there.
if not os.environ.get("PREFECT_API_URL", "none"):
    del os.environ["PREFECT_API_URL"]

# Before polars is imported: for how many groups each thread of its streaming engine has room. By default it is 4,096; a
# day with more of them has its rows kept: fifty million rows in a million groups took 1.8 GB, and 0.65 GB with this.
os.environ.setdefault("POLARS_HOT_TABLE_SIZE", str(1 << 21))

# Prefect reads ``.env`` for each group of its settings, and dotenv reports a line that it cannot read each time. Such a
# file is refused by name and line (``state.settings``).
logging.getLogger("dotenv.main").setLevel(logging.ERROR)

# Prefect adds its handlers to this logger (prefect.toml) and leaves its level at that of warnings.
logging.getLogger("noonmark").setLevel(logging.INFO)

# Python looks for garbage after every 700 new objects, and importing Prefect makes a million that stay. Looking less
# often takes a quarter off the start of every run. When it looks later on is said in ``flows.cli.garbage``.
gc.set_threshold(1_000_000, 10, 10)
