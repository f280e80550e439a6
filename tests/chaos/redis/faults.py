"""Every way in which a Redis server fails under a run, done to real servers. ``values`` has wrong contents."""

from __future__ import annotations

import os
import random
import shutil
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from tests.chaos.harness.scene import Scene
from tests.chaos.redis.proxy import Proxy
from tests.redis_servers import Server, client_of, started, wait_until


@dataclass
class Stage:
    """One trial's servers, of which ``server`` is the one behind the proxy. ``stack`` ends whatever was begun."""

    stack: ExitStack
    scene: Scene
    chance: random.Random
    binary: str
    proxy: Proxy
    server: Server
    older: Path
    """A folder with the server's file as it was some commits ago."""
    loading: Path
    """A folder with a file that takes long to load."""
    call: bytes = b""
    """The call before which the fault strikes."""
    leases: list[tuple[bytes, bytes]] = field(default_factory=list)
    """Leases of other runs, with their tokens."""
    notes: dict[str, Any] = field(default_factory=dict)

    def client(self) -> redis.Redis:
        """A client of the server itself."""
        client: redis.Redis = self.stack.enter_context(client_of(self.server.url))
        return client

    def start(self, *arguments: str, folder: Path | None = None, wait: bool = True) -> None:
        """Put another server behind the proxy."""
        self.server = self.stack.enter_context(started(*arguments, binary=self.binary, folder=folder, wait=wait))
        self.proxy.upstream = self.server.folder / "socket"


Act = Callable[[Stage], None]


def _nothing(_: Stage) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Fault:
    """``strike`` makes Redis go bad, ``heal`` well again. ``foreign``: only --accept-output binds that index again.

    It strikes before the run, before any of its calls, or, where ``at_call`` is given, before the first call that holds
    these bytes. ``prepare`` comes before the run; ``judge`` tells, right after it, what was broken beyond the output.
    """

    strike: Act
    heal: Act = _nothing
    foreign: bool = False
    judge: Callable[[Stage], list[str]] = lambda _: []
    at_start: bool = True
    in_mid_run: bool = True
    at_call: bytes = b""
    prepare: Act = _nothing
    lease_seconds: int = 2


def _configure(**settings: str) -> Act:
    def act(stage: Stage) -> None:
        client = stage.client()
        for name, value in settings.items():
            client.config_set(name.replace("_", "-"), value)

    return act


def _kill(stage: Stage) -> None:
    stage.server.kill()


def _restart_empty(stage: Stage) -> None:
    stage.server.kill()
    stage.start()


def _restart_older(stage: Stage) -> None:
    stage.server.kill()
    folder = stage.server.folder.with_name(stage.server.folder.name + "-older")
    shutil.copytree(stage.older, folder)
    stage.stack.callback(shutil.rmtree, folder)
    stage.start(folder=folder)


def _start_loading(stage: Stage) -> None:
    stage.server.kill()
    stage.start(
        *("--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024"),
        folder=stage.loading,
        wait=False,
    )


def _flushall(stage: Stage) -> None:
    stage.client().flushall()


def _evict(stage: Stage) -> None:
    client = stage.client()
    client.config_set("maxmemory-policy", "allkeys-lru")
    client.config_set("maxmemory", "1")
    wait_until(lambda: client.dbsize() == 0)  # a client evicts a little at each call


def _demand_password(stage: Stage) -> None:
    client = stage.client()
    client.config_set("requirepass", "another")
    client.client_kill_filter(_type="normal", skipme=True)


def _take_password_back(stage: Stage) -> None:
    with client_of(stage.server.url.replace("unix://", "unix://:another@")) as client:
        client.config_set("requirepass", "")


def _fail_to_save(stage: Stage) -> None:
    """MISCONF: the folder that the server saves to is gone."""
    client = stage.client()
    gone = stage.server.folder / "gone"
    gone.mkdir()
    client.config_set("dir", str(gone))
    client.config_set("save", "3600 1000000")
    gone.rmdir()
    client.bgsave()
    wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")


def _save_no_more(stage: Stage) -> None:
    client = stage.client()
    client.config_set("stop-writes-on-bgsave-error", "no")
    client.config_set("save", "")


def _become_replica(**settings: str) -> Act:
    def act(stage: Stage) -> None:
        _configure(**settings)(stage)
        stage.client().replicaof("127.0.0.1", "1")

    return act


def _become_primary(stage: Stage) -> None:
    stage.client().replicaof("NO", "ONE")


def _pause_for_a_second(stage: Stage) -> None:
    """A short stall, shorter than the deadline: it delays and nothing else."""
    server = stage.server
    server.stop()
    timer = threading.Timer(1.0, server.go_on)
    timer.start()
    stage.stack.callback(timer.join)


def _lose_reply(stage: Stage) -> None:
    stage.proxy.swallow = stage.proxy.calls


def _hold_reply(stage: Stage) -> None:
    stage.proxy.hold = stage.proxy.calls


SERVERS: dict[str, Fault] = {
    "absent": Fault(lambda stage: stage.proxy.shut(), lambda stage: stage.proxy.open(), in_mid_run=False),
    "killed": Fault(_kill, Stage.start),
    "stopped": Fault(lambda stage: stage.server.stop(), lambda stage: stage.server.go_on()),
    "stalled for a second": Fault(_pause_for_a_second),
    "flushed": Fault(_flushall),
    "restarted without its file": Fault(_restart_empty),
    "restarted from an older file": Fault(_restart_older),
    "out of memory": Fault(_configure(maxmemory_policy="noeviction", maxmemory="1"), _configure(maxmemory="0")),
    "evicting everything": Fault(_evict, _configure(maxmemory="0")),
    "a read-only replica": Fault(_become_replica(), _become_primary),
    "a replica without its primary": Fault(_become_replica(replica_serve_stale_data="no"), _become_primary),
    "unable to save": Fault(_fail_to_save, _save_no_more),
    "loading": Fault(_start_loading, _restart_empty),
    "asking for a password": Fault(_demand_password, _take_password_back),
    "losing a reply": Fault(_lose_reply, at_start=False),
    "replying too late": Fault(_hold_reply, at_start=False),
}
"""What happens to a server."""


def older_and_loading(binary: str, folder: Path) -> tuple[Path, Path]:
    """The two folders of a stage, the second filled with what takes a minute to load."""
    older, loading = folder / "older", folder / "loading"
    os.makedirs(older)
    os.makedirs(loading)
    with started(binary=binary, folder=loading) as server, client_of(server.url) as client:
        client.mset({f"filling:{number}": "x" * 100 for number in range(3000)})
        client.save()
    return older, loading
