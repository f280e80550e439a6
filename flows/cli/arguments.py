"""Reads a command line. Its options are the parameters of the command's flow, and those of ``Printing``.

So ``--help`` and the form of a deployment have the same names, types and descriptions: those of the flow's docstring.
"""

from __future__ import annotations

import platform
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Group, Parameter, Token
from cyclopts.exceptions import CoercionError, MissingArgumentError, RepeatArgumentError, UnknownOptionError
from pydantic import Field

from state.errors import ConfigurationError, nearest
from state.settings import PROJECT

EXIT_CODES = """\
Exit codes:
  0    all committed, nothing to do, or healthy
  1    days failed, a source matches no file, or problems were found
  2    an option, a setting or a declaration is wrong; nothing was started
  3    refused: input or output looks unmounted, moved or wrong
  4    the run itself broke: storage or Prefect cannot be reached, or a bug
  130  ended by Ctrl-C (143: SIGTERM, 129: SIGHUP, 131: SIGQUIT)"""


@Parameter(name="*", group=Group("Printing", sort_key=1), negative=(), show_default=False)
@dataclass(frozen=True, slots=True)
class Printing:
    """How a command prints what it did."""

    json: bool = False
    """Print one JSON object on stdout, and everything else on stderr."""
    quiet: Annotated[bool, Parameter(alias="-q")] = False
    """Print the report and warnings only."""
    verbose: Annotated[bool, Parameter(alias="-v")] = False
    """Also print a line for each result as it is committed, skipped or failed."""
    traceback: bool = False
    """Also print the whole traceback of what an aggregation raised."""


def _from_one(_: type, tokens: Sequence[Token]) -> int:
    """Read a number. The library's own reading would round a fraction."""
    text = tokens[0].value
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ValueError("expected a whole number from 1")
    return int(text)


FromOne = Annotated[int, Field(ge=1), Parameter(converter=_from_one)]
"""A whole number from 1, for a command line and for a deployment's form."""
Hidden = Parameter(show=False)
"""An option that is accepted, and not listed."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a command line says: the flow's parameters that it gives, and how to print."""

    given: dict[str, Any]
    printing: Printing


class CommandLine:
    """The command line of a flow's function. ``prog`` is what is typed to run it, ``examples`` what could be."""

    def __init__(self, prog: str, function: Callable[..., object], examples: Sequence[str]) -> None:
        self.prog = prog
        self._app = App(
            name=prog,
            version=_versions,
            version_format="plaintext",
            help_format="plaintext",
            help_epilogue="\n".join(["Examples:", *(f"  {prog} {one}".rstrip() for one in examples), "", EXIT_CODES]),
            usage=f"Usage: {prog} [OPTIONS]",
            default_parameter=Parameter(negative=(), show_default=False),
            group_parameters=Group("Options", sort_key=0),
            group_commands=Group("Help", sort_key=2),
        )
        self._app.default(function)
        self._app.meta.default(_split)
        self._app["--version"].help = "Print the versions and exit."
        self._app["--help"].help = "Print this and exit."

    def parse(self, words: Sequence[str]) -> Arguments | Callable[[], object]:
        """Read the words after the command. Where help or versions are asked for, that is a function that prints them.

        Raises ConfigurationError, which names the nearest option there is.
        """
        try:
            command, bound, _ = self._app.meta.parse_args(words, exit_on_error=False, print_error=False)
            if command is not _split:
                return partial(command, *bound.args, **bound.kwargs)
            rest, printing = bound.args, bound.kwargs.get("printing", Printing())
            if printing.quiet and printing.verbose:
                raise ConfigurationError("--quiet and --verbose exclude each other", command=f"{self.prog} --help")
            command, bound, _ = self._app.parse_args(rest, exit_on_error=False, print_error=False)
        except CycloptsError as error:
            raise ConfigurationError(self._explained(error), command=f"{self.prog} --help") from None
        return Arguments(bound.arguments, printing)

    def _explained(self, error: CycloptsError) -> str:
        """What is wrong with the command line."""
        match error:
            case UnknownOptionError(token=token):
                word = (token.keyword or token.value).partition("=")[0]
                known = {name.lstrip("-"): name for name in sorted(self._options())}  # dashes make any two alike
                near = nearest(word.lstrip("-"), known)
                suggestion = f"did you mean {known[near]}?" if near else f"expected one of {', '.join(known.values())}"
                return f"there is no option {word}; {suggestion}"
            case MissingArgumentError(argument=argument) if argument:
                return f"{error.keyword or argument.name} lacks a value"
            case RepeatArgumentError(token=token):
                return f"{token.keyword} is given more than once"
            case CoercionError(token=token) if token:
                return f"{token.keyword} {token.value}: {error.msg}" if error.msg else f"{token.keyword} takes no value"
            case _ if error.unused_tokens and not error.unused_tokens[0].startswith("-"):
                found = error.unused_tokens[0]
                return f"found {found!r}, expected an option before it; a list is written with commas: --days A,B"
        return str(error)

    def _options(self) -> Iterator[str]:
        for app in (self._app, self._app.meta):
            for argument in app.assemble_argument_collection(parse_docstring=False):
                if argument.show:
                    yield from (name for name in argument.names if name.startswith("-"))
        yield from (*self._app.help_flags, *self._app.version_flags)


def _split(
    *words: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)], printing: Printing = Printing()
) -> None:
    """Take the options that every command has from the words of a command line."""


def _versions() -> str:
    """The version of Noonmark, and those of what a report of a fault should name."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    libraries = ", ".join(f"{name} {version(name.lower())}" for name in ("Prefect", "polars", "pyarrow"))
    return f"{project['name']} {project['version']} (Python {platform.python_version()}, {libraries})"
