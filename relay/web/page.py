"""The socket of a broadcaster's page, `/page` (docs/protocol.md): hello, then frames both ways until one side ends."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine, Mapping
from typing import Any

import structlog

from relay import messages
from relay.arrivals import Superseded
from relay.errors import BadSettings, StoreUnavailable, TicketExpired, TicketRefused, UnknownModel
from relay.messages import Close
from relay.rooms import Room
from relay.seats import Seat
from relay.settings import TICKET_SECONDS
from relay.web.page_socket import Closed, PageSocket
from relay.web.websocket import handshake
from relay.web.wiring import Wiring

log = structlog.get_logger()

JOURNAL_LENGTH_MAX = 128
Said = messages.Frame | messages.BadFrame


def open_page(relay: Wiring, transport: asyncio.Transport, headers: Mapping[str, str]) -> PageSocket:
    """A page's socket, its handshake answered. Raises `InvalidHandshake`."""
    offered = [one.strip() for one in headers.get("sec-websocket-protocol", "").split(",")]
    transport.write(handshake(headers, messages.PROTOCOL if messages.PROTOCOL in offered else None))
    socket = PageSocket(transport)
    try:
        check_handshake(relay, headers.get("origin"), offered)
    except Closed as closed:
        socket.close(closed.code, closed.reason)
    Conversation(relay, socket)
    return socket


def check_handshake(relay: Wiring, origin: str | None, offered: list[str]) -> None:
    """CORS does not guard sockets: the origin is checked here, and said with a code that a shim understands."""
    allowed = relay.settings.origins
    if "*" not in allowed and (origin or "").lower() not in allowed:
        raise Closed(Close.ORIGIN, "this origin is not listed in RELAY_ORIGINS")
    if messages.PROTOCOL not in offered:
        raise Closed(Close.VERSION, f"the subprotocol must be {messages.PROTOCOL}")


class Conversation:
    """What a page says, from its hello to its end, and what the hub makes of it."""

    __slots__ = ("_relay", "_room", "_seat", "_socket")

    def __init__(self, relay: Wiring, socket: PageSocket) -> None:
        self._relay = relay
        self._socket = socket
        self._room: Room | None = None
        self._seat: Seat | None = None
        socket.hears = self._hear
        socket.leaves = self._leave

    def _hear(self, said: Said) -> Coroutine[Any, Any, None] | None:
        """One frame. What takes time comes back as a coroutine."""
        room, seat = self._room, self._seat
        if room is None or seat is None:
            return self._greet(said)
        if room.id in self._relay.hub.captures.open:
            self._relay.hub.captures.heard(room, seat, said)
        try:
            return self._act(room, seat, said)
        except Exception:
            self._relay.hub.fault(room)
            return None

    def _act(self, room: Room, seat: Seat, said: Said) -> Coroutine[Any, Any, None] | None:
        match said:
            case messages.Ack():
                self._relay.hub.acknowledge(room, seat, said)
            case messages.EventFrame():
                self._relay.hub.hear(room, seat, said)
            case messages.Pong():
                seat.hidden = said.hidden
            case messages.VendorFrame():
                self._relay.hub.vendor_state(room, seat, said.ready, said.why)
            case messages.Answer():
                self._relay.hub.answer(room, seat, said.tips)
            case messages.Stop() | messages.Release() | messages.Resolve():
                return command(self._relay, room, seat, said)
            case _:
                pass  # a second hello, or a frame that was not understood: ignored and counted
        return None

    async def _greet(self, said: Said) -> None:
        """Raises `Closed` where the page may not stay."""
        if not isinstance(said, messages.Hello):
            raise Closed(Close.PROTOCOL, "the first frame must be a hello" + (f": {said}"[:80] if said else ""))
        self._socket.greeted()
        self._room, self._seat = await seated(self._relay, self._socket, said)
        self._relay.pages.sockets.add(self._socket)

    def _leave(self) -> None:
        if self._room is not None and self._seat is not None:
            self._relay.pages.sockets.discard(self._socket)
            self._relay.hub.leave(self._room, self._seat)


async def seated(relay: Wiring, socket: PageSocket, hello: messages.Hello) -> tuple[Room, Seat]:
    """The page takes its seat, or is told by code why not."""
    if not 1 <= len(hello.journal) <= JOURNAL_LENGTH_MAX:
        raise Closed(Close.PROTOCOL, f"the journal's id must have 1 to {JOURNAL_LENGTH_MAX} characters")
    try:
        model, load = await admitted(relay, hello)
        relay.models.script_url((await relay.hub.room(model)).record)  # a missing key shows before she has a seat

        def welcome(room: Room, seat: Seat) -> bytes:
            return messages.welcome(
                model=model,
                generation=seat.generation,
                resume=relay.tickets.resume(model, hello.journal, load),
                heartbeat=relay.settings.heartbeat,
                held=room.record.held,
                stopped=room.record.stopped,
                ask=seat.asked,
                script=relay.models.script_url(room.record),  # her token may have been renewed while she waited
                at=relay.clock.now(),
            )

        return await relay.arrivals.arrive(
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
    except Superseded:
        raise Closed(Close.SUPERSEDED, "another page of this model has been opened since") from None
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
