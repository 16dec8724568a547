"""The heart: where a tip's way down and an event's way up meet.

Rooms decide, the store keeps, and only then anything moves: a frame to a page, an entry to a follower. When the store
fails under a room, the room is dropped and made anew from what was kept, as after a restart.
"""

from __future__ import annotations

import asyncio
from functools import partial
from weakref import WeakValueDictionary

import structlog
from msgspec import Struct
from msgspec.structs import replace

from relay import messages, metrics
from relay.captures import Captures
from relay.clock import Clock
from relay.errors import IdReused, LineFull, UnknownModel
from relay.feeds import tip_entry
from relay.hearing import hear
from relay.menus import Preview, preview
from relay.messages import Close
from relay.rooms import Room
from relay.seats import Seat, Token
from relay.settings import (
    ANSWER_SECONDS_MAX,
    LINE_TIPS_MAX,
    Settings,
)
from relay.speaking import speak
from relay.stores import Change, Kept, Store
from relay.tips import Receipt, Status, Tip
from relay.vendors import Vendor

log = structlog.get_logger()


class Delivered(Struct, frozen=True):
    """What became of `POST /tips`."""

    receipt: Receipt
    replayed: bool
    room: Room


class Hub:
    def __init__(self, store: Store, vendor: Vendor, settings: Settings, clock: Clock) -> None:
        self.store = store
        self.vendor = vendor
        self.settings = settings
        self.clock = clock
        self.captures = Captures(clock, settings.anonymous_name)
        self._rooms: dict[str, Room] = {}
        self._dropped: set[str] = set()  # models whose room the store failed under, until they have a new one
        self._loading: dict[str, asyncio.Task[Room]] = {}
        self.arriving = WeakValueDictionary[str, asyncio.Lock]()  # pages take their seats one after the other
        self.spoken: dict[str, asyncio.Event] = {}  # pages being replaced, asked for their last word
        self.unkept_holds: dict[str, bool] = {}  # model -> stopped: what the store could not keep holds all the same

    # -- rooms ----------------------------------------------------------

    @property
    def rooms(self) -> list[Room]:
        """The rooms in memory: every model with a page or open tips, and some more."""
        return list(self._rooms.values())

    async def room(self, model: str) -> Room:
        """A model's room. Raises `UnknownModel`, `StoreUnavailable`."""
        room = self._rooms.get(model)
        if room is not None:
            return room
        loading = self._loading.get(model)
        if loading is None:
            loading = self._loading[model] = asyncio.create_task(self._load(model))
            loading.add_done_callback(lambda _: self._loading.pop(model, None))
        return await asyncio.shield(loading)

    async def _load(self, model: str) -> Room:
        if model in self._dropped:
            await self.store.keep(Change())  # whatever the dropped room had handed in is kept or refused by now
            self._dropped.discard(model)
        found = await self.store.room(model)
        if found is None:
            raise UnknownModel(f"model '{model:.128}' is not registered: PUT /models/{model:.128} first")
        record, receipts, ended = found
        room = Room.restored(record, receipts, self.settings)
        for one in ended:
            room.announcer.hush(one.tip, one.timeline[-1].at)
        self._rooms[model] = room
        if "online" in room.record.said:
            room.announcer.seen("online", False, self.clock.now())  # unless her page comes back soon
        if model in self.unkept_holds:
            self.commit(room, room.hold(self.clock.now(), stop=self.unkept_holds[model], who="the relay"))
        return room

    async def find_absent(self) -> None:
        """Rooms of models that were online before a restart, so that somebody notices who has not come back."""
        for record in await self.store.models():
            if "online" in record.said:
                await self.room(record.id)

    # -- tips going down ----------------------------------------------------------

    def deliver(self, tip: Tip) -> asyncio.Future[Delivered]:
        """Keep a tip; its way to the page begins with that. The future raises `UnknownModel`, `LineFull`, `IdReused`,
        `StoreUnavailable`."""
        room = self._rooms.get(tip.model)
        if room is None or room.is_full:
            return asyncio.ensure_future(self._deliver_slowly(tip))
        return self._take(room, tip)

    async def _deliver_slowly(self, tip: Tip) -> Delivered:
        room = await self.room(tip.model)
        if room.is_full and await self.store.receipt(tip.id) is None:  # a retry needs no place
            raise LineFull(f"{LINE_TIPS_MAX} tips wait for model '{tip.model}' already: try later", retry_after=10)
        return await self._take(room, tip)

    def _take(self, room: Room, tip: Tip) -> asyncio.Future[Delivered]:
        receipt, token = room.accept(tip, self.clock.now())
        # The feed hears that the tip was taken, whether or not it is on its way already.
        found = preview(room.state.menu, tip.amount)
        taken = tip_entry(replace(receipt, timeline=receipt.timeline[:1]), found)
        delivered: asyncio.Future[Delivered] = asyncio.get_running_loop().create_future()
        keeping = self.store.keep(Change(new=receipt, entries=(taken,) if taken else ()))
        keeping.add_done_callback(partial(self._accepted, room, tip, found, token, delivered))
        return delivered

    def _accepted(
        self,
        room: Room,
        tip: Tip,
        found: Preview,
        token: Token,
        delivered: asyncio.Future[Delivered],
        keeping: asyncio.Future[Kept],
    ) -> None:
        error = keeping.exception()
        if error is not None:
            room.accepted(None, token)
            self.drop(room)
            if not delivered.done():
                delivered.set_exception(error)
            return
        kept = keeping.result()
        assert kept.receipt is not None
        room.accepted(None if kept.replayed else kept.receipt, token)
        if not kept.replayed:
            for step in kept.receipt.timeline:
                metrics.STEP[step.status].inc()
            room.announcer.tip(tip, found, kept.receipt.accepted_at)
            self._moved(room, (kept.receipt,))
        self.pump(room)
        if delivered.done():
            return
        if kept.replayed and not kept.receipt.tip.same_order(tip):
            delivered.set_exception(
                IdReused(
                    f"tip '{tip.id}' was posted before with other content, which stands: use a new id for a new tip"
                )
            )
        else:
            delivered.set_result(Delivered(room.line.find(tip.id) or kept.receipt, kept.replayed, room))

    # -- the page ----------------------------------------------------------

    def leave(self, room: Room, seat: Seat) -> None:
        """The page's socket is gone."""
        if not room.broken and room.seat is seat:
            if room.id in self.captures.open:
                self.captures.left(room, seat)
            self.commit(room, room.leave(seat, self.clock.now()))
            log.info("page left", model=room.id, generation=seat.generation)

    def acknowledge(self, room: Room, seat: Seat, frame: messages.Ack) -> None:
        outcome = frame.outcome
        if outcome == "duplicate":  # the journal had it already, and says how it went
            outcome = frame.was or "played"
        error = None if frame.error is None else frame.error[:200]
        self._apply(room, room.acknowledge(frame.id, outcome, self.clock.now(), seat.generation, error, frame.run))
        if not room.line.sent and room.id in self.spoken:
            self.spoken[room.id].set()

    def answer(self, room: Room, seat: Seat, answers: dict[str, str]) -> None:
        self._apply(room, room.answer(seat, answers, self.clock.now()))
        if room.id in self.spoken:
            self.spoken[room.id].set()

    def vendor_state(self, room: Room, seat: Seat, ready: bool, why: str | None) -> None:
        self._apply(room, room.vendor(seat, ready, why and why[:200], self.clock.now()))

    def hear(self, room: Room, seat: Seat, frame: messages.EventFrame) -> None:
        """What the vendor said on the page, in its own words."""
        self._apply(room, hear(room, seat, frame.n, self.vendor.read(frame.event), self.clock.now()))

    # -- time ----------------------------------------------------------

    async def run(self, interval: float = 0.25) -> None:
        """Let time decide what only time can, until cancelled."""
        while True:
            await asyncio.sleep(interval)
            try:
                self.tick()
            except Exception:
                log.exception("tick failed")  # and time goes on

    def tick(self) -> None:
        at = self.clock.now()
        for room in (room for room in self.rooms if room.due <= at):
            self._tick(room, at)
        for room in (room for room in self.rooms if room.announcer.due <= at):
            self._apply(room, speak(room, at))

    def last_words(self) -> None:
        """The relay is about to end: what has happened is said before the store closes."""
        at = self.clock.now()
        for room in self.rooms:
            room.announcer.hurry(at)
            if room.announcer.due <= at and not room.broken:
                self.commit(room, speak(room, at))

    def _tick(self, room: Room, at: float) -> None:
        self._apply(room, room.tick(at))
        seat = room.seat
        if seat is not None:
            if seat.asked:
                if seat.asked_at + ANSWER_SECONDS_MAX <= at:
                    seat.socket.close(Close.HEARTBEAT_LOST, "did not answer what became of its tips")
            elif overdue := room.line.overdue(at):
                seat.asked, seat.asked_at = overdue, at
                seat.socket.tell(messages.ask(overdue))

    def forget_idle(self) -> None:
        """Rooms with nobody and nothing in them need no memory."""
        for room in self.rooms:
            if room.idle and room.id not in self.arriving:
                del self._rooms[room.id]

    # -- keep first, then move ----------------------------------------------------------

    def _apply(self, room: Room, change: Change) -> None:
        if not room.broken:
            self.commit(room, change)
            self.pump(room)

    def pump(self, room: Room) -> None:
        if room.line.waiting and not room.broken:
            self.commit(room, room.pump(self.clock.now()))

    def commit(self, room: Room, change: Change) -> asyncio.Future[Kept]:
        if change == Change():  # nothing to keep
            done: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
            done.set_result(Kept())
            return done
        keeping = self.store.keep(change)
        keeping.add_done_callback(partial(self._kept, room, change))
        return keeping

    def _kept(self, room: Room, change: Change, keeping: asyncio.Future[Kept]) -> None:
        if keeping.cancelled() or keeping.exception() is not None:
            self.drop(room)
        else:
            for receipt in change.moved:
                metrics.STEP[receipt.status].inc()
            self._moved(room, change.moved)

    def _moved(self, room: Room, moved: tuple[Receipt, ...]) -> None:
        """What was kept is told to the page."""
        if room.broken:
            return
        doubted = any(one.status is Status.UNCERTAIN for one in moved)
        if doubted and room.seat is not None and not room.changing:  # a page that arrives is told after its welcome
            room.seat.socket.tell(messages.uncertain(list(room.line.uncertain.values())))
        at = self.clock.now()
        for receipt in moved:
            if receipt.status is not Status.SENT or room.line.sent.get(receipt.tip.id) != receipt:
                continue
            back = room.hand_over(receipt, at)
            if back is not None:
                self._apply(room, back)
            elif room.seat is not None:
                if room.id in self.captures.open:
                    self.captures.handed(room, receipt)
                room.seat.socket.tell(messages.tip(receipt, run=room.seat.run, at=at))

    def drop(self, room: Room) -> None:
        """The store failed: what this room has decided since is worth nothing."""
        if room.broken:
            return
        room.broken = True
        if room.record.held:
            self.unkept_holds[room.id] = room.record.stopped
        if self._rooms.get(room.id) is room:
            del self._rooms[room.id]
            self._dropped.add(room.id)
        if room.seat is not None:
            room.seat.socket.close(Close.STORE_UNAVAILABLE, "the relay cannot keep anything right now")
        log.error("room dropped", model=room.id, why="the store failed")
