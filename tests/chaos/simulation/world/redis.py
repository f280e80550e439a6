"""A small Redis in memory: the commands that the index and the leases send, on the simulated clock, with the real Lua.

The scripts run as they are, in Lua 5.1 as in Redis. What goes wrong between a client and a server is drawn by the
schedule: a command or its reply is lost, a command is applied twice, the server is gone for a while.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from lupa import lua51  # type: ignore[import-untyped]

from state.errors import IndexUnavailable
from state.index.replies import Call, ErrorReply
from tests.chaos.simulation.world.scheduler import Scheduler

Value = bytes | dict[bytes, bytes] | set[bytes] | list[bytes]
_TYPES: dict[type, bytes] = {bytes: b"string", dict: b"hash", set: b"set", list: b"list"}


class WrongType(Exception):
    """The reply about a key of another type."""

    def __init__(self) -> None:
        super().__init__("WRONGTYPE Operation against a key holding the wrong kind of value")


class Auditor(Protocol):
    """Who is told of what a script does to the entries."""

    def index_changes(self, key: bytes, day: bytes, old: bytes, new: bytes, *, reconciling: bool) -> None:
        """An entry is about to be set, or removed where ``new`` is empty."""

    def lease_ends(self, key: bytes, token: object) -> None:
        """Somebody removes a lease."""


class Server:
    """The keys of one server, and what goes wrong with it next."""

    def __init__(self) -> None:
        self.scheduler: Scheduler
        self.auditor: Auditor
        self.data: dict[bytes, Value]
        self.ends: dict[bytes, int]
        self.fault: str | None
        self.down_until: int
        self.saved: tuple[dict[bytes, Value], dict[bytes, int]]
        self.reconciling = False
        self._lua = lua51.LuaRuntime(encoding=None, unpack_returned_tuples=True)
        self._compiled: dict[str, Any] = {}
        self._decoded: dict[bytes, Any] = {}
        self._types = {name: self._lua.table_from({b"ok": name}) for name in (*_TYPES.values(), b"none")}
        self._lua.globals().redis = self._lua.table_from({b"call": self._from_script})
        self._lua.globals().cjson = self._lua.table_from({b"decode": self._decode})

    def reset(self, scheduler: Scheduler, auditor: Auditor) -> None:
        """An empty server that serves."""
        self.scheduler, self.auditor = scheduler, auditor
        self.data, self.ends = {}, {}
        self.fault, self.down_until = None, 0
        self.saved = ({}, {})

    def send(self, calls: Iterable[Call], within: object = None) -> list[Any]:
        """Stands in for ``state.index.connection.Connection.send``. Raises IndexUnavailable."""
        process = self.scheduler.current
        process.calls += 1
        try:
            # A run's leases are a set, and a set's order is another in every process: here they are served in one
            # order, and answered in theirs.
            asked = list(calls)
            served = sorted(range(len(asked)), key=lambda at: _lease(asked[at].command))
            replies = {at: self._serve(asked[at].command) for at in served}
            return [call.parse(replies[at]) for at, call in enumerate(asked)]
        finally:
            process.calls -= 1

    def close(self) -> None:
        """Stands in for ``state.index.connection.Connection.close``."""

    def _serve(self, command: tuple[object, ...]) -> Any:
        self.scheduler.step()
        fault, self.fault = self.fault, None
        if fault == "lost" or self.scheduler.now < self.down_until:
            self.scheduler.sleep(2_000_000_000)
            raise IndexUnavailable("Redis cannot be used: it is simulated so")
        if fault == "twice":
            self._apply(command)
        reply = self._apply(command)
        if fault == "reply lost":
            self.scheduler.sleep(2_000_000_000)
            raise IndexUnavailable("Redis cannot be used: its reply is lost")
        return reply

    def _apply(self, command: tuple[object, ...]) -> Any:
        if command[0] == "EVAL":
            script, number = command[1], command[2]
            assert isinstance(script, str)
            assert isinstance(number, int)
            values = list(map(_bytes, command[3:]))
            return self._evaluate(script, values[:number], values[number:])
        try:
            return self.call(*map(_bytes, command))
        except WrongType as error:
            return ErrorReply(str(error))

    def _evaluate(self, script: str, keys: list[bytes], arguments: list[bytes]) -> Any:
        run = self._compiled.get(script)
        if run is None:
            run = self._lua.execute(f"return function(KEYS, ARGV)\n{script}\nend".encode())
            self._compiled[script] = run
        self.reconciling = "desired" in script
        reply = run(self._lua.table_from(keys), self._lua.table_from(arguments))
        return reply if isinstance(reply, int) else list(reply.values())

    def _from_script(self, *parts: Any) -> Any:
        reply = self.call(*parts)
        if parts[0] == b"TYPE":
            return self._types[reply]
        if reply is None:
            return False
        return self._lua.table_from(reply) if isinstance(reply, list) else reply

    def _decode(self, text: bytes) -> Any:
        found = self._decoded.get(text)
        if found is None:
            value = json.loads(text)
            if isinstance(value, dict):
                plain = {
                    name.encode(): one.encode() if isinstance(one, str) else one
                    for name, one in value.items()
                    if isinstance(one, str | int | float)
                }
                found = self._lua.table_from(plain)
            else:
                found = self._lua.table_from(value) if isinstance(value, list) else value
            if len(self._decoded) > 1000:
                self._decoded.clear()
            self._decoded[text] = found
        return found

    def call(self, name: bytes, *parts: bytes) -> Any:
        """One command. Raises WrongType."""
        key = parts[0]
        end = self.ends.get(key)
        if end is not None and end <= self.scheduler.now:
            del self.ends[key], self.data[key]
        return _COMMANDS[name](self, *parts)

    def _get(self, key: bytes, kind: type) -> Any:
        value = self.data.get(key)
        if value is not None and type(value) is not kind:
            raise WrongType
        return value

    def _made(self, key: bytes, kind: type) -> Any:
        value = self._get(key, kind)
        if value is None:
            value = self.data[key] = kind()
        return value

    def delete(self, *keys: bytes) -> int:
        """DEL."""
        for key in keys:
            self.ends.pop(key, None)
            if b":lease:" in key:
                self.auditor.lease_ends(key, self.data.get(key))
        return sum(self.data.pop(key, None) is not None for key in keys)

    def _set(self, key: bytes, value: bytes, *options: bytes) -> bytes | None:
        if b"NX" in options and key in self.data:
            return None
        self.data[key] = value
        self.ends.pop(key, None)
        if b"PX" in options:
            self.ends[key] = self.scheduler.now + int(options[options.index(b"PX") + 1]) * 1_000_000
        return b"OK"

    def _hset(self, key: bytes, *pairs: bytes) -> int:
        entries = self._made(key, dict)
        for field, value in zip(pairs[::2], pairs[1::2], strict=True):
            self.auditor.index_changes(key, field, entries.get(field, b""), value, reconciling=self.reconciling)
            entries[field] = value
        return len(pairs) // 2

    def _hdel(self, key: bytes, field: bytes) -> int:
        entries = self._get(key, dict)
        if not entries or field not in entries:
            return 0
        self.auditor.index_changes(key, field, entries[field], b"", reconciling=self.reconciling)
        del entries[field]
        self._drop_empty(key)
        return 1

    def _srem(self, key: bytes, member: bytes) -> int:
        members = self._get(key, set)
        if not members or member not in members:
            return 0
        members.remove(member)
        self._drop_empty(key)
        return 1

    def _drop_empty(self, key: bytes) -> None:
        if not self.data[key]:
            self.delete(key)

    def _sadd(self, key: bytes, member: bytes) -> int:
        self._made(key, set).add(member)
        return 1

    def _pttl(self, key: bytes) -> int:
        if key not in self.data:
            return -2
        end = self.ends.get(key)
        return -1 if end is None else (end - self.scheduler.now) // 1_000_000

    def _pexpire(self, key: bytes, milliseconds: bytes) -> int:
        if key not in self.data:
            return 0
        self.ends[key] = self.scheduler.now + int(milliseconds) * 1_000_000
        return 1

    def save(self) -> None:
        """Keep a snapshot."""
        self.saved = (_copy(self.data), self.ends.copy())

    def restore(self) -> None:
        """Come back from the snapshot, or empty where there is none."""
        self.data, self.ends = _copy(self.saved[0]), self.saved[1].copy()


_COMMANDS: dict[bytes, Callable[..., Any]] = {
    b"GET": lambda server, key: server._get(key, bytes),
    b"SET": Server._set,
    b"DEL": Server.delete,
    b"TYPE": lambda server, key: _TYPES[type(server.data[key])] if key in server.data else b"none",
    b"HLEN": lambda server, key: len(server._get(key, dict) or ()),
    b"HGET": lambda server, key, field: (server._get(key, dict) or {}).get(field),
    b"HGETALL": lambda server, key: [part for pair in (server._get(key, dict) or {}).items() for part in pair],
    b"HSET": Server._hset,
    b"HDEL": Server._hdel,
    b"SADD": Server._sadd,
    b"SREM": Server._srem,
    b"SMEMBERS": lambda server, key: sorted(server._get(key, set) or ()),
    b"SCAN": lambda server, *_: [b"0", list(server.data)],
    b"PTTL": Server._pttl,
    b"PEXPIRE": Server._pexpire,
}


def _lease(command: tuple[object, ...]) -> str:
    key = command[3] if command[0] == "EVAL" else None
    return key if isinstance(key, str) and ":lease:" in key else ""


def _bytes(value: object) -> bytes:
    return value if type(value) is bytes else str(value).encode()


def _copy(data: dict[bytes, Value]) -> dict[bytes, Value]:
    return {key: value if isinstance(value, bytes) else value.copy() for key, value in data.items()}
