"""Runs a module as ``python -m`` does, without Prefect's heartbeats: they round every time up to a whole second.

A flow run waits for the thread that sends them, and that thread sleeps a second at a time. No setting of the
environment turns them off, and what takes half a second would look as quick as what takes none.
"""

from __future__ import annotations

import importlib
import runpy
import sys


def main() -> None:
    """Run the module that is named first, with the arguments that follow."""
    module = sys.argv.pop(1)
    own, sys.argv[0] = sys.argv[0], "-m"
    importlib.import_module(module.rpartition(".")[0])  # its package comes first, and before Prefect, as with ``-m``
    sys.argv[0] = own
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
