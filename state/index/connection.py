"""The connection to Redis. Every operation on it ends: at one deadline, and after a bounded number of bytes.

redis-py bounds each read of a reply and nothing else: a server that dribbles renews the time-out for ever, and one that
never stops fills the memory. It also retries ten times by default; against a server that stalled, that applied a
command twice. So nothing is retried here. No message holds any part of the URL, or text that may quote it.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import MasterNotFoundError, Sentinel

from state.errors import ConfigurationError, IndexUnavailable
from state.index import limits
from state.index.limits import Limits, bounded, limit_this_thread
from state.index.replies import Call, ErrorReply, Unexpected, described

_GRACE_SECONDS = 0.5
"""How much longer a call is waited for that should have ended by itself: the resolver of host names has no deadline."""
_ERROR_CODE = re.compile(r"[A-Z]{2,20}")
_REASONS: dict[type[BaseException], str] = {
    ssl.SSLCertVerificationError: "certificate verify failed",
    ssl.SSLError: "TLS failed",
    socket.gaierror: "its host name cannot be resolved",
    TimeoutError: "no answer in time",
    redis.TimeoutError: "no answer in time",
    MasterNotFoundError: "no Sentinel names the primary",
    limits.TooManyBytes: "its reply is too long",
}
"""Errors whose number says nothing, or that have none."""
_SENTINEL = "redis+sentinel"
_FORMS = {
    "redis": "redis://[user:password@]host[:port][/number]",
    "rediss": "rediss://[user:password@]host[:port][/number]",
    "unix": "unix://[user:password@]/path[?db=number]",
    _SENTINEL: f"{_SENTINEL}://[user:password@]host[:port][,host[:port]…]/service[/number]",
}


class Connection:
    """A Redis server. Threads may share it. Nothing is sent before the first call.

    Raises ConfigurationError for an invalid URL.
    """

    def __init__(self, url: str) -> None:
        self._client = connect(url)

    def send(self, calls: Iterable[Call], within: Limits | None = None) -> list[Any]:
        """Send calls in one round trip; returns their parsed replies in order.

        ``within`` are the limits of an operation of several round trips. Raises IndexUnavailable where Redis does not
        answer, not in time, or not as Redis does.
        """
        calls = list(calls)
        if not calls:
            return []
        try:
            replies = self._exchange([call.command for call in calls], within or Limits())
            return [_parsed(call, reply) for call, reply in zip(calls, replies, strict=True)]
        except Unexpected as error:
            raise IndexUnavailable(f"Redis (NOONMARK_REDIS_URL) answered {error}") from None
        except Exception as error:  # noqa: BLE001 a server that is no Redis makes redis-py raise anything
            raise IndexUnavailable(f"Redis (NOONMARK_REDIS_URL) cannot be used: {reason(error)}") from None

    def close(self) -> None:
        """Close all connections. Never fails."""
        with suppress(redis.RedisError, OSError):
            self._client.close()

    def _exchange(self, commands: Sequence[tuple[object, ...]], within: Limits) -> list[object]:
        """The replies as they came. Done in a thread, so that nothing can keep the caller beyond the limits."""
        outcome: list[list[object] | BaseException] = []

        def exchange() -> None:
            try:
                limit_this_thread(within)
                pipeline = self._client.pipeline(transaction=False)
                pipeline.response_callbacks.clear()  # they would convert replies before their shape is checked
                for command in commands:
                    pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
                outcome.append(pipeline.execute(raise_on_error=False))
            except BaseException as error:  # noqa: BLE001 raised in the caller, who waits in another thread
                outcome.append(error)

        thread = threading.Thread(target=exchange, name="redis-call", daemon=True)
        thread.start()
        thread.join(within.seconds() + _GRACE_SECONDS)
        if not outcome:
            raise TimeoutError
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]


def _parsed(call: Call, reply: object) -> Any:
    try:
        return call.parse(ErrorReply(str(reply)) if isinstance(reply, redis.ResponseError) else reply)
    except Unexpected as expected:
        if isinstance(reply, Exception):
            raise reply from None
        raise Unexpected(f"{call.command[0]} with {described(reply)}; expected {expected}") from None


def reason(error: BaseException) -> str:
    """Why Redis cannot be used: the code of an error reply, the system's reason, or else the type of the error.

    Never text of a reply or of redis-py, which may hold a password: redis-py quotes hosts and options, and a server the
    command that it did not understand.
    """
    cause: BaseException | None = error
    while cause is not None:
        for kind, words in _REASONS.items():
            if isinstance(cause, kind):
                return words
        if code := _error_code(cause):
            return f"it answers {code}"
        if isinstance(cause, OSError) and cause.errno:
            words = os.strerror(cause.errno)
            return words[:1].lower() + words[1:]
        cause = cause.__context__
    return type(error).__name__


def _error_code(error: BaseException) -> str | None:
    """The code that an error reply begins with, such as MISCONF. redis-py removes those that it knows from the text."""
    code = getattr(error, "status_code", None)
    if code is None and isinstance(error, redis.ResponseError):
        code = str(error).partition(" ")[0]
    return code if code and _ERROR_CODE.fullmatch(code) else None


def connect(url: str) -> redis.Redis:
    """redis-py's client for a URL, with our deadlines and bounds. Raises ConfigurationError for an invalid one."""
    scheme, separator, _ = url.partition("://")
    if scheme not in _FORMS:
        found = f"found {scheme}://…" if separator else "found no '://' in it"  # what else stands there may be a secret
        raise ConfigurationError(
            f"NOONMARK_REDIS_URL is not a Redis URL: {found}, expected one of "
            f"{', '.join(f'{known}://' for known in _FORMS)}, none, or nothing for the embedded server"
        )
    try:
        parts = urlsplit(url)
        if parts.fragment or "@" in parts.path + parts.query:
            raise ValueError("a password that is not percent-encoded")  # redis-py would take a part of it for a host
        client = (_through_sentinel if scheme == _SENTINEL else _direct)(url, _options())
        pool = client.connection_pool
        pool.connection_class = bounded(pool.connection_class)
        pool.make_connection()  # sends nothing, and fails for unknown options
    except (ValueError, TypeError, redis.RedisError) as error:
        raise ConfigurationError(
            f"NOONMARK_REDIS_URL is not a Redis URL ({reason(error)}): expected {_FORMS[scheme]}, "
            "user and password percent-encoded"
        ) from None
    return client


def _options() -> dict[str, Any]:
    return {
        "socket_timeout": limits.CALL_SECONDS,
        "socket_connect_timeout": limits.CALL_SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "decode_responses": False,
        "protocol": 2,
    }


def _direct(url: str, options: dict[str, Any]) -> redis.Redis:
    parts = urlsplit(url)
    database = parts.path.strip("/")
    if parts.scheme == "unix" and (parts.hostname or not database):
        raise ValueError("no absolute path")
    if parts.scheme != "unix" and not (parts.hostname and (database.isdecimal() or not database)):
        raise ValueError("no host, or a database that is no number")  # redis-py would take localhost, and 0
    client: redis.Redis = redis.Redis.from_url(url, **options)
    client.connection_pool.connection_kwargs.update(options)  # last: time-outs in the URL would override ours
    return client


def _through_sentinel(url: str, options: dict[str, Any]) -> redis.Redis:
    """The client of the service that a Sentinel names. User and password are for the data server."""
    parts = urlsplit(url)
    credentials, _, places = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    hosts = [(one.hostname, one.port or 26379) for one in (urlsplit(f"//{place}") for place in places.split(","))]
    service, _, database = parts.path.strip("/").partition("/")
    if parts.query or not service or not all(host for host, _ in hosts):
        raise ValueError("options, no service, or no host")
    own = {key: options[key] for key in ("socket_timeout", "socket_connect_timeout", "retry", "protocol")}
    # Given twice: of the data server's options, a Sentinel's client takes the time-outs and not the rest.
    sentinel = Sentinel(hosts, sentinel_kwargs=own)  # type: ignore[no-untyped-call]
    for one in sentinel.sentinels:
        one.connection_pool.connection_class = bounded(one.connection_pool.connection_class)
    client: redis.Redis = sentinel.master_for(  # type: ignore[no-untyped-call]
        service, db=int(database or 0), username=unquote(user) or None, password=unquote(password) or None, **options
    )
    return client
