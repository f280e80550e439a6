"""The settings: every variable and its default, what is wrong is named, and secrets are not shown."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest

from state import settings as module
from state.errors import ConfigurationError
from state.settings import PROJECT, Settings, read_settings


@pytest.fixture(autouse=True)
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty environment, and the place of an ``.env`` file of the test's own."""
    for name in os.environ:
        if name.upper().startswith("NOONMARK_"):
            monkeypatch.delenv(name)
    path = tmp_path / ".env"
    monkeypatch.setattr(module, "ENV_FILE", path)
    monkeypatch.setitem(Settings.model_config, "env_file", path)
    return path


def test_the_defaults_are_the_contracts() -> None:
    """Without any variable the project runs as cloned."""
    found = read_settings()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert found.model_dump() | {"redis_url": found.redis_url.get_secret_value()} == {
        "input": PROJECT / "data/raw",
        "output": PROJECT / "data/aggregates",
        "create_output": True,
        "aggregations": "aggregations",
        "redis_url": "",
        "redis_dir": PROJECT / ".noonmark/redis",
        "namespace": "noonmark",
        "workers": cores,
        "lease_seconds": 60,
        "runner": "threads",
        "single_writer": False,
    }


SET = [
    ("INPUT", "/in", "input", Path("/in")),
    ("OUTPUT", "/out", "output", Path("/out")),
    ("CREATE_OUTPUT", "false", "create_output", False),
    ("AGGREGATIONS", "my.module", "aggregations", "my.module"),
    ("REDIS_URL", "redis://h:1/2", "redis_url", "redis://h:1/2"),
    ("REDIS_DIR", "/redis", "redis_dir", Path("/redis")),
    ("NAMESPACE", "team:noonmark", "namespace", "team:noonmark"),
    ("WORKERS", "7", "workers", 7),
    ("LEASE_SECONDS", "5", "lease_seconds", 5),
    ("RUNNER", "threads", "runner", "threads"),
    ("SINGLE_WRITER", "true", "single_writer", True),
]


@pytest.mark.parametrize("where", ["environment", ".env"])
@pytest.mark.parametrize(("name", "text", "field", "value"), SET)
def test_every_variable_has_its_effect(
    monkeypatch: pytest.MonkeyPatch, env_file: Path, where: str, name: str, text: str, field: str, value: object
) -> None:
    """Each can be set in the environment and in ``.env``, and the environment goes before."""
    if where == ".env":
        env_file.write_text(f"NOONMARK_{name}={text}\n")
    else:
        env_file.write_text(f"NOONMARK_{name}=\n")
        monkeypatch.setenv(f"NOONMARK_{name}", text)
    found = read_settings()
    got = found.redis_url.get_secret_value() if field == "redis_url" else getattr(found, field)
    assert got == value
    assert {field for _, _, field, _ in SET} == set(Settings.model_fields)


def test_the_environment_goes_before_the_file(monkeypatch: pytest.MonkeyPatch, env_file: Path) -> None:
    """A run's own variable wins over what the project keeps."""
    env_file.write_text("NOONMARK_WORKERS=3\nNOONMARK_NAMESPACE=file\nANOTHER=1\n")
    monkeypatch.setenv("NOONMARK_WORKERS", "5")
    found = read_settings()
    assert (found.workers, found.namespace) == (5, "file")


def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """``NOONMARK_WORKERS=`` means the default."""
    for name in Settings.model_fields:
        monkeypatch.setenv(f"NOONMARK_{name.upper()}", "")
    assert read_settings().output == PROJECT / "data/aggregates"


def test_of_an_object_store_only_the_scheme_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret key may hold every sign, and stand anywhere in the URL."""
    monkeypatch.setenv("NOONMARK_INPUT", "s3://AKIA:ses/ame@bucket?secret_access_key=sesame")
    with pytest.raises(ConfigurationError, match=r"NOONMARK_INPUT=s3://…: is an object store") as caught:
        read_settings()
    assert "ame" not in str(caught.value).partition("is an object")[0].removeprefix("NOONMARK_INPUT")


def test_a_wrong_redis_url_is_named_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found before anything starts, and may hold a password."""
    monkeypatch.setenv("NOONMARK_REDIS_URL", "http://me:sesame@somewhere")
    with pytest.raises(ConfigurationError, match=r"NOONMARK_REDIS_URL.*expected one of redis://") as caught:
        read_settings()
    assert "sesame" not in str(caught.value) + "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("where", ["environment", ".env"])
@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("NOONMARK_OUTPT", "did you mean NOONMARK_OUTPUT?"),
        ("NOONMARK_REDIS_URI", "did you mean NOONMARK_REDIS_URL?"),
        ("noonmark_worker", "did you mean NOONMARK_WORKERS?"),
        ("NOONMARK_ZZZZZZ", "is not a setting of Noonmark; expected one of NOONMARK_INPUT, NOONMARK_OUTPUT, "),
    ],
)
def test_an_unknown_variable_is_an_error(
    monkeypatch: pytest.MonkeyPatch, env_file: Path, where: str, name: str, near: str
) -> None:
    """A typing error is never ignored; the message says where it stands and the nearest known name, never its value."""
    if where == ".env":
        env_file.write_text(f"# a comment\n\n{name}=sesame\n")
    else:
        monkeypatch.setenv(name, "sesame")
    with pytest.raises(ConfigurationError) as caught:
        read_settings()
    assert near in caught.value.message
    assert f"{name} ({'in the environment' if where == 'environment' else '.env:3'}) is not" in caught.value.message
    assert caught.value.hint
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            'NOONMARK_WORKERS=2\nNOONMARK_OUTPUT="/sesame\nNOONMARK_INPUT=/in\n',
            ":2 cannot be read: found NOONMARK_OUTPUT=…,",
        ),
        ("\n\nsesame and more\n", ":3 cannot be read: found a line without '=', expected NAME=value"),
        ("=sesame\n", ":1 cannot be read: found =…, expected NAME=value"),
        (b"NOONMARK_INPUT=\xff\n", " cannot be read: it is not UTF-8; expected a text file with lines NAME=value"),
        (None, " cannot be read: Is a directory; expected a text file"),
    ],
    ids=["an open quote", "words", "no name", "not UTF-8", "a folder"],
)
def test_an_env_file_that_cannot_be_read_is_an_error(env_file: Path, text: str | bytes | None, told: str) -> None:
    """A default in the place of what was meant could be another output. File and line are named, and no value is."""
    if text is None:
        env_file.mkdir()
    else:
        env_file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigurationError) as caught:
        read_settings()
    assert f"{env_file}{told}" in caught.value.message
    assert caught.value.hint
    assert "sesame" not in str(caught.value)


def test_an_env_file_that_is_a_link_to_nowhere_is_an_error(env_file: Path, tmp_path: Path) -> None:
    """The disk with the settings is not mounted, say: the defaults are not what was meant."""
    env_file.symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigurationError, match="cannot be read: it is a link, and No such file"):
        read_settings()


def test_results_among_the_raw_files_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """However the one folder is written."""
    monkeypatch.setenv("NOONMARK_INPUT", str(tmp_path))
    monkeypatch.setenv("NOONMARK_OUTPUT", f"{tmp_path}/./")
    with pytest.raises(ConfigurationError, match="both are one folder; expected a folder for results alone"):
        read_settings()


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("WORKERS", "0", "NOONMARK_WORKERS=0: expected a whole number from 1"),
        ("WORKERS", "many", "NOONMARK_WORKERS=many: expected a whole number from 1"),
        ("LEASE_SECONDS", "-1", "NOONMARK_LEASE_SECONDS=-1: expected a whole number of seconds from 1"),
        ("CREATE_OUTPUT", "maybe", "NOONMARK_CREATE_OUTPUT=maybe: expected true or false"),
        ("RUNNER", "dask", "NOONMARK_RUNNER=dask: expected threads"),
        ("NAMESPACE", "a b", "NOONMARK_NAMESPACE=a b: expected a name without spaces and braces"),
        ("NAMESPACE", "a{b}", "NOONMARK_NAMESPACE=a{b}: expected a name without spaces and braces"),
        ("INPUT", "s3://bucket/raw", "NOONMARK_INPUT=s3://…: is an object store, and those come later"),
        ("OUTPUT", "gs://bucket", "NOONMARK_OUTPUT=gs://…: is an object store"),
    ],
)
def test_a_value_that_cannot_be_meant_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, told: str
) -> None:
    """The variable, what was found and what was expected."""
    monkeypatch.setenv(f"NOONMARK_{name}", text)
    with pytest.raises(ConfigurationError) as caught:
        read_settings()
    assert told in caught.value.message


def test_all_wrong_values_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever corrects the settings does so once; the Redis URL's value is in no message."""
    monkeypatch.setenv("NOONMARK_WORKERS", "0")
    monkeypatch.setenv("NOONMARK_RUNNER", "spark")
    monkeypatch.setenv("NOONMARK_REDIS_URL", "redis://user:sesame@host")
    with pytest.raises(ConfigurationError) as caught:
        read_settings()
    assert "NOONMARK_WORKERS" in caught.value.message
    assert "NOONMARK_RUNNER" in caught.value.message
    assert "sesame" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_the_redis_url_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Printing, dumping or logging the settings shows no password."""
    monkeypatch.setenv("NOONMARK_REDIS_URL", "redis://user:sesame@host")
    found = read_settings()
    assert found.redis_url.get_secret_value() == "redis://user:sesame@host"
    assert "sesame" not in f"{found!r} {found} {found.model_dump()} {found.model_dump_json()}"


@pytest.mark.parametrize("name", ["INPUT", "OUTPUT", "REDIS_DIR"])
def test_roots_start_at_the_project_wherever_a_worker_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """A relative root is the project's, ``~`` is the user's home, an absolute one stays."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    for text, path in (("mine", PROJECT / "mine"), ("~/mine", Path("/home/somebody/mine")), ("/mine", Path("/mine"))):
        monkeypatch.setenv(f"NOONMARK_{name}", text)
        assert getattr(read_settings(), name.lower()) == path


def test_settings_do_not_change_under_a_run() -> None:
    """They are read once and frozen."""
    found, field = read_settings(), "workers"
    with pytest.raises(ValueError, match="frozen"):
        setattr(found, field, 3)
