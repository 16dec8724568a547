"""A stage for the sandbox's browser tests: a real server, a real Chromium, and a page on another origin."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import httpx2
import uvicorn
from playwright.async_api import Browser, Page, async_playwright
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route

from relay.sandbox import create_app

CHROMIUM = {
    "executable_path": "/usr/bin/chromium",
    "args": ["--no-sandbox", "--disable-quic", "--disable-gpu"],
}
HOME = """<!doctype html><html lang="en"><title>Broadcast</title><body>__PLACE__
<script>
  window.seen = []; window.strengths = [];
  window.hear = (event) => seen.push(JSON.parse(JSON.stringify(event)));
  window.listen = () => (window.lovense ?? window.Lovense)?.addMessageListener(hear);
  addEventListener("sandbox:strength", ({ detail }) => strengths.push(detail));
</script>
<script src="__SCRIPT__" onload="window.loaded = true; listen()" onerror="window.missing = true"></script>"""


class Broadcaster:
    """A model with her page: what was heard on it, and the sandbox's own view of her."""

    def __init__(self, page: Page, http: httpx2.AsyncClient, token: str) -> None:
        self.page, self.http, self.token = page, http, token
        self.errors: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    async def tip(self, name: str, amount: object, extra: object = None) -> None:
        await self.page.evaluate(
            "([name, amount, extra]) => { lovense.receiveTip(name, amount, extra) }", [name, amount, extra]
        )

    async def until(self, condition: str) -> None:
        """Waits until an expression about `seen` is true on the page."""
        await self.page.wait_for_function(condition, polling=20)

    async def idle_after(self, tips: int) -> None:
        """Waits until so many commands were announced and the last is over."""
        last = "seen.findLast((event) => event.type === 'tipQueueStatus')"
        over = f"{last}?.detail.running.length === 0 && {last}.detail.queue.length === 0"
        await self.until(f"seen.filter((event) => event.type === 'message').length >= {tips} && {over}")

    async def seen(self, kind: str | None = None) -> list[dict[str, Any]]:
        events = await self.page.evaluate("seen")
        return [event for event in events if kind in (None, event["type"])]

    async def said(self) -> list[str]:
        return [event["detail"] for event in await self.seen("message")]

    async def do(self, method: str, path: str, body: object = None) -> Any:
        answer = await self.http.request(method, f"/sandbox/models/{self.token}{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def calls(self) -> list[dict[str, Any]]:
        calls: list[dict[str, Any]] = (await self.do("GET", "/calls"))["calls"]
        return calls


class Stage:
    """One running sandbox, one browser; every model and page is new."""

    def __init__(self, app: Starlette, port: int, browser: Browser, http: httpx2.AsyncClient) -> None:
        self.app, self.port, self.browser, self.http = app, port, browser, http
        self._ids = count(1)

    async def token(self, name: str = "Coco") -> str:
        info = json.dumps({"mId": f"m{next(self._ids)}", "mName": name})
        answer = await self.http.post("/api/cam/model/getToken", data={"dToken": "d", "mInfo": info})
        token: str = answer.json()["data"]["mToken"]
        return token

    @asynccontextmanager
    async def broadcast(
        self,
        *,
        switches: dict[str, Any] | None = None,
        rules: dict[str, Any] | None = None,
        place: str = "",
        clock: bool = False,
        live: bool = True,
        **options: Any,
    ) -> AsyncIterator[Broadcaster]:
        """A page whose script has loaded and, if it is to be live, has its line to the sandbox."""
        token = await self.token()
        context = await self.browser.new_context(**options)
        model = Broadcaster(await context.new_page(), self.http, token)
        if switches:
            await model.do("PUT", "/switches", switches)
        if rules:
            await model.do("PUT", "/settings", rules)
        if clock:
            await model.page.clock.install()
        await model.page.goto(f"http://localhost:{self.port}/?token={token}&place={place}")
        await model.until("window.loaded || window.missing")
        while live and not self.pages_of(model):  # noqa: ASYNC110  a set has no event to wait for
            await asyncio.sleep(0.005)
        try:
            yield model
        finally:
            await context.close()

    def pages_of(self, model: Broadcaster) -> Any:
        return self.app.state.sandbox.find(model.token).pages


@asynccontextmanager
async def open_stage(**options: Any) -> AsyncIterator[Stage]:
    async def home(request: Request) -> HTMLResponse:
        script = f"http://127.0.0.1:{request.url.port}/api/cam/model/v2/model.js?mToken={request.query_params['token']}"
        return HTMLResponse(HOME.replace("__SCRIPT__", script).replace("__PLACE__", request.query_params["place"]))

    app = create_app(**options)
    outer = Starlette(routes=[Route("/", home), Mount("/", app)])
    server = uvicorn.Server(uvicorn.Config(outer, port=0, log_config=None, ws_per_message_deflate=False))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  uvicorn has no event to wait for
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with (
            async_playwright() as playwright,
            httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http,
        ):
            browser = await playwright.chromium.launch(**CHROMIUM)
            yield Stage(app, port, browser, http)
            await browser.close()
    finally:
        server.should_exit = True
        await serving
