"""Opens Redis connections that answer within their deadline, or not at all.

redis-py retries ten times by default. Against a server that stalled, a retried command was applied twice and a lock was
reported as lost by its holder: so no hidden retry here.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from state.errors import ConfigurationError, IndexUnavailable
from state.index.connection import Limits, bounded, limited
from state.index.replies import Call, ErrorReply, Unexpected, described

CALL_SECONDS = 2.0
"""How long a connection, and each read of a reply, may take."""
WHOLE_OPERATION = 3
"""How many times that long an operation may take, with all of its calls."""
_GRACE_SECONDS = 0.5
"""How much longer a call is waited for that should have ended by itself: a look-up of a name has no deadline."""
_SENTINEL = "redis+sentinel"
_HOST = r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(?::(\d+))?"
_PLACES = {
    "redis": re.compile(rf"{_HOST}(?:/\d*)?"),
    "rediss": re.compile(rf"{_HOST}(?:/\d*)?"),
    "unix": re.compile(r"/[^#]*"),
    _SENTINEL: re.compile(rf"{_HOST}(?:,{_HOST})*/[\w.-]+(?:/\d+)?"),
}
"""What stands after user and password, by scheme: where it is anything else, it may be a password."""
_EXPECTED = {"redis": "host[:port][/number]", "rediss": "host[:port][/number]", "unix": "/path[?db=number]"} | {
    _SENTINEL: "host[:port][,host[:port]…]/service[/number]"
}
SCHEMES = tuple(_PLACES)
_UNSHOWN = "…"
"""What is shown of a URL in which a password may stand anywhere."""
_TOLD = 300
"""How much of a stranger's words is shown, in characters."""


def connect(url: str) -> redis.Redis:
    """A client for a Redis URL; nothing is sent yet. Raises ConfigurationError for a URL that is none."""
    options: dict[str, Any] = {
        "socket_timeout": CALL_SECONDS,
        "socket_connect_timeout": CALL_SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "decode_responses": False,
        "protocol": 2,
    }
    scheme = url.partition("://")[0]
    try:
        if scheme in SCHEMES and safe(url) == _UNSHOWN:
            raise ConfigurationError(
                f"{_UNSHOWN} is no Redis URL: expected {scheme}://[user:password@]{_EXPECTED[scheme]}, "
                "user and password percent-encoded"
            )
        if scheme in SCHEMES:
            client = _through_sentinel(url, options) if scheme == _SENTINEL else _direct(url, options)
            pool = client.connection_pool
            pool.connection_class = bounded(pool.connection_class)
            pool.make_connection()  # sends nothing, and finds options that are none
            return client
    except (ValueError, TypeError, redis.RedisError) as error:
        raise ConfigurationError(f"{safe(url)} is no Redis URL: {type(error).__name__}") from None
    raise ConfigurationError(
        f"{safe(url)} is no Redis URL; expected one of "
        f"{', '.join(f'{known}://' for known in SCHEMES)}, none, or nothing for the embedded server"
    )


def limits(times: int = 1) -> Limits:
    """The limits of one operation that begins now, of one that may take so many times longer than the usual."""
    return Limits.of(times * WHOLE_OPERATION * CALL_SECONDS)


def send(client: redis.Redis, name: str, calls: Iterable[Call], within: Limits | None = None) -> list[Any]:
    """Send calls in one round trip; what each is answered, in order, as its shape has it.

    Calls of one operation share its limits. Raises IndexUnavailable, with ``name`` in place of the server's address,
    where Redis does not serve, not in time, or not as Redis does.
    """
    calls = list(calls)
    if not calls:
        return []
    try:
        replies = _exchange(client, [one.command for one in calls], within or limits())
        return [_shaped(one, reply) for one, reply in zip(calls, replies, strict=True)]
    except Unexpected as error:
        raise IndexUnavailable(f"Redis at {name} answered {_told(client, str(error))}") from None
    except Exception as error:  # noqa: BLE001 what a stranger answers makes redis-py raise anything
        raise IndexUnavailable(
            f"Redis at {name} does not serve: {type(error).__name__}: {_told(client, str(error))}"
        ) from None


def _shaped(call: Call, reply: object) -> Any:
    try:
        return call.shape(ErrorReply(str(reply)) if isinstance(reply, redis.ResponseError) else reply)
    except Unexpected as expected:
        if isinstance(reply, Exception):
            raise reply from None
        raise Unexpected(f"{call.command[0]} with {described(reply)}; expected {expected}") from None


def _exchange(client: redis.Redis, commands: list[tuple[object, ...]], within: Limits) -> list[object]:
    """The replies as they came. Nothing keeps the caller longer than the limits: not even a resolver of names."""
    outcome: list[list[object] | BaseException] = []

    def exchange() -> None:
        try:
            with limited(within):
                pipeline = client.pipeline(transaction=False)
                pipeline.response_callbacks.clear()  # they would read replies before anybody looks at their shape
                for command in commands:
                    pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
                outcome.append(pipeline.execute(raise_on_error=False))
        except BaseException as error:  # noqa: BLE001 it is the caller's, who waits in another thread
            outcome.append(error)

    thread = threading.Thread(target=exchange, name="redis-call", daemon=True)
    thread.start()
    thread.join(within.seconds + _GRACE_SECONDS)
    if not outcome:
        raise TimeoutError("it took too long in all")
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def close(client: redis.Redis) -> None:
    """Give a client's connections back. Never fails: there is nothing to lose on them."""
    with suppress(redis.RedisError, OSError):
        client.close()


def safe(url: str) -> str:
    """The URL as it may be shown: its server, without user, password and query; nothing of what is no URL of Redis."""
    scheme, _, rest = url.partition("://")
    credentials, _, place = rest.rpartition("@")
    place = place.partition("?")[0]
    # With one of these signs in a password, who parses the URL takes a part of it for the place.
    if scheme not in SCHEMES or {*credentials} & {*"/?#"} or not _PLACES[scheme].fullmatch(place):
        return _UNSHOWN
    return f"{scheme}://{place}"


def _told(client: redis.Redis, text: str) -> str:
    """An error's first words; a server may quote the command that it did not understand, with the password in it."""
    text = text.partition(" : <")[0][:_TOLD]
    for name in ("password", "username"):
        if secret := client.connection_pool.connection_kwargs.get(name):
            text = text.replace(str(secret), _UNSHOWN)
    return text


def _direct(url: str, options: dict[str, Any]) -> redis.Redis:
    database = urlsplit(url).path.strip("/")
    if database and not database.isdecimal() and not url.startswith("unix:"):
        raise ValueError("the database is no number")  # redis-py would take 0
    client: redis.Redis = redis.Redis.from_url(url, **options)
    client.connection_pool.connection_kwargs.update(options)  # last: a URL's own time-outs would go before ours
    return client


def _through_sentinel(url: str, options: dict[str, Any]) -> redis.Redis:
    """``redis+sentinel://[user:password@]host:port[,host:port…]/service[/db]``; the password is the data server's."""
    parts = urlsplit(url)
    credentials, _, places = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    if parts.query:
        raise ValueError("it takes no options; the database goes last in the path")
    hosts = [(host.strip("[]"), int(port or 26379)) for host, port in re.findall(_HOST, places)]
    service, _, database = parts.path.strip("/").partition("/")
    own = {key: options[key] for key in ("socket_timeout", "socket_connect_timeout", "retry", "protocol")}
    # Given as its own: of what it gets for the server, a Sentinel's client takes the time-outs and not the rest.
    sentinel = Sentinel(hosts, sentinel_kwargs=own)  # type: ignore[no-untyped-call]
    for one in sentinel.sentinels:
        one.connection_pool.connection_class = bounded(one.connection_pool.connection_class)
    client: redis.Redis = sentinel.master_for(  # type: ignore[no-untyped-call]
        service, db=int(database or 0), username=unquote(user) or None, password=unquote(password) or None, **options
    )
    return client
