"""The feed, over Server-Sent Events or a WebSocket on the same path. What is read is `Followers.read`'s; here it is
only carried, and whoever does not keep up is cut with a word about how to come back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from relay import metrics
from relay.clock import iso
from relay.errors import Invalid, Refusal, StoreUnavailable, TicketRefused
from relay.feeds import Audience, Cursor, read_cursor
from relay.followers import TooSlow
from relay.messages import Close
from relay.settings import HISTORY_ENTRIES_MAX
from relay.tips import shown
from relay.web.tips import number
from relay.web.wiring import Wiring, wiring

HEARTBEAT_SECONDS = 15.0
RETRY_MS = 2000  # how long a browser waits before it comes back
DRAIN_RETRY_MS = 500


@dataclass(frozen=True, slots=True)
class Wish:
    """What a reader asked for."""

    model: str | None
    audience: Audience
    after: Cursor | None
    last: int


async def read_wish(relay: Wiring, connection: HTTPConnection) -> Wish:
    """Who reads, and from where. Raises a `Refusal`."""
    query, model = connection.query_params, connection.path_params.get("model")
    ticket = query.get("ticket")
    if ticket is not None:
        granted = relay.tickets.read_feed(ticket)
        if granted.model != model:
            raise TicketRefused("this ticket is for the feed of another model")
        audience = granted.audience
    else:
        relay.keys.check(connection.headers, "feed")
        wanted = query.get("audience", Audience.PLATFORM)
        if wanted not in set(Audience):
            raise Invalid(f"'audience' must be one of {', '.join(Audience)}, not {shown(wanted)}", field="audience")
        audience = Audience(wanted)
    if model is not None:
        await relay.models.record(model)
    place = connection.headers.get("last-event-id") or query.get("after")
    last = number(query["last"], "last", HISTORY_ENTRIES_MAX, low=0) if "last" in query else 0
    return Wish(model, audience, read_cursor(place) if place else None, last)


def heartbeat(relay: Wiring) -> bytes:
    return orjson.dumps({"type": "heartbeat", "at": iso(relay.clock.now())})


# -- Server-Sent Events ------------------------------------------------------------------------------------------------


class EventStream(Response):
    """An endless answer. It listens too, or it would never learn that the reader has left."""

    media_type = "text/event-stream"

    def __init__(self, relay: Wiring, wish: Wish) -> None:
        super().__init__(
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Access-Control-Allow-Origin": "*"}
        )
        del self.headers["content-length"]
        self._relay = relay
        self._wish = wish

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        writer = asyncio.create_task(self._write(send))
        listener = asyncio.create_task(gone(receive))
        try:
            await asyncio.wait((writer, listener), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writer, listener):
                task.cancel()
            await asyncio.gather(writer, listener, return_exceptions=True)

    async def _write(self, send: Send) -> None:
        async def write(data: bytes, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": more})

        retry = RETRY_MS
        await write(b"retry: %d\n\n" % RETRY_MS)
        try:
            async for batch in entries(self._relay, self._wish):
                lines = [b"id: %b\nevent: %b\ndata: %b\n\n" % (i.encode(), t.encode(), data) for i, t, data in batch]
                await write(b"".join(lines) or b"event: heartbeat\ndata: %b\n\n" % heartbeat(self._relay))
            retry = DRAIN_RETRY_MS
        except (TooSlow, StoreUnavailable):
            metrics.READERS_CUT.inc()
        await write(b"retry: %d\n\n" % retry, more=False)


async def gone(receive: Receive) -> None:
    while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        pass


async def entries(relay: Wiring, wish: Wish) -> AsyncIterator[list[tuple[str, str, bytes]]]:
    """Batches of (id, type, JSON) for a reader; an empty one means silence for a heartbeat's time."""
    with relay.followers.follow(wish.model, wish.audience) as follower:
        batches = relay.followers.read(follower, after=wish.after, last=wish.last, heartbeat=HEARTBEAT_SECONDS)
        async for batch in batches:
            yield batch


async def feed_sse(request: Request) -> Response:
    relay = wiring(request)
    return EventStream(relay, await read_wish(relay, request))


# -- WebSocket ---------------------------------------------------------------------------------------------------------


async def feed_websocket(websocket: WebSocket) -> None:
    """The same entries, one text frame each."""
    relay = wiring(websocket)
    try:
        wish = await read_wish(relay, websocket)
        await websocket.accept()  # from here on the reader may rely on hearing everything
    except Refusal as refusal:
        await websocket.accept()  # a close code can only be said after it
        ticket = "ticket" in refusal.code or refusal.code == "unauthenticated"
        await websocket.close(Close.TICKET_REFUSED if ticket else Close.PROTOCOL, refusal.detail[:120])
        return
    writer = asyncio.create_task(write_frames(relay, websocket, wish))
    listener = asyncio.create_task(gone(websocket.receive))
    await asyncio.wait((writer, listener), return_when=asyncio.FIRST_COMPLETED)
    for task in (writer, listener):
        task.cancel()
    code, *_ = await asyncio.gather(writer, listener, return_exceptions=True)
    if isinstance(code, int):
        with contextlib.suppress(RuntimeError):
            await websocket.close(code)


async def write_frames(relay: Wiring, websocket: WebSocket, wish: Wish) -> int:
    """Write until the end; the code to close with."""
    try:
        async for batch in entries(relay, wish):
            for _, _, data in batch:
                await websocket.send_text(data.decode())
            if not batch:
                await websocket.send_text(heartbeat(relay).decode())
    except TooSlow:
        metrics.READERS_CUT.inc()
        return Close.TOO_SLOW
    except StoreUnavailable:
        return Close.STORE_UNAVAILABLE
    return Close.DRAINING


routes = [
    Route("/feed", feed_sse, methods=["GET"]),
    Route("/feed/{model}", feed_sse, methods=["GET"]),
    WebSocketRoute("/feed", feed_websocket),
    WebSocketRoute("/feed/{model}", feed_websocket),
]
