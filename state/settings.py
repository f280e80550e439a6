"""The settings: the only reader of the environment.

An unknown name or an invalid value is an error, and never replaced by a default.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Annotated, Literal

from dotenv.parser import parse_stream
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from state.errors import ConfigurationError, nearest
from state.index.connection import Connection

PROJECT = Path(__file__).resolve().parent.parent
ENV_FILE = PROJECT / ".env"
PREFIX = "NOONMARK_"
WITHOUT_REDIS = "none"
_CORRECT = "correct it in the environment or in .env; docs/reference.md lists the settings"


def _root(value: object) -> Path:
    if "://" in str(value):
        raise ValueError("is an object store, and those come later; expected a path")
    return PROJECT / os.path.expanduser(str(value))


def _redis_url(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    if url not in ("", WITHOUT_REDIS):
        try:
            Connection(url).close()
        except ConfigurationError as error:
            raise ValueError(error.message) from None
    return value


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


Root = Annotated[Path, BeforeValidator(_root)]
"""A path; a relative one starts at the project's folder, wherever a worker happens to run."""
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
"""A URL that a client can be made of, ``none``, or nothing. It may hold a password, so it is never shown whole."""


class Settings(BaseSettings):
    """What can be set, with the defaults. ``NOONMARK_`` and the name in capitals is the variable.

    One without a description has no effect yet: it is accepted and checked, and shown nowhere.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        extra="ignore",
        env_ignore_empty=True,
        validate_default=True,
        frozen=True,
    )

    input: Root = Field(Path("data/raw"), description="input root")
    output: Root = Field(Path("data/aggregates"), description="output root")
    create_output: bool = Field(True, description="whether a missing or empty output root is created")
    aggregations: str = Field("aggregations", description="module or package that holds sources and aggregations")
    redis_url: RedisUrl = Field(SecretStr(""), description="Redis; empty is the embedded server, none is without")
    redis_dir: Root = Field(Path(".noonmark/redis"), description="where the embedded server keeps its file")
    namespace: str = Field("noonmark", pattern=r"^[^{}\s]+$", description="prefix of every Redis key")
    workers: int = Field(default_factory=_cores, ge=1, description="days computed at once by this process")
    lease_seconds: int = Field(60, ge=1, description="lifetime of a day's lease")
    runner: Literal["threads"] = "threads"
    single_writer: bool = False


_EXPECTED = {
    "create_output": "true or false",
    "namespace": "a name without spaces and braces",
    "workers": "a whole number from 1",
    "lease_seconds": "a whole number of seconds from 1",
    "runner": "threads",
    "single_writer": "true or false",
}
"""What a setting may be, where its type cannot say so itself."""


def read_settings() -> Settings:
    """The settings from the environment and the project's ``.env``.

    Raises ConfigurationError for an unknown variable with our prefix, an invalid value, and a ``.env`` that cannot be
    read: a default in the place of what was meant could be another output.
    """
    shown = [name.upper() for name, field in Settings.model_fields.items() if is_shown(field)]
    for name, place in _unknown():
        near = nearest(name.upper().removeprefix(PREFIX), shown)
        expected = f"expected one of {', '.join(PREFIX + one for one in shown)}"
        suggestion = f"; did you mean {PREFIX}{near}?" if near else f"; {expected}"
        raise ConfigurationError(f"{name} ({place}) is not a setting of Noonmark{suggestion}", hint=_CORRECT)
    try:
        found = Settings()
    except ValidationError as error:
        raise ConfigurationError(_message(error), hint=_CORRECT) from None
    if overlap := _overlap(os.path.realpath(found.output), os.path.realpath(found.input)):
        places = f"NOONMARK_OUTPUT={found.output} and NOONMARK_INPUT={found.input}"
        raise ConfigurationError(f"{places}: {overlap}; expected a folder for results alone", hint=_CORRECT)
    return found


def _overlap(output: str, root: str) -> str | None:
    """How output and input overlap. A run would read its own results, or a reader of results the raw files."""
    if output == root:
        return "both are one folder"
    common = os.path.commonpath([output, root])
    if common == root:
        return "the output is inside the input"
    return "the input is inside the output" if common == output else None


def is_shown(field: FieldInfo) -> bool:
    """Whether documents and messages name a setting: it has an effect."""
    return field.description is not None


def _unknown() -> list[tuple[str, str]]:
    """The variables with our prefix that are no setting, and where each stands."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    places = _env_file_names() | dict.fromkeys(os.environ, "in the environment")
    names = sorted(name for name in places if name.upper().startswith(PREFIX) and name.upper() not in known)
    return [(name, places[name]) for name in names]


def _env_file_names() -> dict[str, str]:
    """The names in ``.env``, and the line of each. Raises ConfigurationError where a line cannot be read."""
    try:
        text = ENV_FILE.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if not ENV_FILE.is_symlink():
            return {}
        raise ConfigurationError(
            f"{ENV_FILE} cannot be read: it is a link, and {error.strerror}", hint="correct or remove it"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(
            f"{ENV_FILE} cannot be read: {why}; expected a text file with lines NAME=value",
            hint="correct or remove it; .env.example shows one",
        ) from None
    names = {}
    for one in parse_stream(io.StringIO(text)):
        line = one.original.line + len(one.original.string) - len(one.original.string.lstrip("\n"))
        if one.error:
            name, separator, _ = one.original.string.strip().partition("=")
            found = f"{name}=…" if separator else "a line without '='"  # what else stands there may be a secret
            raise ConfigurationError(
                f"{ENV_FILE}:{line} cannot be read: found {found}, expected NAME=value, and each quote closed",
                hint="correct that line; .env.example shows some",
            )
        if one.key is not None:
            names[one.key] = f"{ENV_FILE.name}:{line}"
    return names


def _message(error: ValidationError) -> str:
    wrong = []
    for one in error.errors(include_url=False):
        name = str(one["loc"][0])
        scheme, separator, _ = str(one["input"]).partition("://")  # what follows may hold a secret
        found = "" if name == "redis_url" else f"={scheme}{'://…' if separator else ''}"
        expected = _EXPECTED.get(name)
        why = f"expected {expected}" if expected else one["msg"].removeprefix("Value error, ")
        variable = PREFIX + name.upper()
        wrong.append(why if why.startswith(f"{variable} ") else f"{variable}{found}: {why}")
    return "; ".join(wrong)
