"""A broadcaster in the storm: her browsers, her pages, and what happens to them.

Frames travel over a real socket and are held up, doubled, or swallowed by a socket that is dead without knowing it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.chaos.checker import Facts
from tests.chaos.plain_http import Backend
from tests.chaos.process import KEY, RelayProcess
from tests.chaos.shim_model import Browser, Page, PageDied

IN_THE_CALL = ("page: calling written", "page: vendor called")


class Broadcaster:
    """One model. `weather` is the chance of trouble per frame; 0: calm."""

    def __init__(self, model: str, relay: RelayProcess, facts: Facts, seed: int, **controls: bool) -> None:
        self.model = model
        self.weather = 0.0
        self.moved: list[float] = []  # when a page in another browser was welcomed
        self.away: list[float] = []
        self._relay = relay
        self._facts = facts
        self._random = random.Random(f"{seed}/{model}")
        self._controls = controls
        self._browsers = [Browser(), Browser()]
        self._browser = 0
        self._newest: Page | None = None
        self._tabs: set[asyncio.Task[None]] = set()

    # -- her evening --------------------------------------------------------------------------------------------------

    async def broadcast(self) -> None:
        """Open a page; reload it, double it, move to another browser, come back: until cancelled."""
        try:
            while True:
                self._open_tab()
                await asyncio.sleep(self._random.uniform(0.4, 4.0))
                while not self.weather:
                    await asyncio.sleep(0.1)
                    if not any(not tab.done() for tab in self._tabs):
                        break
                what = self._random.random()
                if what < 0.5:  # a reload: the old page is gone before the new one comes
                    await self._close_tabs()
                elif what < 0.65:  # she moves to another browser, and the old one stays open, or not
                    self._browser = 1 - self._browser
                    if what < 0.6:
                        await self._close_tabs()
                elif what < 0.75:
                    await self._close_tabs()
                    await asyncio.sleep(self._random.uniform(0.2, 1.5))  # away for a while
                # else: a duplicated tab, beside the old one
        finally:
            await self._close_tabs()

    def _open_tab(self) -> None:
        page = Page(
            self.model, self._browsers[self._browser], self._facts.ledger, time.time, die=self._die, **self._controls
        )
        task = asyncio.create_task(self._live(page))
        self._tabs.add(task)
        task.add_done_callback(self._tabs.discard)

    async def _close_tabs(self) -> None:
        tabs = list(self._tabs)
        for tab in tabs:
            tab.cancel()
        await asyncio.gather(*tabs, return_exceptions=True)

    def _die(self, step: str, tip: str) -> None:
        if self._random.random() < self.weather * 0.1:
            if step in IN_THE_CALL:
                self._facts.causes[tip] = f"its page died at '{step}'"
            raise PageDied(step)

    # -- one page -----------------------------------------------------------------------------------------------------

    async def _live(self, page: Page) -> None:
        """A page's life: connect, come back by the close codes' rules, until it is sent away for good or dies."""
        backoff = 0.1
        while True:
            code = None
            try:
                ticket = None if page.resume else await self._ticket()
                url = f"ws://127.0.0.1:{self._relay.port}/page"
                options: dict[str, Any] = {"subprotocols": ["relay.v1"], "origin": "http://storm", "proxy": None}
                async with connect(url, **options, ping_interval=None, close_timeout=0.2, open_timeout=5) as socket:
                    await socket.send(json.dumps(page.hello(ticket)))
                    await self._converse(page, socket)
                code = socket.close_code
            except PageDied:
                self._tabs_come_back()
                return
            except ConnectionClosed as closed:
                code = closed.rcvd.code if closed.rcvd else None
            except (OSError, WebSocketException, EOFError):
                pass
            if code is not None and 4000 <= code < 4100:
                return
            if code is not None and 4100 <= code < 4200:
                page.resume = None
            backoff = 0.1 if code == 4301 else min(backoff * 2, 1.0)
            await asyncio.sleep(self._random.uniform(0, backoff))

    def _tabs_come_back(self) -> None:
        """The tab crashed: she loads the page again."""
        asyncio.get_running_loop().call_later(0.1, self._open_tab)

    async def _ticket(self) -> str:
        backend = Backend(self._relay.port, KEY)
        try:
            status, body = await backend.call("POST", f"/models/{self.model}/ticket")
            if status != 201:
                raise OSError(str(body))
            return str(body["ticket"])
        finally:
            backend.close()

    async def _converse(self, page: Page, socket: ClientConnection) -> None:
        vendor = asyncio.create_task(self._vendor(page, socket))
        try:
            async for text in socket:
                frame = json.loads(text)
                dice = self._random.random()
                if dice < self.weather * 0.02:  # half-open: nothing arrives any more, and then the socket is gone
                    await asyncio.sleep(self._random.uniform(0.1, 1.0))
                    socket.transport.abort()
                    return
                if dice < self.weather * 0.2:  # held up, and everything behind it too
                    await asyncio.sleep(self._random.uniform(0, 0.05))
                said = page.receive(frame)
                if dice > 1 - self.weather * 0.1:
                    said += page.receive(frame)  # doubled on the way
                if frame["type"] == "welcome":
                    self._welcomed(page)
                for one in said:
                    await socket.send(json.dumps(one))
                    if dice > 1 - self.weather * 0.05:
                        await socket.send(json.dumps(one))
        except PageDied:
            socket.transport.abort()
            raise
        finally:
            vendor.cancel()

    def _welcomed(self, page: Page) -> None:
        older, self._newest = self._newest, page
        self._facts.superseded.pop(page.load, None)
        if older is not None and older is not page:
            self._facts.superseded.setdefault(older.load, time.time())
            if older.browser is not page.browser:
                self.moved.append(time.time())

    async def _vendor(self, page: Page, socket: ClientConnection) -> None:
        """The vendor's queue goes on by time."""
        with contextlib.suppress(WebSocketException, OSError):
            while True:
                await asyncio.sleep(0.03)
                if page.vendor.advance():
                    await socket.send(json.dumps(page.event()))
