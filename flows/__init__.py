"""The flows: each is a deployment and a ``python -m``."""

import gc
import logging
import os
import sys

# Before Prefect is imported, and the only way that its client knows: on a terminal it would show a newcomer a notice
# about its telemetry, and without a network it would wait for it. A person who set the variable keeps what was set.
os.environ.setdefault("DO_NOT_TRACK", "1")

# Prefect adds its handlers to this logger (prefect.toml) and leaves its level at that of warnings.
logging.getLogger("noonmark").setLevel(logging.INFO)

# Python looks for garbage after every 700 new objects; importing Prefect makes a million that stay. Looking less often
# takes a quarter off the start of every run. As a command starts (``python -m``) it does not look at all, until
# ``run_command``: that takes off another 0.08 s.
gc.set_threshold(50_000, 10, 10)
if sys.argv[:1] == ["-m"]:
    gc.disable()
