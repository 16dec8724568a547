"""The people of the journeys: a platform's backend, a broadcaster's page, readers of the feed, the relay between."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import httpx2
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from relay.clock import Clock
from relay.secret import Secret
from relay.settings import Settings
from relay.values import ApiKey
from relay.web.app import make_app
from relay.web.server import Server, dismiss, drain, listen_on, url_of
from relay.web.wiring import Wiring, wire

KEY = "the-platforms-own-key-1"
TIPS_KEY = "a-key-for-tips-only-2"
FEED_KEY = "a-key-for-the-feed-only-3"
SECRET = "a-signing-key-of-enough-characters-4"
ENCRYPTION_KEY = "a" * 43 + "="
ORIGIN = "https://cam.example"
PATIENCE = 5.0  # seconds for anything to happen; nothing is waited for longer
PROTOCOL = "relay.v1"
COUNT = count(1)

SETTINGS = Settings(
    secrets=(Secret(SECRET),),
    api_keys=(
        ApiKey("platform", Secret(KEY)),
        ApiKey("tipper", Secret(TIPS_KEY), frozenset({"tips"})),
        ApiKey("chat", Secret(FEED_KEY), frozenset({"feed"})),
    ),
    origins=(ORIGIN,),
    store="memory:",
    drain_seconds=0.0,
)
# The same for `relay serve`.
ENVIRONMENT = {
    "RELAY_SECRETS": SECRET,
    "RELAY_API_KEYS": f"platform:{KEY},tipper:{TIPS_KEY}:tips,chat:{FEED_KEY}:feed",
    "RELAY_ORIGINS": ORIGIN,
    "RELAY_DRAIN_SECONDS": "0.3",
}

TOY = {"id": "l58f167da065", "name": "", "type": "lush", "status": "on"}
LEVELS = {
    "level1": {"min": "1", "max": "9", "time": "2", "rLevel": 0, "vLevel": 5},
    "level2": {"min": "10", "max": None, "time": "6", "vLevel": 10},
}
SETTINGS_EVENT = {
    "type": "settings",
    "detail": {"levels": LEVELS, "special": {"earthquake": {"time": "22", "token": "120"}}},
}
TOY_EVENT = {"type": "toy", "status": "on", "detail": [TOY]}


def running(name: str, amount: int, seconds: int = 6, level: int = 2) -> dict[str, Any]:
    """One entry of the vendor's `running`, with its quirks."""
    return {
        "amount": amount,
        "tipperName": name,
        "time": seconds,
        "cParameter": {},
        "level": level,
        "module": "Basic Level",
        "name": "coco",
        "reactToys": [None, {"toyId": TOY["id"], "specialType": "earthquake", "status": 1, "vibrate": 20}],
    }


def queued(name: str, amount: int) -> dict[str, Any]:
    return {"amount": amount, "tipperName": name}


def queue_event(runs: list[Any] = (), queue: list[Any] = (), waiting: list[Any] = ()) -> dict[str, Any]:
    return {
        "type": "tipQueueStatus",
        "detail": {"running": list(runs), "queue": list(queue), "waiting": list(waiting)},
    }


def running_event(runs: list[Any] = ()) -> dict[str, Any]:
    return {"type": "tipRunning", "detail": {"running": list(runs)}}


def message_event(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "message", "detail": text, **more}


async def eventually(look: Callable[[], Any], what: str = "it", within: float = PATIENCE) -> Any:
    """Look again and again until `look` (plain or async) gives something true, and return that."""
    seen = None
    try:
        async with asyncio.timeout(within):
            while True:
                seen = look()
                if asyncio.iscoroutine(seen):
                    seen = await seen
                if seen:
                    return seen
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"{what} did not happen within {within:g} s; last seen: {seen!r}") from None


class Platform:
    """A platform's backend. Every call gives the answer as it came; `receipt` and the like insist on success."""

    def __init__(self, url: str, key: str | None = KEY) -> None:
        self.url = url
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self.http = httpx2.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE, trust_env=False, verify=False)

    async def __aenter__(self) -> Platform:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    # -- tips ----------------------------------------------------------

    async def tip(
        self, id: Any = "t1", tipper: Any = "john", amount: Any = 20, model: Any = "coco", **more: Any
    ) -> Any:
        body = {"id": id, "model": model, "tipper": tipper, "amount": amount, **more}
        return await self.http.post("/tips", content=json.dumps(body), headers={"Content-Type": "application/json"})

    async def accepted(self, *given: Any, **more: Any) -> dict[str, Any]:
        """A tip that has to be taken: its receipt."""
        answer = await self.tip(*given, **more)
        assert 202 == answer.status_code, answer.text
        return answer.json()

    async def receipt(self, id: str) -> dict[str, Any]:
        answer = await self.http.get(f"/tips/{id}")
        assert 200 == answer.status_code, answer.text
        return answer.json()

    async def statuses(self, id: str) -> list[str]:
        return [step["status"] for step in (await self.receipt(id))["timeline"]]

    async def until(self, id: str, status: str) -> dict[str, Any]:
        """The tip's receipt once it has come to `status`."""

        async def look() -> dict[str, Any] | None:
            receipt = await self.receipt(id)
            seen[0] = receipt["status"]
            return receipt if status == receipt["status"] else None

        seen = [""]
        try:
            return await eventually(look)
        except AssertionError:
            raise AssertionError(f"tip {id} is {seen[0]}, not {status}") from None

    # -- models ----------------------------------------------------------

    async def register(self, model: str = "coco", name: str | None = "Coco") -> Any:
        return await self.http.put(f"/models/{model}", json={} if name is None else {"name": name})

    async def state(self, model: str = "coco") -> dict[str, Any]:
        answer = await self.http.get(f"/models/{model}")
        assert 200 == answer.status_code, answer.text
        return answer.json()

    async def until_state(self, is_so: Callable[[dict[str, Any]], Any], model: str = "coco") -> dict[str, Any]:
        """The model's state once `is_so` says yes."""

        async def look() -> dict[str, Any] | None:
            state = await self.state(model)
            return state if is_so(state) else None

        return await eventually(look, "the state")

    async def hold(self, model: str = "coco") -> Any:
        return await self.http.put(f"/models/{model}/hold")

    async def release(self, model: str = "coco") -> Any:
        return await self.http.delete(f"/models/{model}/hold")

    async def stop(self, model: str = "coco", **body: Any) -> Any:
        return await self.http.post(f"/models/{model}/stop", json=body)

    async def ticket(self, model: str = "coco") -> str:
        answer = await self.http.post(f"/models/{model}/ticket")
        assert 201 == answer.status_code, answer.text
        return answer.json()["ticket"]

    async def feed_ticket(self, model: str = "coco", audience: str = "viewer") -> str:
        answer = await self.http.post(f"/models/{model}/feed-ticket", json={"audience": audience})
        assert 201 == answer.status_code, answer.text
        return answer.json()["ticket"]


class Page:
    """A broadcaster's page: plays the shim over a real socket."""

    def __init__(self, socket: ClientConnection, platform: Platform) -> None:
        self.socket = socket
        self.platform = platform
        self.welcome: dict[str, Any] = {}
        self.journal = ""
        self._seen: deque[dict[str, Any]] = deque()  # frames that nobody asked for yet
        self._n = 0

    async def say(self, **frame: Any) -> None:
        await self.socket.send(json.dumps(frame))

    async def raw(self, data: str | bytes) -> None:
        await self.socket.send(data)

    async def hello(self, journal: str, ready: bool = True, **more: Any) -> Page:
        """Introduce itself and be welcomed."""
        self.journal = journal
        vendor = {"kit": "camkit", "ready": ready}
        await self.say(type="hello", journal=journal, shim="1.0.0", vendor=vendor, **more)
        self.welcome = await self.next("welcome")
        return self

    async def next(self, kind: str, within: float = PATIENCE) -> dict[str, Any]:
        """The next frame of this type; what comes before it is kept for later."""
        for frame in self._seen:
            if kind == frame["type"]:
                self._seen.remove(frame)
                return frame
        try:
            async with asyncio.timeout(within):
                while True:
                    frame = json.loads(await self.socket.recv())
                    if kind == frame["type"]:
                        return frame
                    self._seen.append(frame)
        except TimeoutError:
            raise AssertionError(f"no '{kind}' within {within:g} s, but {list(self._seen)}") from None

    async def next_tip(self) -> dict[str, Any]:
        return await self.next("tip")

    @property
    def unasked(self) -> list[str]:
        """The types of the frames that came and that nobody asked for."""
        return [frame["type"] for frame in self._seen]

    async def tips_before(self, kind: str) -> list[str]:
        """The ids of the tips that came before the next frame of this type."""
        await self.next(kind)
        tips = [frame["id"] for frame in self._seen if "tip" == frame["type"]]
        self._seen = deque(frame for frame in self._seen if "tip" != frame["type"])
        return tips

    async def tips_so_far(self) -> list[str]:
        """Every tip that was sent up to now: tips come in order, so one more comes after all of them."""
        last = f"last-{next(COUNT)}"
        await self.platform.accepted(last, model=self.welcome["model"])
        tips = []
        while last != (tip := await self.next_tip())["id"]:
            tips.append(tip["id"])
        return tips

    async def ack(self, id: str, outcome: str = "played", **more: Any) -> None:
        await self.say(type="ack", id=id, outcome=outcome, **more)

    async def play(self) -> dict[str, Any]:
        """Take the next tip and play it."""
        tip = await self.next_tip()
        await self.ack(tip["id"], run=tip["run"])
        return tip

    async def hear(self, event: Any) -> None:
        """The vendor's script says something."""
        self._n += 1
        await self.say(type="event", n=self._n, event=event)

    async def closed(self, within: float = PATIENCE) -> int:
        """The code the relay closes this socket with."""
        try:
            async with asyncio.timeout(within):
                while True:
                    self._seen.append(json.loads(await self.socket.recv()))
        except ConnectionClosed:
            return self.socket.close_code or 0
        except TimeoutError:
            raise AssertionError(f"the socket is still open after {within:g} s") from None

    async def leave(self) -> None:
        await self.socket.close()

    def vanish(self) -> None:
        """The connection is cut without a word."""
        self.socket.transport.abort()


@asynccontextmanager
async def page_socket(
    platform: Platform, *, origin: str | None = ORIGIN, subprotocols: list[str] | None = None
) -> AsyncIterator[Page]:
    """A page's socket before its hello."""
    async with connect(
        platform.url.replace("http", "ws", 1) + "/page",
        origin=origin,
        subprotocols=[PROTOCOL] if subprotocols is None else subprotocols or None,
        compression=None,
        proxy=None,
        close_timeout=1,
    ) as websocket:
        yield Page(websocket, platform)


@asynccontextmanager
async def live_page(
    platform: Platform, model: str = "coco", journal: str = "j_first", *, ready: bool = True, **hello: Any
) -> AsyncIterator[Page]:
    """A page that has been welcomed; with a fresh ticket unless it brings its own or a resume token."""
    if "ticket" not in hello and "resume" not in hello:
        hello["ticket"] = await platform.ticket(model)
    async with page_socket(platform) as page:
        yield await page.hello(journal, ready, **hello)


class Reader:
    """Someone who reads a feed, entry by entry."""

    def __init__(self, entries: AsyncIterator[dict[str, Any]]) -> None:
        self._entries = entries
        self.seen: list[dict[str, Any]] = []

    async def next(self, kind: str | None = None, within: float = PATIENCE, **fields: Any) -> dict[str, Any]:
        """The next entry of this type with these fields, past all others."""
        try:
            async with asyncio.timeout(within):
                async for entry in self._entries:
                    self.seen.append(entry)
                    if kind in (None, entry["type"]) and fields.items() <= entry.items():
                        return entry
        except TimeoutError:
            raise AssertionError(f"no {kind} {fields} within {within:g} s, but {self.seen}") from None
        raise AssertionError(f"the feed ended without {kind} {fields}, after {self.seen}")

    async def until_end(self) -> list[dict[str, Any]]:
        async with asyncio.timeout(PATIENCE):
            async for entry in self._entries:
                self.seen.append(entry)
        return self.seen


@asynccontextmanager
async def read_sse(
    platform: Platform, path: str, headers: dict[str, str] | None = None, **query: Any
) -> AsyncIterator[Reader]:
    """Reads a feed as Server-Sent Events; connected once the first bytes are there."""
    async with platform.http.stream("GET", path, params=query, headers=headers or {}, timeout=None) as answer:
        assert 200 == answer.status_code, await answer.aread()
        lines = answer.aiter_lines()
        async with asyncio.timeout(PATIENCE):
            assert (await anext(lines)).startswith("retry: ")
        yield Reader(sse_entries(lines))


async def sse_entries(lines: AsyncIterator[str]) -> AsyncIterator[dict[str, Any]]:
    event: dict[str, str] = {}
    async for line in lines:
        if line:
            name, _, value = line.partition(": ")
            event[name] = value
        elif "data" in event:
            entry = json.loads(event["data"])
            assert event["event"] == entry["type"]
            assert event.get("id") == entry.get("id")
            yield entry
            event = {}


@asynccontextmanager
async def read_websocket(
    platform: Platform, path: str, headers: dict[str, str] | None = None, **query: Any
) -> AsyncIterator[Reader]:
    """Reads the same feed over a WebSocket."""
    url = str(platform.http.build_request("GET", path, params=query).url).replace("http", "ws", 1)
    key = {name: value for name, value in platform.http.headers.items() if name == "authorization"}
    async with connect(
        url, additional_headers=key | (headers or {}), compression=None, proxy=None, close_timeout=1
    ) as websocket:
        reader = Reader(websocket_entries(websocket))
        reader.socket = websocket
        yield reader


async def websocket_entries(websocket: ClientConnection) -> AsyncIterator[dict[str, Any]]:
    try:
        while True:
            yield json.loads(await websocket.recv())
    except ConnectionClosed:
        return


class Relay:
    """A relay that is served, and ways to meet it."""

    def __init__(self, wiring: Wiring, url: str) -> None:
        self.wiring = wiring
        self.url = url
        self.platform = Platform(url)

    def page(self, model: str = "coco", journal: str = "j_first", **hello: Any) -> Any:
        return live_page(self.platform, model, journal, **hello)

    def socket(self, **handshake: Any) -> Any:
        return page_socket(self.platform, **handshake)

    def feed(self, model: str | None = "coco", over: Any = read_sse, **query: Any) -> Any:
        """The platform's own view of a feed."""
        return over(self.platform, "/feed" if model is None else f"/feed/{model}", **query)

    @asynccontextmanager
    async def reader(
        self, audience: str = "viewer", model: str = "coco", over: Any = read_sse, **query: Any
    ) -> AsyncIterator[Reader]:
        """Somebody without a key, who got a ticket from the platform."""
        ticket = await self.platform.feed_ticket(model, audience)
        async with Platform(self.url, None) as nobody, over(nobody, f"/feed/{model}", ticket=ticket, **query) as reader:
            yield reader

    async def flushed(self) -> None:
        """Everything that was handed to the store is kept, and what it makes known has been made known."""
        from relay.stores import Change

        await self.wiring.store.keep(Change())


class QuickServer(Server):
    """Ends at once: uvicorn looks up ten times a second, and a test has no time to lose."""

    def __init__(self, wiring: Wiring) -> None:
        super().__init__(make_app(wiring), [wiring], lambda url: f"relay: {url}")
        self.wiring = wiring
        self.up = asyncio.Event()
        self.end = asyncio.Event()

    async def main_loop(self) -> None:
        self.up.set()
        await self.end.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await drain(self.wiring)
        for server in self.servers:
            server.close()
        await dismiss(self.wiring)
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await eventually(lambda: not (self.server_state.connections or self.server_state.tasks), "the last goodbye")
        await self.lifespan.shutdown()


@asynccontextmanager
async def serving(settings: Settings = SETTINGS, clock: Clock | None = None, **parts: Any) -> AsyncIterator[Relay]:
    """A relay in this process, over real sockets on a free port of 127.0.0.1."""
    wiring = wire(settings, clock=clock, **parts)
    listener = await listen_on("127.0.0.1", 0)
    server = QuickServer(wiring)
    serves = asyncio.create_task(server._serve([listener]))  # without uvicorn's signal handlers
    try:
        async with asyncio.timeout(PATIENCE):
            await server.up.wait()
        relay = Relay(wiring, url_of(listener))
        async with relay.platform:
            yield relay
    finally:
        server.end.set()
        async with asyncio.timeout(3 * PATIENCE):
            await serves
        listener.close()


@asynccontextmanager
async def serving_coco(settings: Settings = SETTINGS, clock: Clock | None = None, **parts: Any) -> AsyncIterator[Relay]:
    """A relay that knows one model, Coco."""
    async with serving(settings, clock, **parts) as relay:
        assert 201 == (await relay.platform.register()).status_code
        yield relay


def with_settings(**changes: Any) -> Settings:
    return replace(SETTINGS, **changes)


class RelayProcess:
    """The command `relay serve`, as an operator runs it. Ends only what it started."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.environment = ENVIRONMENT | {"RELAY_STORE": f"sqlite:///{folder}/relay.db"} | environment
        self.url = ""
        self.line = ""
        self.errors = folder / "stderr.log"
        self.program = [str(Path(sys.executable).with_name("relay"))]
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def spawn(self, *arguments: str, **how: Any) -> None:
        """Start it, without waiting for anything."""
        command = [*self.program, "serve", *(arguments or ("--port", "0"))]
        kept = {
            name: os.environ[name] for name in ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_START") if name in os.environ
        }
        with self.errors.open("a") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=kept | self.environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                **how,
            )

    async def listening(self) -> str:
        """Its address, from the one line on standard output."""
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(15):
            self.line = await asyncio.to_thread(self._process.stdout.readline)
        assert self.line, f"it did not start: {self.errors.read_text()}"
        self.url = self.line.split()[-1]
        return self.url

    async def start(self, *arguments: str, **how: Any) -> Platform:
        self.spawn(*arguments, **how)
        return Platform(await self.listening())

    async def ended(self, within: float = 10.0) -> int:
        """Its exit code."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, within)

    def rest_of_output(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout.read()

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    async def kill(self) -> None:
        """`kill -9`, and wait until it is dead."""
        os.kill(self.pid, signal.SIGKILL)
        await self.ended()
        self.forget()

    def forget(self) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None


def free_port() -> int:
    """A port that nobody listens on right now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
