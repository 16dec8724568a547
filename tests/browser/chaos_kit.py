"""Broadcasters to torment: a real relay, the sandbox's real `model.js`, a real Chromium, the ledger as witness."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import uvicorn
from kit import ENCRYPTION_KEY, Platform, eventually, serving, with_settings
from playwright.async_api import Browser, BrowserContext, CDPSession, Page, async_playwright
from sandbox_stage import CHROMIUM
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route

from relay.clock import Clock
from relay.sandbox import create_app
from relay.secret import Secret
from relay.settings import Settings
from relay.stores.sqlite import SqliteStore

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
CALLED = {"played", "queued", "running", "done", "cleared", "no_reaction"}
NOT_CALLED = {"accepted", "expired", "cancelled"}

# Steps have names like "before calling of t1", "after played of t1", "after ack of t1". What is armed is done once.
HOOKS = """
window.armed = {}; window.heard = []; window.shift = 0;
window.standStill = () => {
  const ask = new XMLHttpRequest();
  ask.open("POST", `/gate${location.search}`, false);
  ask.send();
};
{
  const pass = (step) => { const act = armed[step]; delete armed[step]; act?.() };
  const { setItem } = Storage.prototype;
  Storage.prototype.setItem = function (key, value) {
    const step = `${`${value}`.split(" ")[1]} of ${key.split(/[ .]/).at(-1)}`;
    pass(`before ${step}`);
    setItem.call(this, key, value);
    pass(`after ${step}`);
  };
  const { send } = WebSocket.prototype;
  WebSocket.prototype.send = function (data) {
    send.call(this, data);
    const { type, id } = JSON.parse(data);
    if (type === "ack") pass(`after ack of ${id.split(".").at(-1)}`);
  };
  const { now } = Date;
  Date.now = () => now() + shift;
  addEventListener("freeze", () => heard.push(["freeze"]), true);
  addEventListener("DOMContentLoaded", () => relay.on("*", (detail, type) => heard.push([type, detail])));
}
"""


class MovingClock(Clock):
    """The time of day, which a test can move."""

    shift = 0.0

    def now(self) -> float:
        return super().now() + self.shift


class Gate:
    """Where a page stands still, its script stopped in the middle, until the test opens."""

    def __init__(self) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

    async def wait(self) -> None:
        async with asyncio.timeout(10):
            await self.reached.wait()

    def open(self) -> None:
        self.opened.set()


class Tab:
    """One tab with the broadcaster's page."""

    def __init__(self, page: Page, session: CDPSession) -> None:
        self.page, self.session = page, session
        self.sockets = 0
        page.on("websocket", lambda ws: self._count(ws.url))

    def _count(self, url: str) -> None:
        self.sockets += url.endswith("/page")

    async def do(self, script: str) -> Any:
        return await self.page.evaluate(script)

    async def until(self, condition: str) -> None:
        await self.page.wait_for_function(condition, polling=20)

    async def until_state(self, state: str) -> None:
        await self.until(f"window.relay?.state === '{state}'")

    async def until_ready(self) -> None:
        """Live, with the vendor's script."""
        await self.until("window.relay?.state === 'live' && !!window.lovense?.receiveTip")

    async def arm(self, step: str, script: str = "standStill()") -> None:
        await self.do(f"armed[{json.dumps(step)}] = () => {{ {script} }}; 0")

    async def heard(self, kind: str) -> list[Any]:
        return [one[1] for one in await self.do("heard") if one[0] == kind]

    async def heard_uncertain(self) -> None:
        """The page was told that somebody has to decide."""
        await self.until("heard.some(([type, tips]) => type === 'uncertain' && tips.length)")

    async def reload(self) -> None:
        await self.page.reload()
        await self.until_ready()

    async def crash(self) -> None:
        """The tab's process dies at once, whatever its script is doing."""
        dead = asyncio.Event()
        self.page.on("crash", lambda _: dead.set())
        dying = asyncio.create_task(self.session.send("Page.crash"))  # never answered
        async with asyncio.timeout(10):
            await dead.wait()
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)

    @asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        """Nothing moves in this browser's tabs meanwhile. (Headless, a tab is never hidden, and CDP's own
        `Page.setWebLifecycleState` freezes hidden ones only.)"""
        browser = self.page.context.browser
        assert browser is not None
        session = await browser.new_browser_cdp_session()
        processes = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
        await session.detach()
        tabs = [process["id"] for process in processes if process["type"] == "renderer"]
        for tab in tabs:
            os.kill(tab, signal.SIGSTOP)
        try:
            yield
        finally:
            for tab in tabs:
                os.kill(tab, signal.SIGCONT)


class Show:
    """One model's broadcast. Every tip has its id as the tipper's name, so that the ledger tells which was called."""

    def __init__(self, stage: Stage, platform: Platform, model: str, token: str) -> None:
        self.stage, self.platform, self.model, self.token = stage, platform, model, token
        self.gate = Gate()
        self.ids: list[str] = []
        self.contexts: list[BrowserContext] = []

    async def browser(self) -> BrowserContext:
        """A browser of its own, with a journal of its own."""
        context = await self.stage.browser.new_context()
        context.set_default_timeout(10_000)
        await context.add_init_script(HOOKS)
        self.contexts.append(context)
        return context

    async def tab(self, browser: BrowserContext | None = None, state: str = "ready", **query: str) -> Tab:
        """A tab in the first browser, or in that one."""
        if browser is None:
            browser = self.contexts[0] if self.contexts else await self.browser()
        page = await browser.new_page()
        tab = Tab(page, await browser.new_cdp_session(page))
        await tab.page.goto(self.home(**query))
        if state == "ready":
            await tab.until_ready()
            await self.platform.until_state(lambda state: state["ready"], self.model)
        else:
            await tab.until_state(state)
        return tab

    def home(self, **query: str) -> str:
        return f"{self.stage.url}/?{httpx2.QueryParams(model=self.model, **query)}"

    async def tip(self, *ids: str, **more: Any) -> None:
        for id in ids:
            await self.platform.accepted(self.id(id), tipper=id, model=self.model, **more)
            self.ids.append(id)

    def id(self, name: str) -> str:
        """The tip's id at the relay, where other models have a t1 too."""
        return f"{self.model}.{name}"

    async def calls(self) -> list[dict[str, Any]]:
        answer = await self.stage.http.get(f"/sandbox/models/{self.token}/calls")
        calls: list[dict[str, Any]] = answer.json()["calls"]
        return calls

    async def called(self) -> list[str]:
        """The names of the tips the vendor was called for, in order."""
        return [call["name"] for call in await self.calls()]

    async def switch(self, **switches: Any) -> None:
        answer = await self.stage.http.put(f"/sandbox/models/{self.token}/switches", json=switches)
        assert 200 == answer.status_code, answer.text

    async def silent(self) -> None:
        """The vendor's script says nothing about what it plays."""
        await self.switch(queue_events=False, announce=False)

    async def status(self, id: str) -> str:
        return str((await self.platform.receipt(self.id(id)))["status"])

    async def until(self, id: str, *statuses: str) -> None:
        """The tip has come to one of these."""

        async def look() -> bool:
            seen.append(await self.status(id))
            return seen[-1] in statuses

        seen: list[str] = []
        try:
            await eventually(look, within=10)
        except AssertionError:
            raise AssertionError(f"tip {id} is {seen[-1]}, not one of {statuses}") from None

    async def played(self, *ids: str) -> None:
        """Receipts say that these were played, and the ledger says: once."""
        for id in ids:
            await self.until(id, *CALLED)
        names = Counter(await self.until_called(*ids))
        assert dict.fromkeys(ids, 1) == {id: names[id] for id in ids}

    async def until_called(self, *ids: str) -> list[str]:
        """The ledger knows of these; all it knows."""

        async def look() -> list[str] | None:
            called = await self.called()
            return called if set(ids) <= set(called) else None

        return await eventually(look, f"the vendor call for {ids}")

    async def agree(self) -> None:
        """The last word: receipts and ledger tell the same story, and every tip had one call at most."""
        calls = Counter(await self.called())
        assert set(calls) <= set(self.ids)
        for id in self.ids:
            status, times = await self.status(id), calls[id]
            assert times == 1 if status in CALLED else times == 0 if status in NOT_CALLED else times <= 1, (id, status)


class Stage:
    """The platform's own site, with the sandbox behind it, and one Chromium."""

    def __init__(self) -> None:
        self.shows: dict[str, Show] = {}
        self.url = ""
        self.browser: Browser
        self.http: httpx2.AsyncClient
        self._models = count(1)

    async def home(self, request: Request) -> HTMLResponse:
        """The broadcaster's page, with the relay's script line as it came; `line` keeps the line of an earlier page."""
        show = self.shows[request.query_params["model"]]
        answer = await show.platform.http.post(f"/models/{show.model}/ticket")
        line = request.query_params.get("line") or answer.json()["script"]
        return HTMLResponse(f"<!doctype html><html lang=en><title>Broadcast</title><body>{line}")

    async def ticket(self, request: Request) -> Response:
        show = self.shows[request.query_params["model"]]
        return Response(await show.platform.ticket(show.model))

    async def stand(self, request: Request) -> Response:
        gate = self.shows[request.query_params["model"]].gate
        gate.reached.set()
        await gate.opened.wait()
        return Response(status_code=204)

    def settings(self, **changes: Any) -> Settings:
        here = {"origins": (self.url,), "lovense_api_url": self.url, "heartbeat": 20.0}
        vendor = {"developer_token": Secret("a-developer-token"), "encryption_keys": (Secret(ENCRYPTION_KEY),)}
        return with_settings(**(here | vendor | changes))

    @asynccontextmanager
    async def relay(self, clock: Clock | None = None, **changes: Any) -> AsyncIterator[Platform]:
        """A relay in this process, on a disk in memory."""
        with TemporaryDirectory(prefix="relay-test-", dir=MEMORY) as folder:
            store = SqliteStore(f"{folder}/relay.db")
            async with serving(self.settings(**changes), clock, store=store) as relay:
                yield relay.platform

    @asynccontextmanager
    async def show(self, platform: Platform) -> AsyncIterator[Show]:
        """A new model. At the end, when every page is gone, receipts and ledger have to agree."""
        model = f"model{next(self._models)}"
        assert (await platform.register(model)).is_success
        answer = (await platform.http.post(f"/models/{model}/ticket")).json()
        show = self.shows[model] = Show(self, platform, model, answer["settings_url"].split("mToken=")[1])
        try:
            yield show
        finally:
            show.gate.open()
            for context in show.contexts:
                await context.close()
            show.contexts.clear()
        await show.agree()


@asynccontextmanager
async def open_stage() -> AsyncIterator[Stage]:
    stage = Stage()
    routes = [
        Route("/", stage.home),
        Route("/ticket", stage.ticket),
        Route("/gate", stage.stand, methods=["POST"]),
        Mount("/", create_app(speed=20)),
    ]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=0, log_config=None))
    server.config.ws_per_message_deflate = False
    serving_pages = asyncio.create_task(server.serve())
    await eventually(lambda: server.started, "the stage")
    stage.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    async with AsyncExitStack() as stack:
        stage.http = await stack.enter_async_context(httpx2.AsyncClient(base_url=stage.url, trust_env=False))
        playwright = await stack.enter_async_context(async_playwright())
        stage.browser = await playwright.chromium.launch(**CHROMIUM)  # type: ignore[arg-type]
        yield stage
        await stage.browser.close()
    server.should_exit = True
    await serving_pages
