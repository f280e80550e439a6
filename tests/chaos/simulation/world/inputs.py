"""The raw files, simulated: what a listing shows of them, what they hold, and since when each content is gone.

Every content is new in the world, so a digest alone tells when it was the input. Times tick as coarsely as the schedule
says, so two contents can look alike in every listing.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType, SimpleNamespace

from state.errors import StorageError
from state.inputs.files import Contents, DayFiles, FileStat, InputChanged, day_files
from state.inputs.root import InputRoot
from tasks.catalog.readiness import Readiness
from tasks.inputs.listing import Listing
from tests.chaos.simulation.world.scheduler import NEVER, Scheduler

SOURCE = "raw"


@dataclass(frozen=True)
class Template:
    """As much of a template as the product asks for."""

    text: str = SOURCE
    absolute: bool = False
    shares_folders: bool = False

    def pattern(self, day: str) -> str:
        """What the product calls a day's files."""
        return f"{self.text}/{day}/*"


class Source:
    """As much of a source as the product asks for."""

    template = Template()
    key = digest_key = SOURCE
    read = None
    format = SimpleNamespace(unpack=None, is_binary=False)
    shows_paths = shows_file_paths = rewrites = False
    readiness = Readiness(None, None, 0)
    duplicates = "error"
    reach = 0, 0
    events = None
    options: Mapping[str, object] = MappingProxyType({"schema": {}})

    def name_of(self, path: str) -> str:
        """What counts of a file's path."""
        return path.rpartition("/")[2]

    def pattern(self, day: str) -> str:
        """What the product calls a day's files."""
        return self.template.pattern(day)

    def __str__(self) -> str:
        return SOURCE


@dataclass(frozen=True)
class Raw:
    """One raw file: what a listing shows, and the number that it holds."""

    stat: FileStat
    number: int


class Inputs:
    """The days of the one source. ``step`` is asked before every look."""

    ctime = True
    """Whether a listing shows when a file was changed; a mutant's switch."""

    def __init__(self, step: Callable[[str, str], None]) -> None:
        self.step = step

    def reset(self, scheduler: Scheduler, tick_ns: int) -> None:
        """No day at all."""
        self._scheduler = scheduler
        self._tick = tick_ns
        self._numbers = 0
        self.days: dict[str, tuple[Raw, ...]] = {}
        self.gone: dict[str, tuple[Raw, ...]] = {}
        self.ended: dict[str, int] = {}
        """The digest of a day's contents → when it ceased to be the input; NEVER for what is the input now."""

    def digest(self, day: str) -> str:
        """The digest of what a day's files hold now."""
        return _digest(day, [file.number for file in self.days[day]])

    def write(self, day: str, files: int, *, old: bool = False) -> None:
        """Give a day new contents, in files of the same sizes and inodes."""
        self._leave(day)
        when = (self._scheduler.now - (3_600_000_000_000 if old else 0)) // self._tick * self._tick
        made = []
        for at in range(files):
            self._numbers += 1
            made.append(Raw(FileStat(f"{SOURCE}/{day}/{at}.csv", 8, when, when, at + 1), self._numbers))
        self.days[day] = tuple(made)
        self._enter(day)

    def write_one(self, day: str, at: int, *, keep_mtime: bool) -> None:
        """Give one of a day's files new contents of the same size; ``keep_mtime`` as ``cp -p`` does."""
        files = list(self.days[day])
        at %= len(files)
        self._leave(day)
        self._numbers += 1
        then = files[at].stat
        when = self._scheduler.now // self._tick * self._tick
        mtime = then.mtime_ns if keep_mtime else when
        files[at] = Raw(FileStat(then.path, 8, mtime, when, then.inode), self._numbers)
        self.days[day] = tuple(files)
        self._enter(day)

    def touch(self, day: str) -> None:
        """Give a day's files new times and nothing else."""
        when = self._scheduler.now // self._tick * self._tick
        self.days[day] = tuple(
            Raw(FileStat(one.stat.path, 8, when, when, one.stat.inode), one.number) for one in self.days[day]
        )

    def vanish(self, day: str) -> None:
        """Take a day's files away."""
        self._leave(day)
        self.gone[day] = self.days.pop(day)

    def come_back(self, day: str) -> None:
        """Bring them back as they were."""
        self.days[day] = self.gone.pop(day)
        self._enter(day)

    def _leave(self, day: str) -> None:
        if day in self.days:
            self.ended[self.digest(day)] = self._scheduler.steps

    def _enter(self, day: str) -> None:
        self.ended[self.digest(day)] = NEVER

    # What stands in for the product's own looks at the input

    def list_source(self, root: InputRoot, template: object) -> Listing:
        """As ``tasks.inputs.listing.list_source``."""
        self._look("list input", SOURCE)
        days = {}
        for day in sorted(self.days):
            days[day] = day_files(self._listed(day))
        return Listing(days, {}, ())

    def list_day(self, root: InputRoot, template: object, day: str, ignored_links: object = ()) -> DayFiles:
        """As ``tasks.inputs.listing.list_day``."""
        self._look("list day", day)
        return day_files(self._listed(day))

    def _listed(self, day: str) -> tuple[FileStat, ...]:
        files = tuple(file.stat for file in self.days.get(day, ()))
        return files if self.ctime else tuple(replace(file, ctime_ns=0) for file in files)

    def read_contents(
        self, root_fd: int, files: Sequence[FileStat], *, keep: bool, name_of: object, by_sha256: bool
    ) -> Contents:
        """As ``state.inputs.files.read_contents``: each file compared with its listing before and after it was read."""
        numbers = []
        for file in files:
            day = file.path.split("/")[1]
            self._read("open input", file.path)
            self._same(day, file)
            self._read("read input", file.path)
            found = [one.number for one in self.days.get(day, ()) if one.stat.path == file.path]
            self._same(day, file)
            numbers += found
        each = tuple(file.path.encode() for file in files)  # no file here holds what another holds
        return Contents(_digest(files[0].path.split("/")[1], numbers), None, each)

    def _same(self, day: str, file: FileStat) -> None:
        if file not in self._listed(day):
            raise InputChanged(f"{file.path} changed")

    def _look(self, call: str, what: str) -> None:
        try:
            self.step(call, what)
        except OSError as error:
            raise StorageError("the input cannot be listed") from error

    def _read(self, call: str, what: str) -> None:
        try:
            self.step(call, what)
        except OSError as error:
            raise OSError(errno.EIO, "Input/output error", what) from error


def _digest(day: str, numbers: Sequence[int]) -> str:
    return f"{day}:" + "+".join(map(str, numbers))


def value_of(digest: str) -> int:
    """What an aggregation makes of the contents with this digest: the sum."""
    return sum(int(number) for number in digest.partition(":")[2].split("+"))
