"""Helpers for the unit tests: facts quickly said, a socket held at both ends, a store that fails on order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from relay.arrivals import Arrivals
from relay.clock import TickingClock
from relay.desk import Desk
from relay.errors import StoreUnavailable
from relay.events import Reaction
from relay.hub import Hub
from relay.intake import Intake
from relay.messages import Ack, EventFrame
from relay.messages import welcome as welcome_frame
from relay.models import Models
from relay.rooms import Room, Seat
from relay.settings import Settings
from relay.stores import Change, ModelRecord, Told
from relay.stores.memory import MemoryStore
from relay.tips import Receipt, Status, Step, Tip, accept, move
from relay.vault import Vault
from relay.vendors.lovense import Lovense

RECORDINGS = Path(__file__).parent / "recordings"
T0 = 1_700_000_000.0  # where a TickingClock begins


def recording(name: str) -> dict[str, Any]:
    return json.loads((RECORDINGS / f"{name}.json").read_text())


def a_tip(id: str = "t1", **fields: Any) -> Tip:
    given: dict[str, Any] = {"model": "coco", "tipper": "john", "amount": 20} | fields
    return Tip(id=id, **({"shown": given["tipper"]} | given))


# The shortest ways to each status, for receipts that stand there.
WAYS: dict[Status, tuple[Status, ...]] = {
    Status.ACCEPTED: (),
    Status.SENT: (Status.SENT,),
    Status.PLAYED: (Status.SENT, Status.PLAYED),
    Status.QUEUED: (Status.SENT, Status.PLAYED, Status.QUEUED),
    Status.RUNNING: (Status.SENT, Status.PLAYED, Status.RUNNING),
    Status.DONE: (Status.SENT, Status.PLAYED, Status.RUNNING, Status.DONE),
    Status.NO_REACTION: (Status.SENT, Status.PLAYED, Status.NO_REACTION),
    Status.CLEARED: (Status.SENT, Status.PLAYED, Status.CLEARED),
    Status.EXPIRED: (Status.EXPIRED,),
    Status.CANCELLED: (Status.CANCELLED,),
    Status.FAILED: (Status.SENT, Status.FAILED),
    Status.UNCERTAIN: (Status.SENT, Status.UNCERTAIN),
}


def a_receipt(
    id: str = "t1",
    status: Status = Status.ACCEPTED,
    *,
    seq: int = 1,
    at: float = T0,
    evidence: dict[str, Any] | None = None,
    generation: int = 1,
    journal: str = "j1",
    **tip: Any,
) -> Receipt:
    """A receipt that came to `status` the shortest way, all at once."""
    receipt = accept(a_tip(id, **tip), at)
    for step in WAYS[status]:
        changes = {"generation": generation, "journal": journal} if step is Status.SENT else {}
        receipt = move(receipt, step, at, "test", evidence, **changes)
    return Receipt(**{name: getattr(receipt, name) for name in receipt.__slots__} | {"seq": seq})


def steps(receipt: Receipt) -> list[str]:
    return [step.status.value for step in receipt.timeline]


def last_step(receipt: Receipt) -> Step:
    return receipt.timeline[-1]


def entry(name: str = "john", amount: int | None = 20, **fields: Any) -> Reaction:
    return Reaction(name, amount, **fields)


class FakeSocket:
    """A page's socket, both ends of it in the test's hands."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.closed: list[int] = []
        self.on_tell: Callable[[dict[str, Any]], None] = lambda _: None

    def tell(self, frame: bytes, answers: int = 0) -> None:
        told = orjson.loads(frame)
        self.frames.append(told)
        self.on_tell(told)

    def close(self, code: int, reason: str) -> None:
        assert reason
        self.closed.append(code)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["type"] == kind]

    @property
    def tips(self) -> list[str]:
        return [frame["id"] for frame in self.of("tip")]


class MoodyStore(MemoryStore):
    """The memory store, out of order or slow when a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.failing = False
        self.slow = False  # what is handed in is kept at `let_go`
        self.changes: list[Change] = []
        self._held: list[tuple[Change, Told]] = []

    def hand_in(self, change: Change, told: Told) -> None:
        self._held.append((change, told))
        if not self.slow:
            self.let_go()

    def let_go(self) -> None:
        held, self._held = self._held, []
        for change, told in held:
            if self.failing:
                asyncio.get_running_loop().call_soon(told, StoreUnavailable("out of order", retry_after=1))
                continue
            self.changes.append(change)
            super().hand_in(change, told)


class House:
    """A hub over the moody store, one model in it, and a clock to tick."""

    def __init__(self, **settings: Any) -> None:
        self.clock = TickingClock(T0)
        self.store = MoodyStore()
        self.settings = Settings(**settings)
        self.hub = Hub(self.store, Lovense(self.settings), self.settings, self.clock)
        self.intake = Intake(self.hub)
        self.desk = Desk(self.hub)
        self.models = Models(self.hub, self.store, self.hub.vendor, Vault(()), self.clock)

    async def with_model(self, model: str = "coco") -> House:
        await self.store.keep(Change(model=ModelRecord(model, model.title(), T0)))
        return self

    async def page(
        self,
        journal: str = "j1",
        *,
        ready: bool = True,
        resumed: bool = False,
        model: str = "coco",
        load: str = "p1",
    ) -> Page:
        socket = FakeSocket()

        def welcome(room: Room, seat: Seat) -> bytes:
            return welcome_frame(
                model=room.id,
                generation=seat.generation,
                resume="r",
                heartbeat=20,
                held=room.record.held,
                stopped=room.record.stopped,
                ask=seat.asked,
                script=None,
                at=T0,
            )

        room, seat = await Arrivals(self.hub).arrive(
            model, socket, journal=journal, page=load, ready=ready, resumed=resumed, welcome=welcome
        )
        await settle()
        return Page(self.hub, room, seat, socket)

    async def tip(self, id: str = "t1", **fields: Any) -> Receipt:
        delivered = await self.intake.delivered(a_tip(id, **fields))
        await settle()
        return delivered.receipt

    async def status(self, id: str = "t1") -> str:
        return (await self.desk.receipt(id)).status.value

    async def tick(self, seconds: float) -> None:
        self.clock.tick(seconds)
        self.hub.tick()
        await settle()


class Page:
    """A broadcaster's page, as the hub knows it."""

    def __init__(self, hub: Hub, room: Room, seat: Seat, socket: FakeSocket) -> None:
        self.hub, self.room, self.seat, self.socket = hub, room, seat, socket

    async def ack(self, id: str, outcome: str = "played", **fields: Any) -> None:
        self.hub.acknowledge(self.room, self.seat, Ack(id=id, outcome=outcome, **fields))
        await settle()

    async def answer(self, **answers: str) -> None:
        self.hub.answer(self.room, self.seat, answers)
        await settle()

    async def says(self, event: Any, n: int = 0) -> None:
        self.hub.hear(self.room, self.seat, EventFrame(event=event, n=n))
        await settle()

    async def ready(self, ready: bool = True, why: str | None = None) -> None:
        self.hub.vendor_state(self.room, self.seat, ready, why)
        await settle()

    async def leave(self) -> None:
        self.hub.leave(self.room, self.seat)
        await settle()


@asynccontextmanager
async def bringing_back(hub: Hub) -> AsyncIterator[None]:
    """As in a relay that serves: rooms come back by themselves."""
    task = asyncio.create_task(hub.bring_back(interval=0))
    await settle()
    yield
    task.cancel()


def queue_event(running: list[tuple[str, int]], queue: list[tuple[str, int]] = (), waiting: int = 0) -> dict[str, Any]:
    """What the vendor's `tipQueueStatus` says."""
    return {
        "type": "tipQueueStatus",
        "detail": {
            "running": [{"tipperName": name, "amount": amount, "time": 5} for name, amount in running],
            "queue": [{"tipperName": name, "amount": amount} for name, amount in queue],
            "waiting": [{}] * waiting,
        },
    }


async def settle() -> None:
    """Let everything run that is ready to."""
    for _ in range(10):
        await asyncio.sleep(0)
