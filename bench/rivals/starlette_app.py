"""Starlette as its documentation shows it: `send_text` to every reader in a loop; tips through aiosqlite, synced."""

import asyncio
import contextlib
import json
import os

import aiosqlite
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute

readers, followers, pages = set(), set(), {}


@contextlib.asynccontextmanager
async def lifespan(app):
    async with aiosqlite.connect(os.path.join(os.getcwd(), "tips.db")) as app.state.db:
        await app.state.db.execute("PRAGMA journal_mode=WAL")
        await app.state.db.execute("PRAGMA synchronous=FULL")
        await app.state.db.execute(
            "CREATE TABLE tips (id TEXT PRIMARY KEY, model TEXT, tipper TEXT, amount INT, status TEXT)"
        )
        await app.state.db.commit()
        yield


async def feed(websocket):
    await websocket.accept()
    readers.add(websocket)
    try:
        async for _ in websocket.iter_text():
            pass
    finally:
        readers.discard(websocket)


async def publish(request):
    text = (await request.body()).decode()
    for reader in list(readers):
        await reader.send_text(text)
    return Response(status_code=202)


async def page(websocket):
    await websocket.accept()
    model, db = websocket.query_params["model"], websocket.app.state.db
    pages[model] = websocket
    try:
        async for ack in websocket.iter_json():
            await db.execute("UPDATE tips SET status = ? WHERE id = ?", (ack["outcome"], ack["id"]))
            await db.commit()
            for follower in followers:
                follower.put_nowait({"id": ack["id"], "status": ack["outcome"]})
    finally:
        pages.pop(model, None)


async def tip(request):
    order, db = await request.json(), request.app.state.db
    row = (order["id"], order["model"], order["tipper"], order["amount"])
    taken = await db.execute("INSERT OR IGNORE INTO tips VALUES (?, ?, ?, ?, 'sent')", row)
    await db.commit()
    if taken.rowcount and (target := pages.get(order["model"])) is not None:
        await target.send_json({"type": "tip", **order})
    return JSONResponse({"id": order["id"], "status": "sent"}, 202)


async def follow(request):
    """What became of tips, as an event stream."""
    queue = asyncio.Queue()

    async def stream():
        followers.add(queue)
        try:
            while True:
                yield f"data: {json.dumps(await queue.get(), separators=(',', ':'))}\n\n"
        finally:
            followers.discard(queue)

    return StreamingResponse(stream(), media_type="text/event-stream")


app = Starlette(
    routes=[
        WebSocketRoute("/feed", feed),
        WebSocketRoute("/page", page),
        Route("/publish", publish, methods=["POST"]),
        Route("/tips", tip, methods=["POST"]),
        Route("/follow", follow),
    ],
    lifespan=lifespan,
)
