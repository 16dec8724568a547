"""A relay made of paper for the shim's tests: real sockets, a real Chromium, and both ends held in the test's hands."""

from __future__ import annotations

import asyncio
import base64
import http
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, async_playwright
from websockets.asyncio.server import Request, Response, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

SHIM = Path(__file__).parents[2] / "static" / "shim.js"
CHROMIUM = {
    "executable_path": "/usr/bin/chromium",
    "args": ["--no-sandbox", "--disable-quic", "--disable-gpu"],
}

# The page's world: a vendor that remembers what it was asked, two clocks that a test can shift, timers it can hurry.
VENDOR = """
window.calls = JSON.parse(sessionStorage.calls ?? "[]"); // of receiveTip, before a reload too
window.inits = []; window.destroyed = 0; window.listeners = [];
window.say = (event) => { for (const fn of [...listeners]) fn(event) };
window.makeVendor = () => ({
  receiveTip(name, amount) {
    calls.push([name, amount]);
    sessionStorage.calls = JSON.stringify(calls);
    return window.react?.(name, amount);
  },
  addMessageListener(fn) { listeners.push(fn) },
  getToys: () => [{ id: "a1", type: "lush", status: "on" }],
  getSettings: () => Promise.resolve({ levels: {} }),
  initCamApi(token) { inits.push(token) },
  destroyCamApi() { destroyed++ },
});
"""
CLOCKS = """
window.shift = { date: 0, steady: 0 };
window.hurry = false; // then every timer is due at once
{ const later = setTimeout; window.setTimeout = (fn, ms, ...rest) => later(fn, hurry ? 0 : ms, ...rest); }
{ const now = Date.now; Date.now = () => now() + shift.date; }
{ const now = performance.now.bind(performance); performance.now = () => now() + shift.steady; }
"""


def ticket(model: str = "coco", n: int = 1) -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"m": model, "i": f"~~{n}?>"}).encode()).decode().rstrip("=")
    return f"{payload}.{n}.signature"


class Socket:
    """The relay's end of one page's socket."""

    def __init__(self, relay: PaperRelay, ws: ServerConnection, hello: dict[str, Any]) -> None:
        self.relay, self.ws, self.hello = relay, ws, hello
        self.frames: list[dict[str, Any]] = []  # everything the page has said

    async def send(self, kind: str, **fields: Any) -> None:
        await self.ws.send(json.dumps({"type": kind, **fields}))

    async def welcome(self, **fields: Any) -> Socket:
        self.relay.generation += 1
        script = {"script": f"{self.relay.url}/model.js?mToken={fields.pop('token', 'tok')}"}
        usual = {"generation": self.relay.generation, "resume": f"r{self.relay.generation}", "heartbeat": 20}
        usual |= {"held": False, "stopped": False, "ask": [], "at": time.time(), "vendor": script}
        await self.send("welcome", **(usual | fields))
        return self

    async def tip(self, name: str, **fields: Any) -> None:
        usual = {"id": name, "tipper": "john", "amount": 20, "ttl": 60, "at": time.time()}
        await self.send("tip", **(usual | fields))

    async def next(self, *kinds: str) -> dict[str, Any]:
        """The next frame of such a kind; others are kept in `frames`."""
        while True:
            frame: dict[str, Any] = json.loads(await self.ws.recv())
            self.frames.append(frame)
            if frame["type"] in kinds:
                return frame

    async def ack(self, name: str) -> dict[str, Any]:
        while (frame := await self.next("ack"))["id"] != name:
            pass
        return frame

    async def play(self, name: str, **fields: Any) -> str:
        """Sends a tip and waits for what became of it."""
        await self.tip(name, **fields)
        return str((await self.ack(name))["outcome"])

    async def event(self, **like: Any) -> dict[str, Any]:
        """The next event that holds all this."""
        while True:
            frame = await self.next("event")
            if isinstance(frame["event"], dict) and like.items() <= frame["event"].items():
                return frame

    async def settled(self) -> None:
        """All that was sent before has been handled."""
        await self.send("ping", n=77)
        while (await self.next("pong"))["n"] != 77:
            pass

    async def closed(self) -> int:
        await self.ws.wait_closed()
        assert self.ws.close_code is not None
        return self.ws.close_code

    async def close(self, code: int) -> None:
        await self.ws.close(code, "so it is")


class PaperRelay:
    """Serves the shim, pages that carry it, and their sockets."""

    def __init__(self) -> None:
        self.generation = 0
        self.port = 0
        self.sockets: asyncio.Queue[Socket] = asyncio.Queue()
        self.tickets: list[str | int] = []  # what /ticket answers, in this order
        self.asked_for_tickets = asyncio.Queue[str]()
        self.model_js: list[str | asyncio.Event] = []  # what /model.js answers; nothing left: 404
        self.asked_for_model_js = asyncio.Queue[str]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def socket(self) -> Socket:
        """The next socket that said hello."""
        return await self.sockets.get()

    async def _answer(self, _: ServerConnection, request: Request) -> Response | None:
        path, _, query = request.path.partition("?")
        if path == "/page":
            return None
        if path.startswith("/shim"):
            return respond(SHIM.read_bytes(), "text/javascript")
        if path == "/ticket":
            self.asked_for_tickets.put_nowait(query)
            reply = self.tickets.pop(0)
            return respond(reply.encode(), "text/plain") if isinstance(reply, str) else respond(b"no", status=reply)
        if path == "/model.js":
            self.asked_for_model_js.put_nowait(query)
            script = self.model_js.pop(0) if self.model_js else None
            if isinstance(script, asyncio.Event):
                await script.wait()
                script = "window.lovense = makeVendor()"
            return respond(script.encode(), "text/javascript") if script else respond(b"", status=404)
        if path == "/favicon.ico":
            return respond(b"", status=404)
        return respond(b"<!doctype html><title>Broadcast</title><body>" + base64.urlsafe_b64decode(query), "text/html")

    async def _page(self, ws: ServerConnection) -> None:
        try:
            hello = json.loads(await ws.recv())
        except ConnectionClosed:
            return
        self.sockets.put_nowait(Socket(self, ws, hello))
        await ws.wait_closed()


def respond(body: bytes, kind: str = "text/plain", status: int = 200) -> Response:
    headers = Headers(
        {"Content-Type": f"{kind}; charset=utf-8", "Content-Length": str(len(body)), "Connection": "close"}
    )
    return Response(status, http.HTTPStatus(status).phrase, headers, body)


class Broadcaster:
    """A browser with one page or more, and the relay it talks to."""

    def __init__(self, relay: PaperRelay, context: BrowserContext, page: Page, home: str) -> None:
        self.relay, self.context, self.page, self.home = relay, context, page, home

    async def tab(self) -> Page:
        """One more tab of the same browser."""
        page = await self.context.new_page()
        await page.goto(self.home)
        return page

    async def live(self, **welcome: Any) -> Socket:
        socket = await (await self.relay.socket()).welcome(**welcome)
        await socket.settled()
        return socket

    async def do(self, script: str) -> Any:
        return await self.page.evaluate(script)

    async def calls(self, page: Page | None = None) -> list[list[Any]]:
        """What the vendor's receiveTip was given in a tab, before a reload too."""
        given: list[list[Any]] = await (page or self.page).evaluate("calls")
        return given

    async def until(self, condition: str, page: Page | None = None) -> None:
        await (page or self.page).wait_for_function(condition, polling=20)

    async def state(self, name: str, page: Page | None = None) -> None:
        await self.until(f"relay.state === '{name}'", page)

    async def heard(self, kind: str) -> list[Any]:
        """What the page's own listeners were told."""
        told: list[Any] = await self.do(f"heard.filter(([type]) => type === '{kind}').map(([, detail]) => detail)")
        return told

    async def told(self, kind: str) -> Any:
        await self.until(f"heard.some(([type]) => type === '{kind}')")
        return (await self.heard(kind))[-1]

    async def journal(self) -> dict[str, str]:
        """The storage's words on tips: id -> outcome."""
        stored = await self.do("({ ...localStorage })")
        return {key.partition("] ")[2]: value.split(" ")[1] for key, value in stored.items() if key.startswith("relay")}


class Stage:
    def __init__(self, browser: Browser) -> None:
        self.browser = browser

    @asynccontextmanager
    async def broadcast(
        self,
        *,
        world: str = "window.lovense = makeVendor()",
        data: str | None = None,
        html: str = "",
        path: str = "/shim.js",
        models: tuple[str | asyncio.Event, ...] = (),
    ) -> AsyncIterator[Broadcaster]:
        """A page with the shim, in a browser of its own. `world` runs before everything, `html` follows the shim."""
        relay = PaperRelay()
        relay.model_js += models
        async with serve(
            relay._page, "127.0.0.1", 0, process_request=relay._answer, subprotocols=[Subprotocol("relay.v1")]
        ) as server:
            relay.port = server.sockets[0].getsockname()[1]
            data = f'data-ticket="{ticket()}" data-ticket-url="/ticket"' if data is None else data
            listen = "<script>window.heard = []; relay.on('*', (detail, type) => heard.push([type, detail]))</script>"
            body = f'<script src="{relay.url}{path}" {data}></script>{listen}{html}'
            home = f"{relay.url}/?{base64.urlsafe_b64encode(body.encode()).decode()}"
            context = await self.browser.new_context()
            page = await context.new_page()
            one = Broadcaster(relay, context, page, home)
            await context.add_init_script(VENDOR + CLOCKS + world)
            await page.goto(home)
            try:
                yield one
            finally:
                await context.close()


@asynccontextmanager
async def open_stage() -> AsyncIterator[Stage]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**CHROMIUM)  # type: ignore[arg-type]
        yield Stage(browser)
        await browser.close()
