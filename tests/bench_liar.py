"""Fans out wrongly: every tenth message is lost, or comes twice, as `LIE` says. The bench has to see it."""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

COPIES = {"lost": 0, "doubled": 2, "": 1}[os.environ.get("LIE", "")]
readers: list[WebSocket] = []
published = 0


async def feed(websocket: WebSocket) -> None:
    await websocket.accept()
    readers.append(websocket)
    await websocket.receive()


async def publish(request: Request) -> Response:
    global published
    text = (await request.body()).decode()
    published += 1
    for reader in readers:
        for _ in range(COPIES if published % 10 == 0 else 1):
            await reader.send_text(text)
    return Response(status_code=202)


app = Starlette(routes=[WebSocketRoute("/feed", feed), Route("/publish", publish, methods=["POST"])])
