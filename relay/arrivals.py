"""Arrivals: a page takes its model's seat. The older page has its last word first, and is sent away."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from relay import messages
from relay.errors import StoreUnavailable
from relay.hub import Hub
from relay.messages import Close
from relay.rooms import Room
from relay.seats import Seat, Socket
from relay.settings import OLD_PAGE_ANSWER_SECONDS_MAX

log = structlog.get_logger()


class Superseded(Exception):
    """The page is back, and another one has taken its place meanwhile."""


class Arrivals:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def arrive(
        self,
        model: str,
        socket: Socket,
        *,
        journal: str,
        page: str,
        ready: bool,
        resumed: bool,
        welcome: Callable[[Room, Seat], bytes],
    ) -> tuple[Room, Seat]:
        """A page takes the model's seat: the older page has its last word and is sent away, the new generation is kept,
        then the page is welcomed. Raises `UnknownModel`, `StoreUnavailable`; `Superseded` for a page that comes back of
        itself where another has been opened since, for nobody asked it to."""
        hub = self._hub
        async with hub.arriving.setdefault(model, asyncio.Lock()):  # the block keeps it alive
            room = await hub.room(model)
            old = room.seat
            if resumed and old is not None and old.page != page:
                raise Superseded
            room.changing = True
            try:
                if old is not None and old.journal != journal:
                    await self._last_word(room, old)
                if room.broken:
                    raise StoreUnavailable("the store failed while the older page was asked: come back", retry_after=1)
                at = hub.clock.now()
                seat, change = room.arrive(socket, journal, page, ready, resumed, at)
                if old is not None:
                    old.socket.close(Close.SUPERSEDED, "a newer page of this model has come")
                await hub.committed(room, change)
            except StoreUnavailable:
                hub.drop(room)
                raise
            finally:
                room.changing = False
            socket.tell(welcome(room, seat))
            if model in hub.captures.open:
                hub.captures.arrived(room, seat, resumed=resumed)
            if room.line.uncertain:
                socket.tell(messages.uncertain(list(room.line.uncertain.values())))
            hub.pump(room)
            log.info("page arrived", model=model, generation=seat.generation, asked=len(seat.asked))
            return room, seat

    async def _last_word(self, room: Room, old: Seat) -> None:
        given = [tip for tip in room.line.sent if tip not in room.unwritten]
        if not given:
            return
        spoken = self._hub.spoken[room.id] = asyncio.Event()
        old.asked, old.asked_at = tuple(given), self._hub.clock.now()
        old.socket.tell(messages.ask(given))
        try:
            async with asyncio.timeout(OLD_PAGE_ANSWER_SECONDS_MAX):
                await spoken.wait()
        except TimeoutError:
            pass
        finally:
            del self._hub.spoken[room.id]
