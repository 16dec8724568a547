"""A whole relay without sockets, threads or waiting: hub and store, pages and browsers, and a clock that ticks.

Everything that is asynchronous in life is a list here: changes the disk has not taken yet, frames on their way down,
frames on their way up. Whoever drives the world decides what happens next.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import selectors
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from relay import messages
from relay.arrivals import Arrivals, Superseded
from relay.clock import TickingClock
from relay.desk import Desk
from relay.errors import Refusal, StoreUnavailable
from relay.hub import Hub
from relay.intake import Intake
from relay.rooms import Room
from relay.seats import Seat
from relay.settings import Settings
from relay.stores import Change, Kept, ModelRecord, Told
from relay.stores.memory import MemoryStore
from relay.tips import Status, read_tip, receipt_as_json
from relay.vendors.lovense import Lovense
from tests.chaos.checker import ELSEWHERE, Facts
from tests.chaos.shim_model import Browser, Page, PageDied

MODEL = "coco"


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer instead of waiting for it."""

    def __init__(self) -> None:
        self._virtual = 0.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        return self._virtual

    def jump(self, seconds: float) -> None:
        self._virtual += seconds


class _Jumping(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if timeout:
            self._loop.jump(timeout)
        return super().select(0)


def unheard(_: Kept | Exception) -> None:
    """Nobody is told: who waited was told before it was so."""


class PausedStore(MemoryStore):
    """Keeps nothing until told to: what lies between deciding and keeping can be cut open."""

    def __init__(self) -> None:
        super().__init__()
        self._queue: deque[tuple[Change, Callable[[Kept | Exception], object]]] = deque()
        self.early = False  # negative control: answers before it keeps

    def hand_in(self, change: Change, told: Told) -> None:
        later = partial(asyncio.get_running_loop().call_soon, told)
        if self.early and change.new is not None and change.new.tip.id not in self._tips:
            later(Kept(receipt=change.new))
            later = unheard
        self._queue.append((change, later))

    @property
    def waiting(self) -> int:
        return len(self._queue)

    def commit(self, count: int | None = None) -> None:
        for _ in range(len(self._queue) if count is None else min(count, len(self._queue))):
            change, told = self._queue.popleft()
            told(self._apply(change))

    def fail(self) -> None:
        """The disk is full: nothing of what waits is kept."""
        while self._queue:
            _, told = self._queue.popleft()
            told(StoreUnavailable("the disk is full"))

    def crash(self) -> None:
        self._queue.clear()


@dataclass(eq=False)
class Wire:
    """A page's socket, both ways. `cut`: the relay no longer hears it; what was written may still arrive."""

    page: Page
    down: deque[bytes] = field(default_factory=deque)
    up: deque[str] = field(default_factory=deque)
    room: Room | None = None
    seat: Seat | None = None
    cut: bool = False  # seen from the relay
    dead: bool = False  # the page is gone
    code: int | None = None

    def tell(self, frame: bytes, answers: int = 0) -> None:
        if not self.cut:
            self.down.append(frame)

    def close(self, code: int, reason: str) -> None:
        self.code = self.code or code


class World:
    def __init__(self, *, journal: bool = True, fence: bool = True, early: bool = False, **settings: Any) -> None:
        self.loop = VirtualLoop()
        asyncio.set_event_loop(self.loop)
        self.clock = TickingClock()
        self.store = PausedStore()
        self.store.early = early
        self.settings = Settings(**settings)
        self.facts = Facts(flight_seconds=0.0)
        self._instants = itertools.count(1)
        self.browsers = [Browser(), Browser()]
        self.wires: list[Wire] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.controls = {"journal": journal, "fence": fence}
        self.doomed: str | None = None  # the step at which the next page to take it dies
        self._ids = itertools.count(1)
        self._start()
        record = ModelRecord(MODEL, "Coco", self.clock.now())
        self.run(self._keep_now(Change(model=record)))

    def _start(self) -> None:
        self.hub = Hub(self.store, Lovense(self.settings), self.settings, self.clock)
        self.intake = Intake(self.hub)
        self.desk = Desk(self.hub)

    async def _keep_now(self, change: Change) -> None:
        self.store.keep(change)
        self.store.commit()

    def run(self, what: Any) -> Any:
        return self.loop.run_until_complete(what)

    def inside(self, act: Callable[[], None]) -> None:
        """Act as the relay does: on its event loop."""

        async def now() -> None:
            act()

        self.run(now())

    def settle(self) -> None:
        """Let everything that can go on without disk, frames or time go on."""

        async def turns() -> None:
            for _ in range(12):
                await asyncio.sleep(0)

        self.run(turns())
        self.tasks = [task for task in self.tasks if not task.done()]

    def start(self, what: Any) -> None:
        async def guarded() -> None:
            with contextlib.suppress(Refusal):
                await what

        self.tasks.append(self.loop.create_task(guarded()))
        self.settle()

    # -- the platform -------------------------------------------------------------------------------------------------

    def post(self, number: int | None = None, *, expires_in: float = 60.0) -> None:
        number = next(self._ids) if number is None else number
        body = {"id": f"t{number}", "model": MODEL, "tipper": f"n{number}", "amount": 5, "expires_in": expires_in}

        async def deliver() -> None:
            await self.intake.delivered(read_tip(body, anonymous_name="Anonymous", ttl=60))
            self.facts.accepted[str(body["id"])] = body

        self.start(deliver())

    # -- pages --------------------------------------------------------------------------------------------------------

    def die(self, step: str, tip: str) -> None:
        if step == self.doomed:
            self.doomed = None
            if step in ("page: calling written", "page: vendor called"):
                self.facts.causes[tip] = f"died at '{step}'"
            raise PageDied(step)

    def open(self, browser: int) -> None:
        self.connect(self._page(self.browsers[browser]))

    def _page(self, browser: Browser) -> Page:
        return Page(MODEL, browser, self.facts.ledger, self.now, die=self.die, **self.controls)

    def now(self) -> float:
        """The clock, with an instant between any two readings, so that before and after can be told apart."""
        return self.clock.now() + next(self._instants) * 1e-7

    def connect(self, page: Page) -> None:
        wire = Wire(page)
        self.wires.append(wire)
        self.start(self._arrive(wire))

    async def _arrive(self, wire: Wire) -> None:
        page = wire.page

        def welcome(room: Room, seat: Seat) -> bytes:
            for other in self.wires:  # whatever was given to another browser and not spoken of
                if other is not wire and other.page.browser is not page.browser:
                    for tip in self._unspoken(other):
                        self.facts.causes.setdefault(tip, ELSEWHERE)
            return messages.welcome(
                model=MODEL,
                generation=seat.generation,
                resume="r",
                heartbeat=20,
                held=room.record.held,
                stopped=room.record.stopped,
                ask=seat.asked,
                script=None,
                at=self.clock.now(),
            )

        resumed = page.resume is not None
        try:
            wire.room, wire.seat = await Arrivals(self.hub).arrive(
                MODEL,
                wire,
                journal=page.browser.journal,
                page=str(page.load),
                ready=True,
                resumed=resumed,
                welcome=welcome,
            )
        except Superseded:
            wire.close(messages.Close.SUPERSEDED, "another page has been opened since")

    def _unspoken(self, wire: Wire) -> list[str]:
        journal = wire.page.browser.journal
        return [
            one.tip.id
            for one in self.store._tips.values()
            if one.journal == journal and one.status in (Status.SENT, Status.UNCERTAIN)
        ]

    def page_reads(self, wire: Wire) -> None:
        """The page takes the next frame that has arrived."""
        if wire.dead or not wire.down:
            return
        frame = json.loads(wire.down.popleft())
        newest = frame["type"] == "welcome" and frame["generation"] > wire.page.browser.generation
        if newest:  # from here on, other pages of this browser must not act
            self.facts.superseded.pop(wire.page.load, None)
            for other in self.wires:
                if other.page.browser is wire.page.browser and other.page is not wire.page:
                    self.facts.superseded.setdefault(other.page.load, self.now())
        try:
            for said in wire.page.receive(frame):
                wire.up.append(json.dumps(said))
        except PageDied:
            wire.dead = True
            self.cut(wire)

    def relay_hears(self, wire: Wire) -> None:
        """The relay takes the next frame of a page."""
        if wire.cut or not wire.up or wire.seat is None or wire.room is None:
            return
        self.inside(lambda: self._hear(wire, wire.room, wire.seat))
        self.settle()

    def _hear(self, wire: Wire, room: Any, seat: Any) -> None:
        match messages.read_frame(wire.up.popleft()):
            case messages.Ack() as frame:
                self.hub.acknowledge(room, seat, frame)
            case messages.EventFrame() as frame:
                self.hub.hear(room, seat, frame)
            case messages.Answer() as frame:
                self.hub.answer(room, seat, frame.tips)
            case messages.Stop():
                self.tasks.append(self.loop.create_task(self.desk.hold(MODEL, stop=True, who="the broadcaster")))

    def cut(self, wire: Wire) -> None:
        """The relay learns that the socket is gone. Frames already written may still reach the page."""
        if not wire.cut:
            wire.cut = True
            if wire.seat is not None and wire.room is not None:
                self.inside(lambda: self.hub.leave(wire.room, wire.seat))
        self.settle()

    def obey_closes(self) -> None:
        """Sockets the relay has closed are gone once what was written before has been read."""
        for wire in self.wires:
            if wire.code is not None and not wire.cut:
                while wire.down and not wire.dead:
                    self.page_reads(wire)
                self.cut(wire)

    def vendor_goes_on(self, wire: Wire) -> None:
        if not wire.dead and wire.page.vendor.advance():
            wire.up.append(json.dumps(wire.page.event()))

    # -- time and death -----------------------------------------------------------------------------------------------

    def tick(self, seconds: float) -> None:
        self.clock.tick(seconds)

        async def wait() -> None:
            await asyncio.sleep(seconds)  # virtual: lets the relay's own waits end
            self.hub.tick()

        self.run(wait())
        self.settle()
        now = self.clock.now()
        for one in self.store._tips.values():
            if one.status in (Status.SENT, Status.UNCERTAIN) and now >= one.expires_at + 30:
                self.facts.causes.setdefault(one.tip.id, "the page stayed away past its time")

    def kill(self) -> None:
        """kill -9 of the relay, and a restart from what was kept."""
        self._end_tasks()
        self.store.crash()
        for wire in self.wires:
            wire.cut = True
        self._start()

    # -- the end ------------------------------------------------------------------------------------------------------

    def finish(self) -> Facts:
        """A quiet end: the disk works, the newest browser's page is there, time passes."""
        self.doomed = None
        newest = next((wire.page for wire in reversed(self.wires)), None)
        for _ in range(6):
            self.store.commit()
            self.settle()
            self.obey_closes()
        self.start(self.desk.release(MODEL))
        self.store.commit()
        self.settle()
        self.connect(self._page(newest.browser if newest else self.browsers[0]))
        for _ in range(400):
            self.store.commit()
            self.settle()
            wire = self.wires[-1]
            busy = bool(wire.down or wire.up or self.store.waiting)
            self.page_reads(wire)
            self.vendor_goes_on(wire)
            self.relay_hears(wire)
            for other in self.wires[:-1]:
                self.relay_hears(other)
            self.obey_closes()
            if not busy:
                open_tips = [one for one in self.store._tips.values() if one.is_open and one.status != "uncertain"]
                if not open_tips and not self.tasks:
                    break
                self.tick(1.0 if wire.page.vendor.queue or self.tasks else 20.0)
        self.facts.receipts = [receipt_as_json(one) for one in self.store._tips.values()]
        return self.facts

    def _end_tasks(self) -> None:
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.settle()

    def close(self) -> None:
        self._end_tasks()
        self.loop.close()
        asyncio.set_event_loop(None)
