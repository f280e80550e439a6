"""Connections to Redis: which URLs are understood; every trouble is IndexUnavailable, soon and without secrets."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from state.errors import ConfigurationError, IndexUnavailable
from state.index import limits as index_limits
from state.index.best_effort import BestEffortIndex
from state.index.connection import Connection, connect
from state.index.index import Index, IndexSnapshot
from tests import redis_servers
from tests.redis_servers import NAMESPACE, Server, client_of, free_port, speaking, started, valkey, wait_until
from tests.state.index.test_index import COMMITS, news, output_of

server_url = redis_servers.server_url
client = redis_servers.client
index = redis_servers.index

SECRET = "sesame"
SHORT = 0.25


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> float:
    """A short deadline for a call, so that tests of hanging servers do not take long themselves."""
    monkeypatch.setattr(index_limits, "CALL_SECONDS", SHORT)
    return SHORT


@pytest.fixture
def own() -> Iterator[Server]:
    """A server that the test may harm."""
    with started() as server:
        yield server


CALLS: dict[str, Callable[[Index], object]] = {
    "root": lambda index: index.root(),
    "bind": lambda index: index.bind("root-id"),
    "rebind": lambda index: index.rebind("root-id", ["departures"]),
    "has_commits": lambda index: index.has_commits(["departures"]),
    "read": lambda index: index.read(["departures"]),
    "record_commits": lambda index: index.record_commits([news("1")]),
    "reconcile": lambda index: index.reconcile({"departures": IndexSnapshot()}, output_of(news("1"))),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@contextmanager
def unavailable(seconds: float) -> Iterator[list[str]]:
    """Nothing but IndexUnavailable comes out, within ``seconds``, and what it says is in the list afterwards."""
    said: list[str] = []
    began = time.monotonic()
    with pytest.raises(IndexUnavailable) as caught:
        yield said
    assert time.monotonic() - began < seconds
    said += [str(caught.value), "".join(traceback.format_exception(caught.value))]
    assert SECRET not in "".join(said)


def test_the_deadline_of_a_call_is_two_seconds() -> None:
    """What a hanging Redis costs a run is fixed and small, and nothing is tried again behind our back."""
    assert index_limits.CALL_SECONDS == 2.0
    for url in ("redis://127.0.0.1:1", "rediss://127.0.0.1:1", "unix:///nowhere", "redis+sentinel://127.0.0.1:1/main"):
        client = connect(url)
        settings = client.connection_pool.connection_kwargs
        assert settings["socket_timeout"] == settings["socket_connect_timeout"] == 2.0
        assert settings["retry"].get_retries() == 0


@every_call
def test_a_server_that_is_not_there(call: Callable[[Index], object]) -> None:
    """A refused connection is reported at once, in the system's words."""
    index = Index(Connection(f"redis://user:{SECRET}@127.0.0.1:{free_port()}/0"), NAMESPACE)
    with unavailable(2) as said:
        call(index)
    assert said[0] == "Redis (NOONMARK_REDIS_URL) cannot be used: connection refused"


@every_call
def test_a_server_that_was_killed(own: Server, call: Callable[[Index], object]) -> None:
    """A connection that breaks is told at once; nothing is tried a second time."""
    index = Index(Connection(own.url), NAMESPACE)
    index.root()
    own.kill()
    with unavailable(2):
        call(index)


@every_call
@pytest.mark.parametrize("before", [True, False], ids=["connected", "not yet connected"])
def test_a_server_that_hangs(own: Server, short: float, call: Callable[[Index], object], before: bool) -> None:
    """A stopped server costs one deadline."""
    index = Index(Connection(own.url), NAMESPACE)
    if before:
        index.root()
    own.stop()
    with unavailable(short + 2):
        call(index)


def test_a_server_that_hangs_costs_a_whole_run_one_deadline(own: Server, short: float) -> None:
    """After the first failure nothing more is sent: a run of a thousand calls waits once."""
    index = Index(Connection(own.url), NAMESPACE)
    index.root()
    best_effort = BestEffortIndex(index)
    own.stop()
    began = time.monotonic()
    for _ in range(20):
        best_effort.has_commits(["departures"])
        best_effort.read(["departures"])
        best_effort.record_commits([news("1")])
        best_effort.belongs_to("root-id", bind=True)
    assert time.monotonic() - began < 4 * short
    own.go_on()
    assert best_effort.unavailable_reason
    assert not best_effort.belongs_to("root-id", bind=True)  # a run does not change its mind
    assert Index(Connection(own.url), NAMESPACE).root() is None


def test_news_that_were_given_up_are_applied_once_at_most(own: Server, short: float) -> None:
    """A script that was sent to a hanging server is not sent again."""
    index = Index(Connection(own.url), NAMESPACE)
    index.root()
    own.stop()
    with unavailable(short + 2):
        index.record_commits([news("1"), news("2")])
    own.go_on()
    with client_of(own.url) as client:
        wait_until(lambda: client.hlen(COMMITS) == 2)
        stats = client.info("commandstats")
    assert isinstance(stats, dict)
    assert stats["cmdstat_eval"]["calls"] == 1


def _trickle(connection: socket.socket) -> None:
    connection.recv(1000)
    for _ in range(24):
        connection.sendall(b"+")
        time.sleep(SHORT / 4)


def test_a_server_that_answers_byte_by_byte(short: float) -> None:
    """The deadline is the call's, and not that of each piece of its answer."""
    with speaking(_trickle) as url, unavailable(4 * short):
        Index(Connection(url), NAMESPACE).root()


NONSENSE = {
    "nothing": b"",
    "another protocol": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
    "too long": b"$99999999999999\r\n",
    "too many": b"*1000000000\r\n",
    "binary": b"\xff\xfe\x00\r\n",
    "a binary error": b"-\xff\xfe\r\n" * 20,
    "an odd error": b"-sesam street\r\n" * 20,
    "only numbers": b":7\r\n" * 20,
    "only errors of type": b"-WRONGTYPE no\r\n" * 20,
    "odd pairs": b"*1\r\n$1\r\nx\r\n" * 20,
}
NONSENSE_UNCAUGHT = {"no number": b":sesame\r\n", "no length": b"$x\r\n", "nested": b"*1\r\n" * 5000}


@pytest.mark.parametrize(
    "answer",
    [
        *(pytest.param(answer, id=name) for name, answer in NONSENSE.items()),
        *(pytest.param(answer, id=name) for name, answer in NONSENSE_UNCAUGHT.items()),
    ],
)
@pytest.mark.parametrize("name", ["root", "read", "record_commits"])
def test_a_server_that_is_no_redis(monkeypatch: pytest.MonkeyPatch, answer: bytes, name: str) -> None:
    """Whatever a stranger answers is IndexUnavailable or reads as nothing: never another error, never a made-up day."""
    monkeypatch.setattr(index_limits, "CALL_SECONDS", 0.2)

    def speak(connection: socket.socket) -> None:
        with suppress(TimeoutError):
            connection.settimeout(0.4)
            if connection.recv(10_000) and answer:
                connection.sendall(answer)
                connection.recv(10_000)

    with speaking(speak) as url:
        began = time.monotonic()
        found: object = None
        with suppress(IndexUnavailable):
            found = CALLS[name](Index(Connection(url), NAMESPACE))
        assert time.monotonic() - began < 2
    if isinstance(found, dict):
        assert all(one.days() <= {"7"} for one in found.values())


@every_call
def test_a_wrong_password(call: Callable[[Index], object]) -> None:
    """A server that refuses us is named as such by its code, without the password that it refused."""
    with started("--requirepass", "another") as server:
        for credentials, code in ((f":{SECRET}@", "WRONGPASS"), (f"somebody:{SECRET}@", "WRONGPASS"), ("", "NOAUTH")):
            index = Index(Connection(server.url.replace("unix://", f"unix://{credentials}")), NAMESPACE)
            with unavailable(2) as said:
                call(index)
            assert said[0].endswith(f"cannot be used: it answers {code}")


def test_the_right_password() -> None:
    """A password in the URL is used, also with characters that a URL has to quote."""
    with started("--requirepass", f"{SECRET}@/?#%") as server:
        index = Index(Connection(server.url.replace("unix://", f"unix://:{SECRET}%40%2F%3F%23%25@")), NAMESPACE)
        assert index.bind("root-id")


def test_a_read_only_replica(own: Server) -> None:
    """Reading works, writing is IndexUnavailable, and nothing is half written."""
    index = Index(Connection(own.url), NAMESPACE)
    index.record_commits([news("1")])
    with client_of(own.url) as client:
        client.replicaof("127.0.0.1", str(free_port()))
        assert Index(Connection(own.url), NAMESPACE).read(["departures"])["departures"].days() == {"1"}
        before = redis_servers.dump(client)
        for name in ("bind", "rebind"):
            with unavailable(2):
                CALLS[name](Index(Connection(own.url), NAMESPACE))
        with unavailable(2) as said:
            Index(Connection(own.url), NAMESPACE).record_commits([news("1", 2), news("2")])
        assert said[0].endswith("it answers READONLY")
        with unavailable(2):
            Index(Connection(own.url), NAMESPACE).reconcile(index.read(["departures"]), {})
        assert redis_servers.dump(client) == before


def test_a_full_server(own: Server) -> None:
    """Out of memory without eviction: reading works, a commit is IndexUnavailable, none of its three keys moves."""
    index = Index(Connection(own.url), NAMESPACE)
    index.record_commits([news("1")])
    with client_of(own.url) as client:
        before = redis_servers.dump(client)
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1")
        with unavailable(2) as said:
            index.record_commits([news("2")])
        assert said[0].endswith("it answers OOM")
        again = Index(Connection(own.url), NAMESPACE)
        assert again.read(["departures"])["departures"].days() == {"1"}
        with unavailable(2):
            again.reconcile(again.read(["departures"]), output_of(news("1"), news("3")))
        assert redis_servers.dump(client) == before
        client.config_set("maxmemory", "0")
        Index(Connection(own.url), NAMESPACE).record_commits([news("2")])
        assert client.hlen(COMMITS) == 2


@every_call
def test_a_server_that_cannot_save(own: Server, call: Callable[[Index], object]) -> None:
    """MISCONF, which a full disk brings, is IndexUnavailable where we write, and named."""
    (own.folder / "dump.rdb").mkdir()  # where the server would save
    with client_of(own.url) as client:
        client.config_set("save", "1 1")
        client.set("noonmark:root", "root-id")
        with suppress(Exception):
            client.bgsave()
        wait_until(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err")
        index = Index(Connection(own.url), NAMESPACE)
        if call in (CALLS["rebind"], CALLS["record_commits"], CALLS["reconcile"]):
            with unavailable(2) as said:
                call(index)
            assert said[0].endswith("it answers MISCONF")
        else:
            call(index)
        assert list(client.scan_iter()) == [b"noonmark:root"]


def test_a_server_that_is_loading() -> None:
    """While a server reads its file back it knows nothing, and nothing is taken from that."""
    folder = Path(tempfile.mkdtemp(prefix="noonmark-load-"))
    try:
        with started(folder=folder) as server, client_of(server.url) as client:
            client.mset({f"filling:{number}": "x" * 100 for number in range(2000)})
            client.save()
        slow = ("--key-load-delay", "1500", "--loading-process-events-interval-bytes", "1024")
        with started(*slow, folder=folder, wait=False) as server:
            for name in ("root", "read", "record_commits"):
                with unavailable(5) as said:
                    CALLS[name](Index(Connection(server.url), NAMESPACE))
                assert said[0].endswith("it answers LOADING")
    finally:
        shutil.rmtree(folder)


BAD_URLS = [
    "http://user:sesame@host",
    "redis://user:sesame@host:port",
    "redis://user:sesame@host:99999999",
    "redis://user:sesame@host/?socket_timeout=sesame",
    "redis+sentinel://user:sesame@host:1",
    "redis+sentinel://user:sesame@/main",
    "redis+sentinel://user:sesame@host:x/main",
    "redis+sentinel://user:sesame@host:1/main/first",
    "redis+sentinel://user:sesame@one:1,:2/main",
    "redis://user:sesame@[::1",
]
UNQUOTED_URLS = [
    "redis://:12#sesame@host:6379/0",
    "redis://user:12?sesame@host:6379/0",
    "unix://:sesame/with/slash@/run/none.sock",
    "redis://host:6379/0#sesame",
    "redis+sentinel://host:1/main?password=sesame",
    "redis://user:sesame?x@host:6379/0",
    "redis+sentinel://user:sesame?x@host:1/main",
    "user:sesame@host:6379",
    "redis:/user:sesame@host:6379",
    "sesame",
]


@pytest.mark.parametrize("url", [*BAD_URLS, *UNQUOTED_URLS])
def test_a_url_that_is_none_is_an_error_without_its_secrets(url: str) -> None:
    """What is wrong is told, and never what may be a password."""
    with suppress(IndexUnavailable), pytest.raises(ConfigurationError, match="is not a Redis URL") as caught:
        Index(Connection(url), NAMESPACE).root()
    said = str(caught.value) + "".join(traceback.format_exception(caught.value))
    assert SECRET not in said


@pytest.mark.parametrize("url", ["redis://h:1/2", "rediss://h:1/2", "unix:///x?db=2", "redis+sentinel://h:1/main/2"])
def test_the_schemes_of_the_contract_are_understood(url: str) -> None:
    """All four kinds of URL make a client of the right database, and send nothing yet."""
    assert connect(url).connection_pool.connection_kwargs["db"] == 2


def test_a_server_that_quotes_what_it_got_tells_no_password() -> None:
    """Redis quotes a command that it does not know with its arguments, and AUTH may be renamed away."""

    def quote(connection: socket.socket) -> None:
        while said := connection.recv(1000):
            words = " ".join(f"'{word.decode()}'" for word in said.split(b"\r\n")[4::2])
            connection.sendall(f"-ERR unknown command 'AUTH', with args beginning with: {words}\r\n".encode())

    with speaking(quote) as url:
        index = Index(Connection(url.replace("unix://", f"unix://user:{SECRET}@")), NAMESPACE)
        with pytest.raises(IndexUnavailable, match="cannot be used") as caught:
            index.root()
    assert SECRET not in str(caught.value)
    assert str(caught.value).endswith("cannot be used: it answers ERR")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"-MISCONF sesame", "it answers MISCONF"),
        (b"-CLUSTERDOWN sesame", "it answers CLUSTERDOWN"),
        (b"-NOAUTH", "it answers NOAUTH"),
        (b"-ERR SESAME sesame", "it answers ERR"),
        (b"-sesame street", "ResponseError"),
        (b"-Sesame", "ResponseError"),
        (b"-SESAME1 street", "ResponseError"),
        (b"-" + b"S" * 21, "ResponseError"),
        (b"-LOADING\xff sesame", "ResponseError"),
    ],
)
def test_of_an_error_reply_its_code_is_shown_and_nothing_else(answer: bytes, told: str) -> None:
    """The code tells a person what to fix. Whatever else stands in a reply may be a secret."""

    def refuse(connection: socket.socket) -> None:
        while commands := connection.recv(1000).count(b"*"):
            connection.sendall((answer + b"\r\n") * commands)

    with speaking(refuse) as url, closing(Connection(url)) as connection, unavailable(2) as said:
        Index(connection, NAMESPACE).root()
    assert said[0] == f"Redis (NOONMARK_REDIS_URL) cannot be used: {told}"
    assert SECRET not in said[0].lower()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("unix://user:sesame@/sesame/socket", "no such file or directory"),
        ("redis://user:sesame@sesame.invalid:1", "its host name cannot be resolved"),
        ("redis+sentinel://user:sesame@127.0.0.1:1/sesame", "no Sentinel names the primary"),
    ],
)
def test_the_systems_reason_is_shown_without_the_place(url: str, told: str) -> None:
    """A person knows the place from the setting, and the place may hold the password."""
    with unavailable(9) as said:
        Index(Connection(url), NAMESPACE).root()
    assert said[0] == f"Redis (NOONMARK_REDIS_URL) cannot be used: {told}"


@pytest.mark.parametrize("option", ["socket_timeout=60", "socket_connect_timeout=60", "decode_responses=1"])
def test_no_option_of_a_url_goes_before_ours(option: str) -> None:
    """Promise 12 hangs on the deadlines, and replies are bytes."""
    name = option.partition("=")[0]
    own = connect("redis://h").connection_pool.connection_kwargs[name]
    assert connect(f"redis://h?{option}").connection_pool.connection_kwargs[name] == own


@pytest.mark.parametrize("url", ["redis://h/main", "redis://h?sesame=1", "rediss://h?ssl_cert_reqs=sesame"])
def test_a_url_that_would_be_read_otherwise_is_refused(url: str) -> None:
    """redis-py takes the first database for a name, and finds wrong options only as it connects, quoting them."""
    with pytest.raises(ConfigurationError, match="is not a Redis URL") as caught:
        connect(url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("url", ["", "none", "host", "http://host", "redis-sentinel://h/main", "REDIS//h"])
def test_an_unknown_scheme_names_the_known_ones(url: str) -> None:
    """The message lists what would have been understood."""
    with pytest.raises(ConfigurationError, match=r"redis://, rediss://, unix://, redis\+sentinel://, none"):
        connect(url)


def test_no_tls_where_none_is_spoken(short: float) -> None:
    """rediss:// to a server without TLS is IndexUnavailable, in time and without the password."""
    port = free_port()
    with started("--port", str(port)), unavailable(4):
        Index(Connection(f"rediss://user:{SECRET}@127.0.0.1:{port}/0"), NAMESPACE).root()


@contextmanager
def sentinel(*, password: str = "") -> Iterator[tuple[Server, Server, str]]:
    """A Sentinel, the server that it watches as "main", and the Sentinel's place."""
    port, watcher = free_port(), free_port()
    with started("--port", str(port), *(("--requirepass", password) if password else ())) as main:
        configuration = main.folder / "sentinel.conf"
        configuration.write_text(
            f"sentinel monitor main 127.0.0.1 {port} 1\n"
            + (f"sentinel auth-pass main {password}\n" if password else "")
        )
        with started_sentinel(configuration, watcher) as sentinel_server:
            yield sentinel_server, main, f"127.0.0.1:{watcher}"


@contextmanager
def started_sentinel(configuration: Path, port: int) -> Iterator[Server]:
    """A Valkey as Sentinel: its configuration file comes first, and it takes no persistence options."""
    process = subprocess.Popen(
        [valkey(), str(configuration), "--sentinel", "--port", str(port), "--bind", "127.0.0.1"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = Server(process, f"redis://127.0.0.1:{port}", configuration.parent)

    def knows() -> bool:
        with suppress(Exception), client_of(server.url) as client:
            return "main" in client.sentinel_masters()
        return False

    try:
        wait_until(lambda: process.poll() is not None or knows())
        assert process.poll() is None, "the Sentinel did not start"
        yield server
    finally:
        server.kill()


def test_a_real_sentinel_leads_to_its_server(short: float) -> None:
    """redis+sentinel:// asks for the service by name and signs in at its server, in time also where that one hangs."""
    with sentinel(password=f"{SECRET}@1") as (_, main, place):
        url = f"redis+sentinel://:{SECRET}%401@{place}/main"
        index = Index(Connection(url), NAMESPACE)
        assert index.bind("root-id")
        index.record_commits([news("1")])
        with client_of(main.url.replace("unix://", f"unix://:{SECRET}%401@")) as client:
            assert client.get("noonmark:root") == b"root-id"
        with unavailable(3):
            Index(Connection(f"redis+sentinel://:wrong@{place}/main"), NAMESPACE).root()
        main.stop()
        with unavailable(short + 2):
            index.root()
        with unavailable(short + 2):
            Index(Connection(url), NAMESPACE).root()


def test_a_sentinel_that_is_gone(short: float) -> None:
    """Where the first Sentinel is not there the next is asked, and where none is, that is told at once."""
    place = f"127.0.0.1:{free_port()}"
    with unavailable(short + 2):
        Index(Connection(f"redis+sentinel://user:{SECRET}@{place}/main"), NAMESPACE).root()


def test_a_sentinel_that_hangs(short: float) -> None:
    """A Sentinel that does not answer costs one deadline."""
    with socket.create_server(("127.0.0.1", 0)) as listener, unavailable(short + 2):
        port = listener.getsockname()[1]  # connections are made, and nobody takes them
        Index(Connection(f"redis+sentinel://user:{SECRET}@127.0.0.1:{port}/main"), NAMESPACE).root()
