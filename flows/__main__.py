"""``python -m flows``: the commands."""

import sys

COMMANDS = """\
python -m flows.daily     compute and commit the days that need it
python -m flows.health    name what is wrong, and the command that fixes it
python -m flows.repair    make the Redis index equal to the output, and check every byte with --deep
Each has --help."""


def main() -> int:
    """List them. Exit 2 where anything else is asked for: a schedule must not take that for a run."""
    if sys.argv[1:] in ([], ["--help"], ["-h"]):
        print(COMMANDS)
        return 0
    print(
        f"noonmark: python -m flows takes no arguments, found {sys.argv[1]!r}; the commands are\n{COMMANDS}",
        file=sys.stderr,
    )
    return 2


if __name__ == "__main__":
    sys.exit(main())
