"""python-socketio as its documentation shows it: an emit to everybody, and a room for each model's page."""

import asyncio
import json

import socketio
from starlette.applications import Starlette
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

sio = socketio.AsyncServer(async_mode="asgi", transports=["websocket"])
followers = set()


@sio.event
async def connect(sid, _, auth):
    if auth:
        await sio.enter_room(sid, auth["model"])


@sio.event
async def ack(_, outcome):
    for follower in followers:
        follower.put_nowait({"id": outcome["id"], "status": outcome["outcome"]})


async def publish(request):
    await sio.emit("entry", await request.json())
    return Response(status_code=202)


async def tip(request):
    order = await request.json()
    await sio.emit("tip", order, to=order["model"])
    return Response(status_code=202)


async def follow(_):
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


routes = [
    Route("/publish", publish, methods=["POST"]),
    Route("/tips", tip, methods=["POST"]),
    Route("/follow", follow),
]
app = socketio.ASGIApp(sio, Starlette(routes=routes))
