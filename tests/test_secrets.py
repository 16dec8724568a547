"""Secrets: a type that does not show, keys that rotate without a failed request, and a canary that looks everywhere."""

import asyncio
import base64
import contextlib
import json
import pickle
import sqlite3
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import httpx2
import orjson
import pytest
from canary_launcher import REMOVED
from cryptography.fernet import Fernet
from kit import ENVIRONMENT, SETTINGS_EVENT, Platform, RelayProcess, free_port, live_page, read_sse, read_websocket
from sandbox_kit import APP_ID, APP_SECRET, DEVELOPER, gallery

from relay.secret import Secret
from relay.vault import Vault

LAUNCHER = Path(__file__).with_name("canary_launcher.py")
TEXT = "s3cr3t-text"


# -- the type ----------------------------------------------------------


def test_a_secret_does_not_show():
    """However it is printed, formatted, put into JSON or raised."""
    secret = Secret(TEXT)
    try:
        raise ValueError(f"about {secret}", secret)
    except ValueError:
        raised = traceback.format_exc()
    shown = [str(secret), repr(secret), f"{secret:>20}", "{} {!r}".format(*[secret] * 2), str([secret]), raised]
    shown.append(orjson.dumps({"key": secret}, default=str).decode())
    assert [] == [one for one in shown if TEXT in one]
    assert TEXT == secret.reveal()


def test_a_secret_leaves_its_process_in_no_way_but_one():
    """Not pickled, nor made JSON by accident."""
    with pytest.raises(TypeError):
        pickle.dumps(Secret(TEXT))
    with pytest.raises(TypeError):
        json.dumps(Secret(TEXT))


def test_secrets_compare_as_what_they_hold():
    """And an empty one is none."""
    assert (Secret("a"), hash(Secret("a"))) == (Secret("a"), hash(Secret("a")))
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert not Secret("")


# -- the canary ----------------------------------------------------------

OWN = {
    "RELAY_SECRETS": "canarySigningKeyOfTheRelay0123456789",
    "RELAY_ENCRYPTION_KEYS": "canaryEncryptionKeyOfTheRelay0123456789abc0=",
    "RELAY_API_KEYS": "canaryApiKeyOfThePlatform",
    "LOVENSE_DEVELOPER_TOKEN": "canaryDeveloperToken",
    "LOVENSE_APP_SECRET": "canaryApplicationSecret",
}


class Tap:
    """A port in front of the relay that writes down what it answers, connection by connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.heard: list[tuple[str, bytearray]] = []  # the first line of what was asked, and all that came back

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readline()
        answer = bytearray()
        self.heard.append((asked.decode("latin-1").rpartition(" ")[0].partition("?")[0], answer))
        upstream, up = await asyncio.open_connection("127.0.0.1", self._port)
        up.write(asked)
        await asyncio.gather(pour(reader, up), pour(upstream, writer, answer))


async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, copy: bytearray | None = None) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            if copy is not None:
                copy += data
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def tapped(port: int) -> AsyncIterator[tuple[Tap, str]]:
    tap = Tap(port)
    server = await asyncio.start_server(tap.connected, "127.0.0.1", 0)
    async with server:
        yield tap, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def spellings(secret: str) -> list[bytes]:
    """How a secret may look where it leaks."""
    plain = secret.encode()
    inner = base64.b64encode(plain)[:-4]  # its end depends on what follows
    return [plain, quote(secret, safe="").encode(), inner]


def found(secrets: dict[str, str], where: dict[str, bytes]) -> list[str]:
    return [
        f"{name} in {place}"
        for place, text in where.items()
        for name, secret in secrets.items()
        if any(spelling in text for spelling in spellings(secret))
    ]


# Where a secret is meant to be: her token goes to her own page, and to the platform with what her page needs.
MEANT = {
    "GET /page": "model token",
    "POST /models/coco/ticket": "model token",
    "GET /models/coco/settings-page": "model token",
}


def environment_for(vendor_url: str, folder: Path) -> dict[str, str]:
    return {
        **ENVIRONMENT,
        **OWN,
        "RELAY_API_KEYS": f"platform:{OWN['RELAY_API_KEYS']}",
        "LOVENSE_APP_ID": "app",
        "LOVENSE_API_URL": vendor_url,
        "LOVENSE_APP_GALLERY_URL": vendor_url,
        "RELAY_LOG_LEVEL": "debug",
        "RELAY_STORE": f"sqlite:///{folder}/relay.db",
    }


async def traffic(platform: Platform, vendor: object) -> None:
    """A little of everything that the relay does, what fails included."""
    http = platform.http
    for failure in ("html", "garbage", "refuse_401", "error_after", "rate_limited"):
        await vendor.order(get_token=failure, failures=1)
        await platform.register("fails")
    for model in ("coco", "boom"):
        assert (await platform.register(model)).status_code == 201
    await http.put("/models/coco?renew=true", json={"name": "Coco"})
    for failure in ("garbage", "html", "error_after"):
        await vendor.order(exchange=failure, failures=1)
        await http.post("/accounts", json={"authCode": await vendor.code(), "model": "coco"})
    await vendor.order(user_info="garbage", failures=1)
    assert (await http.post("/accounts", json={"authCode": await vendor.code(), "model": "coco"})).status_code == 201
    user = (await http.get("/accounts")).json()["accounts"][0]["userId"]
    await http.get(f"/accounts/{quote(user, safe='')}")
    assert 500 == (await http.get("/models/boom/settings-page")).status_code
    await http.get("/models/coco/settings-page")
    async with Platform(platform.url, "wrong-key") as stranger:
        await stranger.tip()
        await stranger.http.get("/accounts")
    feed_ticket = await platform.feed_ticket()
    async with (
        live_page(platform) as page,
        read_sse(platform, "/feed/coco") as sse,
        read_websocket(platform, "/feed") as websocket,
        Platform(platform.url, None) as nobody,
        read_sse(nobody, "/feed/coco", ticket=feed_ticket) as viewer,
    ):
        await page.hear(SETTINGS_EVENT)
        await page.raw("{")
        await platform.accepted("t1")
        await page.play()
        await platform.until("t1", "played")
        await platform.tip("t2", amount="nothing")
        await platform.tip("t1", amount=21)
        await platform.stop()
        for reader in (sse, websocket, viewer):
            await reader.next("tip")
    async with live_page(platform, journal="j_other"):
        pass
    for path in ("/models", "/models/coco", "/tips", "/metrics", "/openapi.json", "/docs", "/readyz", "/shim.js"):
        await http.get(path)
    await http.post("/keys/rotate")


async def leaks(removed: str, folder: Path) -> list[str]:
    """What a canary finds after some traffic, with one redaction removed."""
    async with gallery(
        developer_token=OWN["LOVENSE_DEVELOPER_TOKEN"], app_id="app", app_secret=OWN["LOVENSE_APP_SECRET"]
    ) as vendor:
        environment = environment_for(str(vendor.base_url).rstrip("/"), folder)
        process = RelayProcess(folder, **environment)
        process.program = [sys.executable, str(LAUNCHER), removed]
        try:
            url = (await process.start()).url
            async with (
                tapped(int(url.rsplit(":", 1)[1])) as (tap, front),
                Platform(front, OWN["RELAY_API_KEYS"]) as platform,
            ):
                platform.http.headers["Connection"] = "close"  # an exchange a connection
                await traffic(platform, vendor)
            await process.kill()  # the write-ahead log stays
        finally:
            process.forget()
    doctor = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, str(LAUNCHER), removed, "doctor"],
        env=environment,
        capture_output=True,
        check=False,
    )
    places = files(folder)  # before anybody tidies them up
    issued = tokens_kept(folder / "relay.db")
    assert {"model token", "boom's token", "access token", "refresh token"} == issued.keys()
    places |= {"the log": process.errors.read_bytes(), "relay doctor": doctor.stdout + doctor.stderr}
    assert b"failed over" in places["the log"]
    assert b"RELAY_SECRETS" in places["relay doctor"]
    hits = found(OWN | issued, places)
    for asked, answer in tap.heard:
        assert answer, asked
        forbidden = {name: secret for name, secret in (OWN | issued).items() if name != MEANT.get(asked)}
        hits += found(forbidden, {f"the answer to {asked}": bytes(answer)})
    return hits


def files(folder: Path) -> dict[str, bytes]:
    """The database as it lies on the disk, and row by row: a page's end may part a text."""
    places = {path.name: path.read_bytes() for path in folder.glob("relay.db*")}
    with contextlib.closing(sqlite3.connect(f"file:{folder}/relay.db?mode=ro", uri=True)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [row for table in tables for row in db.execute(f"SELECT * FROM {table}")]
    places["the database"] = "\n".join(as_text(value) for row in rows for value in row).encode()
    return places


def as_text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def tokens_kept(path: Path) -> dict[str, str]:
    """What the vendor gave out, from the database and with its key."""
    vault = Vault([Secret(OWN["RELAY_ENCRYPTION_KEYS"])])

    def opened(sealed: bytes) -> str:
        with contextlib.suppress(Exception):
            return vault.open(sealed).reveal()
        return sealed.decode()  # the encryption was removed

    with contextlib.closing(sqlite3.connect(path)) as db:
        tokens = dict(db.execute("SELECT id, token FROM models"))
        (body,) = db.execute("SELECT body FROM documents WHERE kind = 'account'").fetchone()
    access, refresh = json.loads(opened(json.loads(body)["sealed"].encode()))
    named = {"model token": opened(tokens["coco"]), "boom's token": opened(tokens["boom"])}
    return named | {"access token": access, "refresh token": refresh}


async def test_the_canary_finds_nothing(tmp_path):
    """In logs, database, sockets, answers and the doctor's words, after traffic of every kind."""
    assert [] == await leaks("nothing", tmp_path)


CAUGHT = {
    "the mask": {"boom's token in the log", "LOVENSE_APP_SECRET in relay doctor", "RELAY_SECRETS in the log"},
    "the encryption": {"model token in relay.db-wal", "refresh token in the database"},
    "silence about answers": {"model token in the log", "access token in the log"},
}


@pytest.mark.parametrize("removed", sorted(REMOVED.keys() - {"nothing"}))
async def test_the_canary_finds_the_secret_where_a_redaction_is_removed(tmp_path, removed):
    """Or it is worth nothing."""
    hits = set(await leaks(removed, tmp_path))
    assert set() == CAUGHT[removed] - hits, hits


# -- rotation ----------------------------------------------------------


@pytest.fixture
async def vendor():
    async with gallery() as vendor:
        yield vendor


def vendor_environment(vendor, **more):
    url = str(vendor.base_url).rstrip("/")
    return {"LOVENSE_DEVELOPER_TOKEN": DEVELOPER["developerToken"], "LOVENSE_API_URL": url} | more


def rotate(process, **more):
    return subprocess.run(
        [str(Path(sys.executable).with_name("relay")), "keys", "rotate"],
        env=process.environment | more,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize("running", [True, False], ids=["on a running relay", "on the store alone"])
async def test_an_old_encryption_key_can_be_removed_after_rotation(vendor, relay_process, running):
    """And not before: without it, what the old key sealed is named."""
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    first = relay_process(**vendor_environment(vendor, RELAY_ENCRYPTION_KEYS=old))
    async with await first.start() as platform:
        assert 201 == (await platform.register()).status_code
    await first.kill()
    too_early = rotate(first, RELAY_ENCRYPTION_KEYS=new)
    assert (1, True) == (too_early.returncode, "no key opens models/coco" in too_early.stderr)

    second = relay_process(**vendor_environment(vendor, RELAY_ENCRYPTION_KEYS=f"{new},{old}"))
    if running:
        async with await second.start() as platform:
            rotated = await asyncio.to_thread(rotate, second, RELAY_URL=platform.url)
            from_its_store = await asyncio.to_thread(
                rotate, second, RELAY_HOST="127.0.0.1", RELAY_PORT=platform.url.rpartition(":")[2]
            )
        await second.kill()
        assert 0 == from_its_store.returncode, from_its_store.stderr
    else:
        rotated = rotate(second)
    assert (0, True) == (rotated.returncode, "1 models' tokens, 0 accounts, 0 sinks" in rotated.stdout), rotated.stderr

    third = relay_process(**vendor_environment(vendor, RELAY_ENCRYPTION_KEYS=new))
    async with await third.start() as platform:
        answer = await platform.http.get("/models/coco/settings-page")
        assert (200, True) == (answer.status_code, "mToken=" in answer.text)


async def test_a_running_relay_without_the_newest_key_says_so(vendor, relay_process):
    """Nothing looks rotated that is not."""
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    process = relay_process(**vendor_environment(vendor, RELAY_ENCRYPTION_KEYS=old))
    async with await process.start() as platform:
        await platform.register()
        rotated = await asyncio.to_thread(rotate, process, RELAY_URL=platform.url, RELAY_ENCRYPTION_KEYS=f"{new},{old}")
        assert (1, True) == (rotated.returncode, "restart it, then rotate" in rotated.stderr)


async def test_accounts_and_live_pages_outlive_a_rotation(vendor, relay_process):
    """Their pairs open with the new key, and a room in memory keeps the new token."""
    old, new = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    app = {"LOVENSE_APP_ID": APP_ID, "LOVENSE_APP_SECRET": APP_SECRET}
    app["LOVENSE_APP_GALLERY_URL"] = str(vendor.base_url).rstrip("/")
    process = relay_process(
        **vendor_environment(vendor, RELAY_ENCRYPTION_KEYS=f"{new},{old}", RELAY_SINKS_PRIVATE="allow", **app)
    )
    async with await process.start() as platform:
        await platform.register()
        linked = await platform.http.post("/accounts", json={"authCode": await vendor.code()})
        assert 201 == linked.status_code, linked.text
        sink = await platform.http.post("/sinks", json={"url": "http://127.0.0.1:1/never"})
        assert 201 == sink.status_code, sink.text
        async with live_page(platform) as page:
            answer = (await platform.http.post("/keys/rotate")).json()
            assert (1, 1, 1, []) == tuple(answer[kind] for kind in ("models", "accounts", "sinks", "unreadable"))
            await platform.accepted("t1")
            await page.play()
            await platform.until("t1", "played")
            await platform.hold()  # writes the room's record anew


async def test_without_keys_there_is_nothing_to_rotate(relay_process):
    """Exit code 2, and what is missing."""
    process = relay_process()
    async with await process.start():
        pass
    await process.kill()
    ended = rotate(process)
    assert (2, True) == (ended.returncode, "RELAY_ENCRYPTION_KEYS is not set" in ended.stderr)


async def test_api_keys_and_ticket_secrets_rotate_without_a_failed_request(relay_process):
    """Two restarts: old, both, new. A backend that retries a refused connection for 2 s notices nothing, and what was
    signed with the old key is good while it is listed."""
    keys, secrets = ("an-api-key-of-old", "an-api-key-made-anew"), ("o" * 40, "n" * 40)
    stages = [
        {"RELAY_API_KEYS": f"platform:{keys[0]}", "RELAY_SECRETS": secrets[0]},
        {"RELAY_API_KEYS": f"platform:{keys[1]},platform:{keys[0]}", "RELAY_SECRETS": f"{secrets[1]},{secrets[0]}"},
        {"RELAY_API_KEYS": f"platform:{keys[1]}", "RELAY_SECRETS": f"{secrets[1]},{secrets[0]}"},
    ]
    port = str(free_port())
    url = f"http://127.0.0.1:{port}"
    use, stop, taken = keys[0], asyncio.Event(), []

    async def backend() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            async with Platform(url, use) as platform, asyncio.timeout(2):
                while True:
                    try:
                        taken.append((await platform.tip(f"t{n}")).status_code)
                        break
                    except httpx2.TransportError:
                        await asyncio.sleep(0.02)

    processes = [relay_process(**stage) for stage in stages]
    await processes[0].start("--port", port)
    async with Platform(url, use) as platform:
        await platform.register()
        ticket = await platform.feed_ticket()
    tips = asyncio.create_task(backend())
    for older, newer, key in zip(processes, processes[1:], (keys[1], keys[1]), strict=False):
        newer.spawn("--port", port)
        older.terminate()
        await newer.listening()
        await older.ended()
        use = key
        async with Platform(url, None) as nobody, read_sse(nobody, "/feed/coco", ticket=ticket, last=1) as reader:
            await reader.next()
    stop.set()
    await tips
    assert {202} == set(taken)
