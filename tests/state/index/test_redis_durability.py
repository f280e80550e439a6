"""How much a Redis would remember: read from what real servers say of themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from state.embedded.server import EmbeddedServer
from state.index.connection import Connection
from state.index.durability import Durability, durability_of
from state.index.index import Index
from tests.redis_servers import NAMESPACE, Server, client_of, free_port, started, wait_until

SOUND = Durability(version="8.1", role="master", append_only=True, flush="everysec", eviction="noeviction", replicas=0)


def told(url: str) -> Durability:
    """What a server says of itself."""
    index = Index(Connection(url), NAMESPACE)
    try:
        return index.durability()
    finally:
        index._connection.close()


def redis_cli(server: Server, command: str) -> None:
    """Carry out a printed ``redis-cli`` command on a server, without the program."""
    program, *words = command.split()
    assert program == "redis-cli"
    with client_of(server.url) as client:
        assert client.execute_command(*words) in (True, b"OK")


def test_the_embedded_server_falls_short_in_nothing(tmp_path: Path) -> None:
    """It keeps an append-only file, flushed every second, and never evicts."""
    with EmbeddedServer(tmp_path / "redis") as server:
        found = told(server.url)
    assert found.shortcomings() == []
    assert (found.append_only, found.flush, found.eviction, found.role) == (True, "everysec", "noeviction", "master")
    assert found.version


def test_each_shortcoming_comes_with_the_command_that_mends_it() -> None:
    """A server without an append-only file that evicts: both commands are carried out, and it falls short no more."""
    with started("--maxmemory-policy", "allkeys-lru") as server:
        found = told(server.url).shortcomings()
        assert [what for what, _ in found] == [
            "it keeps no append-only file: a restart forgets",
            "it evicts keys (allkeys-lru)",
        ]
        for _, command in found:
            redis_cli(server, command)
        with client_of(server.url) as client:
            client.config_set("appendfsync", "no")
        [(what, command)] = told(server.url).shortcomings()
        assert "never flushed" in what
        redis_cli(server, command)
        assert told(server.url).shortcomings() == []


def test_a_replica_is_told() -> None:
    """It takes no writes, so every run would go on without the index."""
    with started("--replicaof", "127.0.0.1", "1", wait=False) as replica:
        found = told(replica.url)
        assert found.role == "slave"
        assert ("it is a replica, which takes no writes", "point NOONMARK_REDIS_URL at the primary") in (
            found.shortcomings()
        )


def test_replicas_are_counted(tmp_path: Path) -> None:
    """A primary tells how many replicas follow it."""
    port = str(free_port())
    with started("--port", port) as primary, started("--replicaof", "127.0.0.1", port, wait=False):
        wait_until(lambda: told(primary.url).replicas == 1)


def test_a_server_that_keeps_config_from_its_users_is_asked_for_the_rest() -> None:
    """Hosted servers do: the flush policy is then unknown, and unknown is no shortcoming."""
    with started("--rename-command", "CONFIG", "") as server:
        found = told(server.url)
    assert found.flush is None
    assert found.append_only is False
    assert not any("flushed" in what for what, _ in found.shortcomings())


@pytest.mark.parametrize(
    "info", [{}, {"aof_enabled": "", "connected_slaves": "many"}, {"role": "x", "redis_version": "7.0"}]
)
def test_what_a_server_does_not_tell_is_not_made_up(info: dict[str, str]) -> None:
    """Fields that are lacking or senseless are unknown."""
    found = durability_of(info, None)
    assert found.replicas is None
    assert found.eviction is None
    assert found.append_only in (None, False)
    assert found.version == info.get("redis_version")


def test_a_sound_server_has_no_shortcoming_and_each_field_counts() -> None:
    """The four that matter, one at a time."""
    assert SOUND.shortcomings() == []
    for change in ({"append_only": False}, {"flush": "no"}, {"eviction": "volatile-ttl"}, {"role": "slave"}):
        fields = {name: getattr(SOUND, name) for name in Durability.__slots__} | change
        assert len(Durability(**fields).shortcomings()) == 1, change
