"""The settings: the only reader of the environment.

An unknown name or an invalid value is an error, and never replaced by a default.
"""

from __future__ import annotations

import difflib
import logging
import os
from pathlib import Path
from typing import Annotated, Literal

from dotenv import dotenv_values
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

from state.errors import ConfigurationError
from state.index.connection import Connection

PROJECT = Path(__file__).resolve().parent.parent
ENV_FILE = PROJECT / ".env"
PREFIX = "NOONMARK_"
WITHOUT_REDIS = "none"

log = logging.getLogger("noonmark")


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
        env_prefix=PREFIX, env_file=ENV_FILE, extra="ignore", env_ignore_empty=True, validate_default=True, frozen=True
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


def read_settings(*, strict: bool) -> Settings:
    """The settings from the environment and the project's ``.env``.

    ``strict`` is for the command line: an unknown variable with our prefix raises; a deployed run warns. Raises
    ConfigurationError.
    """
    shown = [PREFIX + name.upper() for name, field in Settings.model_fields.items() if is_shown(field)]
    for name in _unknown():
        near = difflib.get_close_matches(name.upper(), shown, 1)
        message = f"{name} is not a Noonmark setting" + (f"; did you mean {near[0]}?" if near else "")
        if strict:
            raise ConfigurationError(message, command=f"unset {name}, or see the settings in README.md")
        log.warning("%s", message)
    try:
        return Settings()
    except ValidationError as error:
        raise ConfigurationError(
            _message(error), command="correct it in the environment or in .env; README.md has the settings"
        ) from None


def is_shown(field: FieldInfo) -> bool:
    """Whether documents and messages name a setting: it has an effect."""
    return field.description is not None


def _unknown() -> list[str]:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    names = {*os.environ, *(dotenv_values(ENV_FILE) if ENV_FILE.is_file() else ())}
    return sorted(name for name in names if name.upper().startswith(PREFIX) and name.upper() not in known)


def _message(error: ValidationError) -> str:
    wrong = []
    for one in error.errors(include_url=False):
        name = str(one["loc"][0])
        scheme, separator, _ = str(one["input"]).partition("://")  # what follows may hold a secret
        found = "" if name == "redis_url" else f"={scheme}{'://…' if separator else ''}"
        wrong.append(f"{PREFIX}{name.upper()}{found}: {one['msg'].removeprefix('Value error, ')}")
    return "; ".join(wrong)
