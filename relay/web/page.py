"""The socket of a broadcaster's page, `/page` (docs/protocol.md): hello, then frames both ways until one side ends."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from typing import Any

import structlog
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from relay import messages, metrics
from relay.errors import BadSettings, StoreUnavailable, TicketExpired, TicketRefused, UnknownModel
from relay.messages import Close
from relay.rooms import Room
from relay.seats import Seat
from relay.settings import HELLO_SECONDS_MAX, TICKET_SECONDS
from relay.web.page_socket import CLOSING_SECONDS_MAX, Closed, PageSocket
from relay.web.wiring import Wiring, wiring

log = structlog.get_logger()

JOURNAL_LENGTH_MAX = 128


async def page(websocket: WebSocket) -> None:
    relay = wiring(websocket)
    offered = websocket.scope.get("subprotocols", [])
    await websocket.accept(subprotocol=messages.PROTOCOL if messages.PROTOCOL in offered else None)
    try:
        check_handshake(relay, websocket.headers.get("origin"), offered)
        await converse(relay, websocket)
    except Closed as closed:
        metrics.PAGES_CLOSED.labels(str(closed.code)).inc()
        log.info("page closed", code=closed.code, reason=closed.reason)
        if websocket.application_state is not WebSocketState.DISCONNECTED:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(CLOSING_SECONDS_MAX):
                    await websocket.close(closed.code, closed.reason)


def check_handshake(relay: Wiring, origin: str | None, offered: list[str]) -> None:
    """CORS does not guard sockets: the origin is checked here, and said with a code that a shim understands."""
    allowed = relay.settings.origins
    if "*" not in allowed and (origin or "").lower() not in allowed:
        raise Closed(Close.ORIGIN, "this origin is not listed in RELAY_ORIGINS")
    if messages.PROTOCOL not in offered:
        raise Closed(Close.VERSION, f"the subprotocol must be {messages.PROTOCOL}")


async def converse(relay: Wiring, websocket: WebSocket) -> None:
    """From hello to the end. Raises `Closed` where the relay ends it."""
    socket = PageSocket(websocket, asyncio.get_running_loop().time)
    frames = socket.frames()
    try:
        async with asyncio.timeout(HELLO_SECONDS_MAX):
            hello = await anext(frames)
    except TimeoutError:
        raise Closed(Close.NO_HELLO, f"no hello within {HELLO_SECONDS_MAX} s") from None
    except StopAsyncIteration:
        return
    if not isinstance(hello, messages.Hello):
        raise Closed(Close.PROTOCOL, "the first frame must be a hello" + (f": {hello}"[:80] if hello else ""))
    room, seat = await seated(relay, socket, hello)
    relay.pages.sockets.add(socket)
    reader = asyncio.create_task(listen(relay, room, seat, frames))
    writer = asyncio.create_task(socket.write())
    try:
        await asyncio.wait((reader, writer, socket.cut), return_when=asyncio.FIRST_COMPLETED)
    finally:
        relay.pages.sockets.discard(socket)
        relay.hub.leave(room, seat)
        for task in (reader, writer, socket.cut):
            task.cancel()
        ended = await asyncio.gather(reader, writer, socket.cut, return_exceptions=True)
    for result in ended:
        if isinstance(result, Closed):
            raise result
        if isinstance(result, Exception) and not isinstance(result, RuntimeError | OSError | WebSocketDisconnect):
            raise result


async def seated(relay: Wiring, socket: PageSocket, hello: messages.Hello) -> tuple[Room, Seat]:
    """The page takes its seat, or is told by code why not."""
    if not 1 <= len(hello.journal) <= JOURNAL_LENGTH_MAX:
        raise Closed(Close.PROTOCOL, f"the journal's id must have 1 to {JOURNAL_LENGTH_MAX} characters")
    try:
        model, load = await admitted(relay, hello)
        script = relay.models.script_url((await relay.hub.room(model)).record)

        def welcome(room: Room, seat: Seat) -> bytes:
            return messages.welcome(
                model=model,
                generation=seat.generation,
                resume=relay.tickets.resume(model, hello.journal, load),
                heartbeat=relay.settings.heartbeat,
                held=room.record.held,
                stopped=room.record.stopped,
                ask=seat.asked,
                script=script,
                at=relay.clock.now(),
            )

        return await relay.hub.arrive(
            model,
            socket,
            journal=hello.journal,
            page=load,
            ready=hello.vendor.ready,
            resumed=hello.resume is not None,
            welcome=welcome,
        )
    except TicketExpired as refusal:
        raise Closed(Close.TICKET_EXPIRED, refusal.detail[:120]) from None
    except TicketRefused as refusal:
        raise Closed(Close.TICKET_REFUSED, refusal.detail[:120]) from None
    except UnknownModel:
        raise Closed(Close.UNKNOWN_MODEL, "this model is not registered") from None
    except StoreUnavailable:
        raise Closed(Close.STORE_UNAVAILABLE, "the relay cannot keep anything right now") from None
    except BadSettings as error:
        log.error("misconfigured", problems=error.problems)
        raise Closed(Close.STORE_UNAVAILABLE, "the relay is misconfigured; its log says how") from None


async def admitted(relay: Wiring, hello: messages.Hello) -> tuple[str, str]:
    """The model and the page's load that the ticket or resume token is for. Raises `TicketRefused`."""
    if hello.resume is not None:
        resume = relay.tickets.read_resume(hello.resume)
        owner, model, load = resume.journal, resume.model, resume.page
    elif hello.ticket is not None:
        ticket = relay.tickets.read_page(hello.ticket)
        until = relay.clock.now() + 2 * TICKET_SECONDS
        owner, model = await relay.store.claim(ticket.id, hello.journal, until), ticket.model
        load = secrets.token_urlsafe(6)
    else:
        raise TicketRefused("a hello must carry a ticket or a resume token")
    if owner != hello.journal:
        raise TicketRefused("this ticket was first shown by another browser: every page needs a ticket of its own")
    return model, load


async def listen(
    relay: Wiring, room: Room, seat: Seat, frames: AsyncIterator[messages.Frame | messages.BadFrame]
) -> None:
    """One frame after the other into the hub, until the page is gone."""
    hub = relay.hub
    async for frame in frames:
        match frame:
            case messages.Ack():
                hub.acknowledge(room, seat, frame)
            case messages.EventFrame():
                hub.hear(room, seat, frame)
            case messages.Pong():
                seat.hidden = frame.hidden
            case messages.VendorFrame():
                hub.vendor_state(room, seat, frame.ready, frame.why)
            case messages.Answer():
                hub.answer(room, seat, frame.tips)
            case messages.Stop() | messages.Release() | messages.Resolve():
                await command(relay, room, seat, frame)
            case _:
                pass  # a second hello, or a frame that was not understood: ignored and counted


async def command(relay: Wiring, room: Room, seat: Seat, frame: Any) -> None:
    """The broadcaster's own word. Only the page that acts may give it."""
    if room.seat is not seat:
        return
    try:
        match frame:
            case messages.Stop():
                await relay.desk.hold(room.id, stop=True, who="the broadcaster")
            case messages.Release():
                await relay.desk.release(room.id)
            case messages.Resolve(id, choice) if id in room.line.uncertain:
                await relay.desk.resolve(id, choice, "the broadcaster")
    except Exception as error:  # the room is dropped or the word was no word: the socket's end says the rest
        log.warning("command refused", model=room.id, frame=type(frame).__name__, why=str(error)[:200])


routes = [WebSocketRoute("/page", page)]
