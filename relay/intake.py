"""The intake: a platform's tip is taken, kept, and on its way to the page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from msgspec import Struct

from relay import metrics
from relay.errors import IdReused, LineFull, Refusal
from relay.feeds import tip_entry
from relay.hub import Hub
from relay.menus import Preview, preview
from relay.rooms import Room
from relay.seats import Token
from relay.settings import LINE_TIPS_MAX
from relay.stores import Change, Kept, waiting
from relay.tips import Receipt, Tip, accept


class Delivered(Struct, frozen=True, gc=False):
    """What became of `POST /tips`."""

    receipt: Receipt
    replayed: bool
    room: Room
    preview: Preview


Told = Callable[[Delivered | Exception], None]


class Intake:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._slow: set[asyncio.Task[None]] = set()  # tips whose room is not at hand

    def deliver(self, tip: Tip, told: Told) -> None:
        """Keep a tip; its way to the page begins with that. `told` is called later with what became of it, or with
        `UnknownModel`, `LineFull`, `IdReused`, `StoreUnavailable`."""
        room = self._hub.find(tip.model)
        if room is not None and not room.is_full:
            self._take(room, tip, told)
        else:
            task = asyncio.ensure_future(self._deliver_slowly(tip, told))
            self._slow.add(task)
            task.add_done_callback(self._slow.discard)

    def delivered(self, tip: Tip) -> asyncio.Future[Delivered]:
        """As `deliver`, for who waits."""
        return waiting(partial(self.deliver, tip))

    async def _deliver_slowly(self, tip: Tip, told: Told) -> None:
        try:
            room = await self._hub.room(tip.model)
            if room.is_full and await self._hub.store.receipt(tip.id) is None:  # a retry needs no place
                raise LineFull(f"{LINE_TIPS_MAX} tips wait for model '{tip.model}' already: try later", retry_after=10)
            self._take(room, tip, told)
        except Exception as error:
            told(error)

    def _take(self, room: Room, tip: Tip, told: Told) -> None:
        at = self._hub.clock.now()
        found = preview(room.state.menu, tip.amount)
        taken = accept(tip, at)
        entry = tip_entry(taken, found)  # the feed hears that it was taken, whether or not it is on its way already
        receipt, token = room.accept(taken, at)
        change = Change(new=receipt, entries=(entry,) if entry else ())
        self._hub.store.hand_in(change, partial(self._accepted, room, tip, found, token, told))

    def _accepted(self, room: Room, tip: Tip, found: Preview, token: Token, told: Told, kept: Kept | Exception) -> None:
        try:
            delivered = self._enter(room, tip, found, token, kept)
        except Refusal as refusal:
            told(refusal)
        except Exception as error:  # a fault of ours, and somebody waits for an answer all the same
            self._hub.fault(room)
            told(error)
        else:
            told(delivered)

    def _enter(self, room: Room, tip: Tip, found: Preview, token: Token, kept: Kept | Exception) -> Delivered:
        """A tip that was kept enters its room."""
        if isinstance(kept, Exception):
            room.accepted(None, token)
            self._hub.drop(room)
            raise kept
        receipt = kept.receipt
        assert receipt is not None
        if kept.replayed:
            room.accepted(None, token)
        else:
            room.accepted(receipt, token)
            for step in receipt.timeline:
                metrics.STEPS.count[step.status] += 1
            room.announcer.tip(tip, found, receipt.accepted_at)
            if token is None:
                room.announcer.queue(receipt.accepted_at)
            self._hub.move(room, (receipt,))
        self._hub.pump(room)
        if kept.replayed and not receipt.tip.same_order(tip):
            raise IdReused(
                f"tip '{tip.id}' was posted before with other content, which stands: use a new id for a new tip"
            )
        return Delivered(room.line.find(tip.id) or receipt, kept.replayed, room, found)
