"""The heart: where a tip's way down and an event's way up meet.

Rooms decide, the store keeps, and only then anything moves: a frame to a page, an entry to a follower. When the store
fails under a room, the room is dropped and made anew from what was kept, as after a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from weakref import WeakValueDictionary

import structlog

from relay import messages, metrics
from relay.captures import Captures
from relay.clock import Clock
from relay.errors import StoreUnavailable, UnknownModel
from relay.hearing import hear
from relay.messages import Close
from relay.rooms import Room
from relay.seats import Seat
from relay.settings import (
    ANSWER_SECONDS_MAX,
    TIP_ANSWERS_MAX,
    Settings,
)
from relay.speaking import speak
from relay.stores import Change, Kept, Store, settle, waiting
from relay.tips import Receipt, Status
from relay.vendors import Vendor

log = structlog.get_logger()

NOTHING = Change()


class Hub:
    def __init__(self, store: Store, vendor: Vendor, settings: Settings, clock: Clock) -> None:
        self.store = store
        self.vendor = vendor
        self.settings = settings
        self.clock = clock
        self.captures = Captures(clock, settings.anonymous_name)
        self._rooms: dict[str, Room] = {}
        self._unread: set[str] = set()  # models whose room is gone, and what it handed in last may be on its way still
        self._absent: set[str] = set()  # models whose room is to be made although nobody asks for it
        self._loading: dict[str, asyncio.Task[Room]] = {}
        self.arriving = WeakValueDictionary[str, asyncio.Lock]()  # pages take their seats one after the other
        self.spoken: dict[str, asyncio.Event] = {}  # pages being replaced, asked for their last word
        self.unkept_holds: dict[str, bool] = {}  # model -> stopped: what the store could not keep holds all the same

    # -- rooms ----------------------------------------------------------

    @property
    def rooms(self) -> list[Room]:
        """The rooms in memory: every model with a page or open tips, and some more."""
        return list(self._rooms.values())

    def find(self, model: str) -> Room | None:
        """A model's room, where it is in memory."""
        return self._rooms.get(model)

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
        if model in self._unread:
            await self.store.keep(NOTHING)  # whatever the room before it had handed in is kept or refused by now
            self._unread.discard(model)
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

    async def bring_back(self, interval: float = 1.0) -> None:
        """Make the rooms that time has something to decide in although nobody asks for their model: with open tips when
        the relay began, or dropped since. Until cancelled."""
        begun = False
        while True:
            with contextlib.suppress(StoreUnavailable):  # then in the next round
                if not begun:
                    self._absent.update(await self.store.open_models())
                    begun = True
                for model in sorted(self._absent):
                    await self._bring_back(model)
            await asyncio.sleep(interval)

    async def _bring_back(self, model: str) -> None:
        self._absent.discard(model)  # dropped again meanwhile, it comes back in here
        try:
            await self.room(model)
        except UnknownModel:
            self.unkept_holds.pop(model, None)
        except StoreUnavailable:
            self._absent.add(model)
            raise
        except Exception:
            self._absent.add(model)
            log.exception("a room cannot be made", model=model)

    async def find_absent(self) -> None:
        """Rooms of models that were online before a restart, so that somebody notices who has not come back."""
        for record in await self.store.models():
            if "online" in record.said:
                await self.room(record.id)

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
        for room in (room for room in self.rooms if room.due <= at or room.announcer.due <= at):
            self._let_time_decide(room, at)

    def _let_time_decide(self, room: Room, at: float) -> None:
        try:
            if room.due <= at:
                self._tick(room, at)
            if room.announcer.due <= at:
                self._apply(room, speak(room, at))
        except Exception:
            self.fault(room)

    def last_words(self) -> None:
        """The relay is about to end: what has happened is said before the store closes."""
        at = self.clock.now()
        for room in self.rooms:
            try:
                room.announcer.hurry(at)
                if room.announcer.due <= at and not room.broken:
                    self.commit(room, speak(room, at))
            except Exception:
                self.fault(room)  # and the others have theirs

    def _tick(self, room: Room, at: float) -> None:
        self._apply(room, room.tick(at))
        seat = room.seat
        if seat is not None:
            if seat.asked:
                if seat.asked_at + ANSWER_SECONDS_MAX <= at:
                    seat.socket.close(Close.HEARTBEAT_LOST, "did not answer what became of its tips")
            elif overdue := [tip for tip in room.line.overdue(at) if tip not in room.unwritten]:
                seat.asked, seat.asked_at = tuple(overdue), at
                seat.socket.tell(messages.ask(overdue))

    def forget_idle(self) -> None:
        """Rooms with nobody and nothing in them need no memory."""
        gone = {room.id for room in self.rooms if room.idle and room.id not in self.arriving}
        for model in gone:
            del self._rooms[model]
        if gone:
            self._unread |= gone
            self.store.hand_in(NOTHING, lambda _: self._unread.difference_update(gone))

    # -- keep first, then move ----------------------------------------------------------

    def _apply(self, room: Room, change: Change) -> None:
        if not room.broken:
            self.commit(room, change)
            self.pump(room)

    def pump(self, room: Room) -> None:
        if room.line.waiting and not room.broken:
            self.commit(room, room.pump(self.clock.now()))

    def commit(self, room: Room, change: Change) -> None:
        """Have a change kept, then move. Who wants to wait for it asks for `committed`."""
        if change != NOTHING:
            self.store.hand_in(change, partial(self._kept, room, change))

    def committed(self, room: Room, change: Change) -> asyncio.Future[Kept]:
        """As `commit`; the future is done once everything moved."""
        if change == NOTHING:
            return waiting(lambda told: told(Kept()))

        def told(kept: Kept | Exception) -> None:
            self._kept(room, change, kept)
            settle(future, kept)

        future: asyncio.Future[Kept] = asyncio.get_running_loop().create_future()
        self.store.hand_in(change, told)
        return future

    def _kept(self, room: Room, change: Change, kept: Kept | Exception) -> None:
        if isinstance(kept, Exception):
            self.drop(room)
            return
        for receipt in change.moved:
            metrics.STEPS.count[receipt.status] += 1
        self.move(room, change.moved)

    def move(self, room: Room, moved: tuple[Receipt, ...]) -> None:
        """What was kept is told to the page."""
        if room.broken:
            return
        try:
            self._tell_page(room, moved)
        except Exception:
            self.fault(room)

    def _tell_page(self, room: Room, moved: tuple[Receipt, ...]) -> None:
        statuses = [one.status for one in moved]
        doubted = Status.UNCERTAIN in statuses
        if doubted and room.seat is not None and not room.changing:  # a page that arrives is told after its welcome
            room.seat.socket.tell(messages.uncertain(list(room.line.uncertain.values())))
        if Status.SENT in statuses:
            for receipt in moved:
                if room.line.sent.get(receipt.tip.id) is receipt:  # else it has moved on while it was kept
                    self._hand_over(room, receipt)

    def _hand_over(self, room: Room, receipt: Receipt) -> None:
        at = self.clock.now()
        back = room.hand_over(receipt, at)
        if back is not None:
            self._apply(room, back)
        elif room.seat is not None:
            if room.id in self.captures.open:
                self.captures.handed(room, receipt)
            first = [step.status for step in receipt.timeline].count(Status.SENT) == 1  # not turned away before
            answers = TIP_ANSWERS_MAX if first else 0
            room.seat.socket.tell(messages.tip(receipt, run=room.seat.run, at=at), answers)

    def fault(self, room: Room) -> None:
        """While an exception is handled: it is ours. It stops no other room, and this one begins anew."""
        log.exception("a fault in a room", model=room.id)
        self.drop(room, "a fault of the relay")

    def drop(self, room: Room, why: str = "the store failed") -> None:
        """What this room has decided and the store has not kept is worth nothing: the next one is made of what was."""
        if room.broken:
            return
        room.broken = True
        if room.record.held:
            self.unkept_holds[room.id] = room.record.stopped
        if self._rooms.get(room.id) is room:
            del self._rooms[room.id]
            self._unread.add(room.id)
            self._absent.add(room.id)
        if room.seat is not None:
            room.seat.socket.close(Close.STORE_UNAVAILABLE, "the relay cannot keep anything right now")
        log.error("room dropped", model=room.id, why=why)
