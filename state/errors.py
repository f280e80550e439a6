"""The errors that a person sees: each says what was found, what was expected, and the command that helps.

Each has its exit code, so a command line only has to print it and exit.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

DAILY = "python -m flows.daily"
REPAIR = "python -m flows.repair"
HEALTH = "python -m flows.health"
CHECK = f"{DAILY} --dry-run"
"""Checks every declaration and does nothing."""
ACCEPT = f"{REPAIR} --accept-output"
"""Accepts the output and the input as they are."""


class NoonmarkError(Exception):
    """Base of every error that Noonmark raises on purpose.

    ``message`` names the thing, what was found and what was expected. ``command`` is the next command, which can be
    typed as it stands; ``hint`` says in words what a person has to do or decide first. Either may be None. ``kind`` is
    the short name that ``--json`` shows.
    """

    kind = "error"
    exit_code = 4

    def __init__(self, message: str, *, command: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.command = command
        self.hint = hint

    def __str__(self) -> str:
        return "\n  → ".join([self.message, *next_steps(self.command, self.hint)])


class ConfigurationError(NoonmarkError):
    """An invalid setting, option or declaration: exit 2, nothing was started."""

    kind = "configuration"
    exit_code = 2


class DeclarationError(ConfigurationError):
    """A source or an aggregation that contradicts itself; raised while the user's module is imported."""

    kind = "declaration"


class Refused(NoonmarkError):
    """Going on could harm what is there (an unmounted output, a foreign index): exit 3, nothing was touched."""

    kind = "refused"
    exit_code = 3


class StorageError(NoonmarkError):
    """The input or the output could not be listed, read or written. Unknown is never taken for absent: exit 4."""

    kind = "storage"
    exit_code = 4


class IndexUnavailable(NoonmarkError):
    """Redis did not answer, or not in time, or not as Redis should. The caller goes on without it."""

    kind = "redis"


class Interrupted(KeyboardInterrupt):
    """A signal that ends the run, raised in the main thread. What user code raises is never one."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was meant, as far as anybody can tell."""
    return next(iter(difflib.get_close_matches(word, list(known), 1)), None)


def next_steps(command: str | None, hint: str | None) -> list[str]:
    """What to do next, a line each: the hint, then the command unless the hint names it."""
    steps = [hint] if hint else []
    return [*steps, command] if command and command not in (hint or "") else steps


_ADVICE = re.compile(
    r"[.,;]?\s*(Specify these names in the schema, )?(or )?(consider )?pass(ing)? "
    r"['`](missing_columns|extra_columns|truncate_ragged_lines|ignore_errors)\b.*?(values|columns|lines)\b\.?"
)
"""What polars advises: an option with which a file that is wrong is read as if it were right."""
_UNREADABLE = re.compile("\N{REPLACEMENT CHARACTER}{3,}")
"""Bytes that are no text, where they were read as text."""
MAX_CHARACTERS = 240
"""How much of a foreign error is shown: garbage that is read as a header makes long ones."""


def type_name(error: BaseException) -> str:
    """The name of an error's type. Never raises, whatever a user's type does."""
    name: str = type.__dict__["__name__"].__get__(type(error))  # a metaclass may have another answer, or none
    return name


def error_text(error: BaseException) -> str:
    """The type of an error and its first line, in printable characters. Never raises, whatever the error does."""
    kind = type_name(error)
    try:
        lines = str(error).strip().splitlines()
    except BaseException:  # noqa: BLE001 the user's code makes this text
        lines = ["its text cannot be read"]
    text = f"{kind}: {lines[0]}" if lines else kind
    text = _ADVICE.sub("", text)
    text = _UNREADABLE.sub("\N{REPLACEMENT CHARACTER}…", text)
    shown = "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text[:MAX_CHARACTERS]
    )
    return shown + "…" * (len(text) > MAX_CHARACTERS)
