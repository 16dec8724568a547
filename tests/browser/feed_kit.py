"""A feed made of paper for the client's tests: real sockets, a real Chromium, and a server that obeys a test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from playwright.async_api import Page
from shim_kit import respond
from websockets.asyncio.server import Request, Response, ServerConnection, serve

STATIC = Path(__file__).parents[2] / "static"
OPEN_MS = 10_000  # what the client gives a line to open
POLL_MS = 11
# Timers that tell what they were set to, and that a test can shorten; luck that a test can choose.
WORLD = """
window.waits = [];
window.instead = {}; // ms -> ms
window.luck = 0.001;
{ const later = setTimeout;
  window.setTimeout = (fn, ms, ...rest) => { waits.push(ms); return later(fn, instead[ms] ?? ms, ...rest); }; }
Math.random = () => luck;
window.heard = [];
window.begin = async (options = {}, url = "/feed/coco") => {
  const { RelayFeed } = await import("/feed.js");
  window.feed = new RelayFeed(url, options);
  feed.on("*", (entry) => heard.push(["*", entry]));
  for (const type of ["announcement", "gap", "state", "ticket", "error"]) {
    feed.on(type, (entry) => heard.push([type, entry]));
  }
};
"""


def entry(n: int, **fields: Any) -> dict[str, Any]:
    usual = {"id": f"e-{n}", "type": "announcement", "model": "coco", "at": "2026-01-01T00:00:00Z", "text": f"n{n}"}
    return usual | fields


class Line:
    """The relay's end of one reader's socket."""

    def __init__(self, ws: ServerConnection, query: dict[str, str]) -> None:
        self.ws, self.query = ws, query

    async def say(self, *entries: dict[str, Any] | str) -> None:
        for one in entries:
            await self.ws.send(one if isinstance(one, str) else json.dumps(one))

    async def close(self, code: int) -> None:
        await self.ws.close(code, "so it is")


class PaperFeed:
    """Serves the client, a page, and a feed."""

    def __init__(self) -> None:
        self.port = 0
        self.lines: asyncio.Queue[Line] = asyncio.Queue()
        self.sockets = True  # False: a proxy in between that knows no WebSocket
        self.answers: list[tuple[int, str, str]] = []  # what a feed answers without a socket: status, kind, body
        self.html, self.policy = "", ""  # what any other address answers, and its Content-Security-Policy
        self.asked: asyncio.Queue[dict[str, str]] = asyncio.Queue()  # the queries of those

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stream(self, *entries: dict[str, Any], before: str = "") -> None:
        """The next event stream; it ends after these."""
        body = "".join(f"id: {one['id']}\nevent: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in entries)
        self.answers.append((200, "text/event-stream", before + body))

    async def _answer(self, _: ServerConnection, request: Request) -> Response | None:
        url = urlsplit(request.path)
        if url.path.startswith("/feed/"):
            if "Upgrade" in request.headers:
                return None if self.sockets else respond(b"no sockets here", status=403)
            self.asked.put_nowait(dict(parse_qsl(url.query)))
            status, kind, body = self.answers.pop(0) if self.answers else (503, "text/plain", "")
            return respond(body.encode(), kind, status)
        file = STATIC / url.path[1:]
        if url.path.endswith(".js") and file.is_file():
            return respond(file.read_bytes(), "text/javascript")
        answer = respond(f"<!doctype html><title>Viewer</title><body>{self.html}".encode(), "text/html")
        if self.policy:
            answer.headers["Content-Security-Policy"] = self.policy
        return answer

    async def _line(self, ws: ServerConnection) -> None:
        assert ws.request is not None
        self.lines.put_nowait(Line(ws, dict(parse_qsl(urlsplit(ws.request.path).query))))
        await ws.wait_closed()


class Viewer:
    """A page with the client, and the feed it reads."""

    def __init__(self, feed: PaperFeed, page: Page, errors: list[str]) -> None:
        self.feed, self.page, self.errors = feed, page, errors

    async def begin(self, options: str = "{}", url: str = "/feed/coco") -> None:
        await self.page.evaluate(f"begin({options}, {json.dumps(url)})")

    async def line(self) -> Line:
        async with asyncio.timeout(10):
            return await self.feed.lines.get()

    async def asked(self) -> dict[str, str]:
        async with asyncio.timeout(10):
            return await self.feed.asked.get()

    async def do(self, script: str) -> Any:
        return await self.page.evaluate(script)

    async def until(self, condition: str) -> None:
        await self.page.wait_for_function(condition, polling=POLL_MS, timeout=10_000)

    async def waited(self) -> list[float]:
        """How long it meant to wait each time before it came back, in milliseconds."""
        waits: list[float] = await self.do("waits")
        return [ms for ms in waits if 0 < ms < OPEN_MS and ms != POLL_MS]

    async def told(self, kind: str, count: int = 1) -> list[Any]:
        """What its listeners were told, once it is that many."""
        kept = f"heard.filter(([type]) => type === '{kind}')"
        await self.until(f"{kept}.length >= {count}")
        told: list[Any] = await self.do(f"{kept}.map(([, entry]) => entry)")
        return told

    async def ids(self, count: int) -> list[str]:
        return [one["id"] for one in await self.told("announcement", count)]

    async def quiet(self) -> None:
        """Whatever it was about to do at once, it has done."""
        await self.do("new Promise((done) => setTimeout(() => setTimeout(done, 60)))")
        assert self.feed.lines.empty()
        assert self.feed.asked.empty()


@asynccontextmanager
async def paper_feed() -> AsyncIterator[PaperFeed]:
    feed = PaperFeed()
    async with serve(feed._line, "127.0.0.1", 0, process_request=feed._answer) as server:
        feed.port = server.sockets[0].getsockname()[1]
        yield feed


@asynccontextmanager
async def open_viewer(browser: Any, html: str = "", **options: Any) -> AsyncIterator[Viewer]:
    """A page of `html` at the paper feed."""
    async with paper_feed() as feed:
        feed.html = html
        context = await browser.new_context(**options)
        page, errors = await context.new_page(), []
        context.on("weberror", lambda error: errors.append(str(error.error)))
        await page.add_init_script(WORLD)
        await page.goto(feed.url)
        try:
            yield Viewer(feed, page, errors)
        finally:
            await context.close()
