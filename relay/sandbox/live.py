"""The live socket: how a page hears of edits and commands at once, and tells of its calls."""

from __future__ import annotations

import asyncio
import contextlib

import orjson
from starlette.websockets import WebSocket, WebSocketDisconnect

from relay.sandbox.bodies import sandbox_of
from relay.sandbox.ledger import BadReport, read_call
from relay.sandbox.models import PAGES_MAX, Model, Page, Sandbox

UNKNOWN, FULL, BEHIND = 4404, 4429, 4408  # close codes; a page returns after all but the first


async def live(socket: WebSocket) -> None:
    """`/sandbox/live?mToken=`: the whole state first, then every change of it."""
    sandbox = sandbox_of(socket)
    model = sandbox.find(socket.query_params.get("mToken", ""))
    await socket.accept()
    if model is None:
        await socket.close(UNKNOWN, "this mToken is unknown")
    elif sandbox.pages >= PAGES_MAX:
        await socket.close(FULL, f"the sandbox has room for {PAGES_MAX} live pages")
    else:
        await _serve(socket, sandbox, model)


async def _serve(socket: WebSocket, sandbox: Sandbox, model: Model) -> None:
    page = Page()
    page.send(orjson.dumps(model.state()))
    model.pages.add(page)
    try:
        async with asyncio.TaskGroup() as tasks:
            writer = tasks.create_task(_write(socket, page))
            await _read(socket, sandbox, model)
            writer.cancel()
    except* (WebSocketDisconnect, RuntimeError):
        pass  # the page left while it was written to
    finally:
        model.pages.discard(page)


async def _write(socket: WebSocket, page: Page) -> None:
    while (frame := await page.outbox.get()) is not None:
        await socket.send_text(frame.decode())
    await socket.close(BEHIND, "the page is too far behind")


async def _read(socket: WebSocket, sandbox: Sandbox, model: Model) -> None:
    while (message := await socket.receive())["type"] == "websocket.receive":
        with contextlib.suppress(BadReport):  # a page may say anything; only calls mean something
            sandbox.ledger.keep(model.token, read_call(message.get("text") or message.get("bytes") or ""))
