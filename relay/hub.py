"""The heart: where a tip's way down and an event's way up meet.

Rooms decide, the store keeps, and only then anything moves: a frame to a page, an entry to a follower. When the store
fails under a room, the room is dropped and made anew from what was kept, as after a restart.
"""

from __future__ import annotations

import asyncio
from functools import partial

import structlog

from relay import messages, metrics
from relay.captures import Captures
from relay.clock import Clock
from relay.hearing import hear
from relay.messages import Close
from relay.registry import NOTHING, Rooms
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


class Hub(Rooms):
    def __init__(self, store: Store, vendor: Vendor, settings: Settings, clock: Clock) -> None:
        super().__init__(store, settings, clock)
        self.vendor = vendor
        self.captures = Captures(clock, settings.anonymous_name)
        self.spoken: dict[str, asyncio.Event] = {}  # pages being replaced, asked for their last word

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
        change = room.acknowledge(frame.id, outcome, self.clock.now(), seat.generation, error, frame.run)
        if outcome == "stale" and change.moved and change.moved[-1].status is Status.ACCEPTED and room.seat is seat:
            seat.socket.close(Close.CLOCKS_APART, "by the relay's clock that tip has time left: measure it again")
        self._apply(room, change)
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
        self.give_up(room)
        if room.seat is not None:
            room.seat.socket.close(Close.STORE_UNAVAILABLE, "the relay cannot keep anything right now")
        log.error("room dropped", model=room.id, why=why)
