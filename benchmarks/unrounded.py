"""Runs a module as ``python -m`` does, without Prefect's heartbeats: they round every time up to a whole second.

A flow run waits for the thread that sends them, and that thread sleeps a second at a time. No setting of the
environment turns them off, and what takes half a second would look as quick as what takes none.
"""

from __future__ import annotations

import runpy
import sys

from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

if __name__ == "__main__":
    del sys.argv[0]
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
