"""Promise 13 over whole commands: a planted secret shows nowhere, nothing is unpickled, and no name leads out."""

from __future__ import annotations

import os
import pickle  # noqa: TID251 the bombs are made with it; what is tested is that nobody sets one off
import stat
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from flows.repair import repair_output
from state.embedded.server import EmbeddedServer
from state.store.local import layout
from tests.builders import rows_of
from tests.chaos.campaign import replaced
from tests.chaos.damage.foreign_files import sealed
from tests.chaos.harness.inspection import inspect
from tests.chaos.harness.runs import run
from tests.chaos.harness.scene import DAYS, Scene, catalog
from tests.chaos.redis.values import LIES, NO_DAYS
from tests.flows.test_health import command
from tests.project import Finished, Project, dates, wait_until
from tests.redis_servers import client_of, free_port, started

SECRET = "sesame4711"
pytestmark = pytest.mark.filterwarnings("ignore:Logger 'noonmark' attempted to send logs")  # Prefect's, outside a flow


# Secrets


def _command(project: Project, module: str, *arguments: str, url: str) -> Finished:
    """Run a command to its end, and look at every process of the machine meanwhile."""
    running = command(project, module, *arguments, env={"NOONMARK_REDIS_URL": url})
    titles: set[bytes] = set()

    def ended() -> bool:
        titles.update(_titles())
        return running.over

    wait_until(ended)
    assert not [title for title in titles if SECRET.encode() in title]
    return running.finish()


def _titles() -> Iterator[bytes]:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            yield (process / "cmdline").read_bytes() + (process / "comm").read_bytes()
        except OSError:
            continue  # it ended just now


def _holding(folders: Sequence[Path], needle: bytes) -> list[Path]:
    """The files, whatever they are, that hold these bytes."""
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            try:
                if path.is_file() and needle in path.read_bytes():
                    found.append(path)
            except OSError:
                continue  # Prefect's server goes on writing, and removes what it needs no more
    return found


def _prefects(factory: pytest.TempPathFactory) -> list[Path]:
    """The homes of the session's Prefect server: its database and its log."""
    return sorted(factory.getbasetemp().glob("prefect*"))


COMMANDS = (("daily", "--json"), ("repair", "--json"), ("health", "--json"), ("health",))


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="this system does not show process titles")
@pytest.mark.parametrize(
    "redis", ["refusing", *(pytest.param(one, marks=pytest.mark.slow) for one in ("reached", "gone"))]
)
def test_a_password_shows_nowhere(redis: str, project: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Neither printed, logged, kept by Prefect, written to output or index folder, nor shown as a process's title."""
    project.sell(dates(11)[-1], [("north", 3)])
    port = free_port()
    with started("--port", str(port), "--requirepass", SECRET if redis == "reached" else "another") as server:
        if redis == "gone":
            server.kill()
        printed = ""
        for module, *arguments in COMMANDS:
            end = _command(project, module, *arguments, url=f"redis://:{SECRET}@127.0.0.1:{port}/0")
            printed += end.stdout + end.stderr
            assert end.code == (0 if module == "daily" or redis == "reached" else 1), end
    assert SECRET not in printed
    prefects = _prefects(tmp_path_factory)
    if redis != "reached":
        assert NAMED in printed  # that the setting is named shows that the search can find
        wait_until(lambda: _holding(prefects, NAMED.encode()))
    assert _holding([project.folder, *prefects], SECRET.encode()) == []


NAMED = "Redis (NOONMARK_REDIS_URL) cannot be used"
MALFORMED = [
    f"redis://user:{SECRET}@host:port/0",
    f"http://user:{SECRET}@host",
    f"redis://user:{SECRET}/{SECRET}@127.0.0.1:1/0",
    f"redis://user:{SECRET}#{SECRET}@127.0.0.1:1/0",
    f"redis://user:{SECRET}?{SECRET}@127.0.0.1:1/0",
    f"redis://127.0.0.1:1/0?password={SECRET}",
    f"redis://127.0.0.1:1/0?ssl_ca_certs={SECRET}",
    f"rediss://127.0.0.1:1/0?ssl_ca_certs=/nowhere/{SECRET}",
    f"rediss://127.0.0.1:1/0?ssl_keyfile_password={SECRET}",
    f"redis+sentinel://user:{SECRET}@127.0.0.1:x/main",
    f"unix://user:{SECRET}@/nowhere",
    f"unix:///nowhere?password={SECRET}",
    f"{SECRET}",
    f" redis://user:{SECRET}@127.0.0.1:1/0",
]
TOLD = [
    # The @ is lacking, or was quoted like the rest.
    f"redis://:{SECRET}",
    f"redis://user:{SECRET}/0",
    f"redis://user:{SECRET}%40host:6379/0",
    f"redis+sentinel://user:{SECRET}/main",
    f"redis://127.0.0.1:1/{SECRET}",
    # redis-py quotes options that it does not understand.
    f"redis://user:12?{SECRET}=x@host:1/0",
    f"redis://127.0.0.1:1/0?{SECRET}=1",
    f"rediss://127.0.0.1:1/0?ssl_cert_reqs={SECRET}",
]


@pytest.mark.parametrize("url", [*MALFORMED, *TOLD])
def test_a_malformed_url_is_not_quoted(url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A password in an odd place of the URL is in no message, whether the URL is refused or tried."""
    assert SECRET not in _told_of(url, tmp_path) + caplog.text


def test_an_error_whose_text_is_shown_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Were the texts of errors shown, the same search would find the password: it can fail."""
    with replaced("state.index.connection.reason", str):
        assert SECRET in _told_of(TOLD[6], tmp_path) + caplog.text


def _told_of(url: str, folder: Path) -> str:
    scene = Scene(folder / "raw", folder / "output", url)
    scene.sell(DAYS[0], 1)
    try:
        return repr(run(scene).to_json())
    except Exception as error:  # noqa: BLE001 whatever is raised is what would be shown
        return "".join(traceback.format_exception(error))


@pytest.mark.slow
@pytest.mark.parametrize("url", [MALFORMED[0], MALFORMED[2], MALFORMED[5], MALFORMED[8]])
def test_the_commands_quote_no_malformed_url(
    url: str, project: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The same with every real command, and Prefect's database."""
    for module, *arguments in COMMANDS:
        end = _command(project, module, *arguments, url=url)
        assert SECRET not in end.stdout + end.stderr
    assert _holding([project.folder, *_prefects(tmp_path_factory)], SECRET.encode()) == []


# The embedded server is its user's alone


_CONNECT = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for path in sys.argv[1:]:
    try:
        socket.socket(socket.AF_UNIX).connect(path) if path.endswith("socket") else os.listdir(path)
        print("reached", path)
    except PermissionError:
        pass
"""


def test_the_embedded_server_is_its_users_alone(open_folder: Path) -> None:
    """Folder, files and socket have modes for the owner, and another user comes to none of them."""
    with EmbeddedServer(open_folder / "redis") as server, client_of(server.url) as client:
        client.set("noonmark:root", "x")
        socket = Path(urlsplit(server.url).path)
        wait_until(lambda: any((open_folder / "redis").rglob("*.aof")))
        for path in (open_folder / "redis", socket.parent, *(open_folder / "redis").rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
        assert (
            stat.S_IMODE((open_folder / "redis").stat().st_mode) == stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        )
        if os.geteuid() != 0:
            pytest.skip("only root can try it as another user; the modes were right")
        command = [
            sys.executable,
            "-I",
            "-S",
            "-c",
            _CONNECT,
            str(socket),
            str(open_folder / "redis"),
            str(open_folder),
        ]
        tried = subprocess.run(command, capture_output=True, text=True, check=False)
        assert tried.stdout == f"reached {open_folder}\n", tried.stdout + tried.stderr


# Nothing is unpickled


class _Bomb:
    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return os.mkdir, (str(self.flag),)


@pytest.fixture
def flag(tmp_path: Path) -> Path:
    """What appears where a bomb goes off."""
    return tmp_path / "exploded"


def _bombs(flag: Path) -> list[bytes]:
    return [pickle.dumps(_Bomb(flag), protocol) for protocol in (0, 2, 5)]


def test_the_bomb_is_one(flag: Path) -> None:
    """Whoever unpickles it sets it off: the tests below can fail."""
    for bomb in _bombs(flag):
        pickle.loads(bomb)
        assert flag.is_dir()
        flag.rmdir()


def test_nothing_that_is_read_back_is_unpickled(project: Project, flag: Path) -> None:
    """Redis, results, footers, marker, lists, locks, drafts, raw files, the embedded server's and Prefect's folders."""
    bombs = _bombs(flag)
    bomb = bombs[2]
    days = dates(10)
    with project.client() as client:
        for name in ("totals", "items_by_shop"):
            client.hset(f"noonmark:{{{name}}}:commits", mapping=dict(zip(days, bombs, strict=False)))
            client.sadd(f"noonmark:{{{name}}}:processed_days", *bombs)
            client.set(f"noonmark:{{{name}}}:last_processed_day", bomb)
            client.hset(f"noonmark:{{{name}}}:failures", days[0], bomb)
            for day in days:
                client.set(f"noonmark:{{{name}}}:lease:{day}", bomb)
    project.result("totals", days[0]).write_bytes(bomb)
    _as_an_extension_type(project.result("totals", days[1]), bomb)
    project.sales_file(days[2]).write_bytes(bomb)
    (project.raw / "sales" / days[3] / "more.csv").write_bytes(bombs[0])
    own = project.output / layout.OWN
    (own / "accepted.json").write_bytes(bomb)
    (own / "tmp" / "left.tmp").write_bytes(bomb)
    (own / "cache").mkdir(exist_ok=True)
    (own / "cache" / "footers").write_bytes(bomb)
    for lock in (own / "locks").rglob("*.locks"):
        lock.write_bytes(bomb)
    (project.redis / "dump.rdb").write_bytes(bomb)
    (project.redis / "more.pkl").write_bytes(bomb)
    storage = project.home / ".prefect" / "storage"
    storage.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(bombs):
        (storage / f"result{number}").write_bytes(one)
    codes = [_command(project, *one, url="").code for one in (("daily", "--json"), ("repair", "--deep"), ("health",))]
    assert codes[0] == 1  # the days whose raw files are no CSV
    (own / "root.json").write_bytes(bomb)
    codes.append(_command(project, "daily", url="").code)
    assert codes[3] == 3
    assert 4 not in codes
    assert not flag.exists()


def _as_an_extension_type(path: Path, bomb: bytes) -> None:
    """A Parquet file whose column says that it is of a type which old versions of pyarrow unpickled."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    told = {b"ARROW:extension:name": b"arrow.py_extension_type", b"ARROW:extension:metadata": bomb}
    table = pa.table([pa.array([1])], schema=pa.schema([pa.field("items", pa.int64(), metadata=told)]))
    pq.write_table(table, path)


# Names


def test_no_name_leads_out_of_the_roots(tmp_path: Path) -> None:
    """Days and aggregations that Redis, footers and folders name are no paths: nothing appears outside the output."""
    with started() as server, client_of(server.url) as client:
        project = tmp_path / "a" / "b" / "c"
        scene = Scene(project / "raw", project / "output", server.url)
        for day in DAYS:
            scene.sell(day, 1, 2)
        run(scene)
        for name in ("../escaped", "/tmp/escaped", "..", "a/b"):
            for day in (*NO_DAYS, "../../escaped"):
                raw = day.encode("utf-8", "surrogateescape")
                client.hset(f"noonmark:{{{name}}}:commits", raw, LIES[0])
                client.hset("noonmark:{totals}:commits", raw, LIES[0])
                client.sadd("noonmark:{totals}:processed_days", raw)
        for number, day in enumerate(DAYS):
            path = scene.output / layout.data_file("totals", day)
            sealed(path, rows_of(1), aggregation="../" * (number + 1) + "escaped", day="../escaped")
        for name in ("day=..", "day=2024-02-30", "day=a\nb", "day=2024-01-01 "):
            (scene.output / "totals" / name).mkdir()
        (scene.raw / "sales" / "..csv").write_text("shop,items\nshop0,1\n")
        (scene.raw / "sales" / "2024-02-30.csv").write_text("shop,items\nshop0,1\n")
        before = sorted(path for path in tmp_path.rglob("*") if not path.is_relative_to(scene.output))

        repair_output(scene.settings(), catalog(), deep=True, accept=False, dry_run=False)
        assert run(scene).to_json()["failed"] == []
        repair_output(scene.settings(), catalog(), deep=False, accept=False, dry_run=False)

        assert sorted(path for path in tmp_path.rglob("*") if not path.is_relative_to(scene.output)) == before
        assert {path.parent.name.removeprefix("day=") for path in scene.output.rglob("*.parquet")} == set(DAYS)
        locks = [path for path in (scene.output / layout.LOCKS).rglob("*") if path.is_file()]
        assert {path.relative_to(scene.output / layout.LOCKS).as_posix() for path in locks} == {
            f"{name}/{day[:4]}.locks" for name in ("items_by_shop", "totals") for day in DAYS
        }
        assert all(path.parent == scene.output / layout.SET_ASIDE for path in scene.output.rglob("*escaped*"))
        for stray in ("..csv", "2024-02-30.csv"):
            (scene.raw / "sales" / stray).unlink()
        assert inspect(scene) == []
