"""A Redis that is kept safe: TLS with an authority of one's own, and a user with the rights that Noonmark needs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import redis
from redis.exceptions import NoPermissionError

from flows.repair import repair_output
from state.errors import IndexUnavailable
from state.index.connection import Connection
from state.index.index import Index
from state.index.leases import Leases
from tests.chaos.harness.inspection import inspect
from tests.chaos.harness.runs import run
from tests.chaos.harness.scene import DAYS, Scene, catalog
from tests.redis_servers import Server, client_of, free_port, started, wait_until

pytestmark = pytest.mark.filterwarnings("ignore:Logger 'noonmark' attempted to send logs")  # Prefect's, outside a flow

SECRET = "sesame-4711"
INDEX = "+get +set +del +hlen +hgetall +smembers +scan +eval"
"""What the commands themselves send."""
SCRIPTS = "+type +hget +hset +hdel +sadd +srem"
"""What the index's scripts do beside that: a script may do what its user may."""
LEASES = "+pttl +pexpire"
"""What leases need more: without them a run computes without, and may compute a day that another does."""
HEALTH = "+info +config|get"
"""What health asks to tell how durable the server is; without them it says less."""
MINIMAL = f"{INDEX} {SCRIPTS} {LEASES} {HEALTH}"


# A user of Redis's own


@dataclass(frozen=True)
class Guarded:
    """A server whose users all need a password, its scene, and an administrator."""

    server: Server
    scene: Scene
    admin: redis.Redis

    def allow(self, commands: str) -> None:
        """Let Noonmark's user send these commands, for keys of its namespace alone."""
        self.admin.execute_command("ACL", "SETUSER", "noonmark", "reset")  # type: ignore[no-untyped-call]
        rule = ["on", f">{SECRET}", "resetchannels", "~noonmark:*", "-@all", *commands.split()]
        self.admin.execute_command("ACL", "SETUSER", "noonmark", *rule)  # type: ignore[no-untyped-call]


@pytest.fixture(params=["valkey", "redis-7.0"])
def guarded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Guarded]:
    """A server of each kind, with a key that is none of Noonmark's."""
    binary = None
    if request.param == "redis-7.0" and (binary := shutil.which("redis-server")) is None:
        pytest.skip("no redis-server on the PATH (apt-get install redis-server)")
    with started("--requirepass", "of-the-admin", binary=binary) as server:
        socket = server.url.removeprefix("unix://")
        with client_of(f"unix://:of-the-admin@{socket}") as admin:
            admin.set("somebody's", "own")
            scene = Scene(tmp_path / "raw", tmp_path / "output", f"unix://noonmark:{SECRET}@{socket}")
            for day in DAYS:
                scene.sell(day, 1, 2)
            yield Guarded(server, scene, admin)


def _whole_life(guarded: Guarded) -> list[str]:
    """Everything that Noonmark does with Redis; what was lacking."""
    scene, admin = guarded.scene, guarded.admin
    run(scene)
    wrong = inspect(scene)
    scene.sell(DAYS[0], 7)
    admin.hset("noonmark:{totals}:commits", "2030-01-01", "an entry too many")
    admin.sadd("noonmark:{totals}:processed_days", "2030-01-01")
    run(scene)
    admin.hset("noonmark:{totals}:commits", DAYS[1], "a wrong entry")
    admin.set("noonmark:{items_by_shop}:processed_days", "of a wrong type")
    report = repair_output(scene.settings(), catalog(), deep=True, accept=False, dry_run=False).to_json()
    wrong += ["the repair had no index"] * ("index" in report) + inspect(scene)
    repair_output(scene.settings(), catalog(), deep=False, accept=True, dry_run=False)
    return wrong + inspect(scene)


def _leases_live(guarded: Guarded) -> bool:
    """Whether leases are taken, taken over, renewed and released."""
    place = ("totals", DAYS[0])
    key = "noonmark:{totals}:lease:" + DAYS[0]
    guarded.admin.set(key, "without a lifetime")
    leases = Leases(Connection(guarded.scene.redis_url), "noonmark", 1)
    try:
        if leases.acquire([place]):
            return False
        guarded.admin.pexpire(key, 900)
        wait_until(lambda: int(guarded.admin.pttl(key)) > 900, 2)
        leases.release([place])
        return not guarded.admin.exists(key)
    except (IndexUnavailable, AssertionError):
        return False
    finally:
        leases.close()


def test_a_user_of_the_namespace_alone_does_everything(guarded: Guarded) -> None:
    """The rights of the runbook are enough for runs, repairs, leases and health, and reach no other key."""
    guarded.allow(MINIMAL)
    assert _whole_life(guarded) == []
    assert _leases_live(guarded)
    index = Index(Connection(guarded.scene.redis_url), "noonmark")
    assert (index.durability().append_only, index.durability().flush) == (False, "everysec")
    index._connection.close()
    with client_of(guarded.scene.redis_url) as client, pytest.raises(NoPermissionError):
        client.get("somebody's")
    assert guarded.admin.get("somebody's") == b"own"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_no_right_of_it_is_too_many(guarded: Guarded) -> None:
    """Each right that is taken away is missed, so the list is the shortest one."""
    spare = []
    for right in f"{INDEX} {SCRIPTS} {LEASES}".split():
        shutil.rmtree(guarded.scene.output, ignore_errors=True)
        guarded.admin.delete(*guarded.admin.keys("noonmark:*") or ["none"])
        for day in DAYS:
            guarded.scene.sell(day, 1, 2)
        guarded.allow(MINIMAL.replace(right + " ", ""))
        try:
            missed = bool(_whole_life(guarded)) or not _leases_live(guarded)
        except IndexUnavailable:  # the accepting repair needs its index
            missed = True
        if not missed:
            spare.append(right)
    assert spare == []


def test_a_user_without_rights_costs_the_index_and_no_result(guarded: Guarded) -> None:
    """A wrong list of rights is a Redis that cannot be used, and the message names the code and no password."""
    guarded.allow("+get")
    report = run(guarded.scene).to_json()
    assert (len(report["committed"]), report["failed"]) == (4, [])
    assert inspect(replace(guarded.scene, redis_url="none")) == []
    index = Index(Connection(guarded.scene.redis_url), "noonmark")
    with pytest.raises(IndexUnavailable, match="it answers NOPERM") as caught:
        index.read(["totals"])
    index._connection.close()
    assert SECRET not in str(caught.value)


# TLS


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, a server's certificate for 127.0.0.1, one for another name, and a client's."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl on the PATH")
    folder = tmp_path_factory.mktemp("authority")
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    # Python 3.13 verifies strictly: key usage in the authority's certificate, and in the others whose key signed them.
    signs = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    own = ("-keyout", "ca.key", "-out", "ca.crt")
    _openssl(folder, "req", "-x509", *new, "-days", "2", "-subj", "/CN=ours", *signs, *own)
    for name, alternative in (("server", "IP:127.0.0.1"), ("other", "DNS:elsewhere"), ("client", "DNS:client")):
        (folder / f"{name}.ext").write_text(f"subjectAltName={alternative}\nauthorityKeyIdentifier=keyid\n")
        _openssl(folder, "req", *new, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        sign = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext")
        _openssl(folder, "x509", "-req", "-in", f"{name}.csr", *sign, "-out", f"{name}.crt")
    return folder


@dataclass(frozen=True)
class Tls:
    """A server that speaks TLS alone, on a port of this machine."""

    place: str
    authority: Path

    def url(self, **query: Any) -> str:
        """Its URL with these options."""
        options = "&".join(f"{name}={value}" for name, value in query.items())
        return f"rediss://:{SECRET}@{self.place}/0" + (f"?{options}" if options else "")


def _speaking_tls(authority: Path, certificate: str, *more: str) -> Any:
    binary = shutil.which("redis-server")  # the Valkey that Noonmark brings along has no TLS
    if binary is None:
        pytest.skip("no redis-server on the PATH (apt-get install redis-server)")
    port = free_port()
    files = ["--tls-cert-file", str(authority / f"{certificate}.crt")]
    files += ["--tls-key-file", str(authority / f"{certificate}.key"), "--tls-ca-cert-file", str(authority / "ca.crt")]
    more = (*more, "--requirepass", SECRET)
    return started("--tls-port", str(port), *files, *more, binary=binary), Tls(f"127.0.0.1:{port}", authority)


def _why_not(url: str) -> str:
    index = Index(Connection(url), "noonmark")
    try:
        index.root()
    except IndexUnavailable as error:
        return error.message
    finally:
        index._connection.close()
    return ""


def test_a_run_over_tls_with_an_authority_of_ones_own(authority: Path, tmp_path: Path) -> None:
    """``ssl_ca_certs`` in the URL names the authority's certificate; without it the server is not trusted."""
    context, tls = _speaking_tls(authority, "server", "--tls-auth-clients", "no")
    with context:
        url = tls.url(ssl_ca_certs=authority / "ca.crt")
        scene = Scene(tmp_path / "raw", tmp_path / "output", url)
        for day in DAYS:
            scene.sell(day, 1, 2)
        run(scene)
        assert inspect(scene) == []
        refused = _why_not(tls.url())
        assert "certificate verify failed" in refused
        assert SECRET not in refused
        assert "cannot be used" in _why_not(tls.url().replace("rediss://", "redis://"))


def test_the_systems_own_authorities_can_be_named(authority: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL's own variable serves too, so that the URL may stay short."""
    context, tls = _speaking_tls(authority, "server", "--tls-auth-clients", "no")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.crt"))
    with context:
        assert _why_not(tls.url()) == ""


def test_a_server_of_another_name_is_not_trusted(authority: Path) -> None:
    """A certificate of the same authority for another host is nobody's proof."""
    context, tls = _speaking_tls(authority, "other", "--tls-auth-clients", "no")
    with context:
        told = _why_not(tls.url(ssl_ca_certs=authority / "ca.crt"))
    assert "certificate verify failed" in told
    assert SECRET not in told


def test_a_server_that_asks_for_a_certificate_gets_one(authority: Path) -> None:
    """Mutual TLS: certificate and key are named in the URL as well."""
    context, tls = _speaking_tls(authority, "server")
    own = {"ssl_certfile": authority / "client.crt", "ssl_keyfile": authority / "client.key"}
    with context:
        assert _why_not(tls.url(ssl_ca_certs=authority / "ca.crt")) != ""
        assert _why_not(tls.url(ssl_ca_certs=authority / "ca.crt", **own)) == ""
