"""Plays one schedule again and tells its story: ``python -m tests.chaos.simulation.replay FILE|NUMBER``.

A file is one that a campaign saved; it plays exactly as it did, on the code that it was found with. ``--every-call``
tells what is read, too. ``--shrink`` first leaves out what the violation does not need, and saves what remains.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.chaos.simulation.play import Trace
from tests.chaos.simulation.schedule import draw
from tests.chaos.simulation.shrink import shrunk
from tests.chaos.simulation.stage import staged
from tests.chaos.simulation.story import FAILURES, load, save, tell


def replay(which: str, line: Trace = print, *, every_call: bool = False, shrink: bool = False) -> list[str]:
    """Play the schedule of this number or file, telling each step; what it broke."""
    schedule = draw(int(which)) if which.isdecimal() else load(Path(which))
    with staged() as stage:
        if shrink:
            schedule = shrunk(stage, schedule)
        broken = tell(stage, schedule, line, every_call=every_call)
        if shrink and broken:
            line(f"saved as {save(stage, schedule, FAILURES)}")
    return broken


def main() -> int:
    """The command line. Exit 1 where a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.simulation.replay", description=__doc__)
    parser.add_argument("which", metavar="FILE|NUMBER")
    parser.add_argument("--every-call", action="store_true", help="tell what is read, too")
    parser.add_argument("--shrink", action="store_true", help="leave out what the violation does not need")
    options = parser.parse_args()
    return 1 if replay(options.which, every_call=options.every_call, shrink=options.shrink) else 0


if __name__ == "__main__":
    sys.exit(main())
