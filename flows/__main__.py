"""``python -m flows``: the commands."""

COMMANDS = """\
python -m flows.daily     compute and commit the days that need it
python -m flows.health    name what is wrong, and the command that fixes it
python -m flows.repair    make the Redis index equal to the output, and check every byte with --deep
Each has --help."""

if __name__ == "__main__":
    print(COMMANDS)
