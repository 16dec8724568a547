"""The desk: what the platform and the broadcaster order about tips and models already known.

Everything goes through the hub's one way: the room decides, the store keeps, then it moves.
"""

from __future__ import annotations

import asyncio

from relay import messages
from relay.errors import AlreadySent, Invalid, NotUncertain, StoreUnavailable, UnknownTip
from relay.hub import Hub
from relay.rooms import Room
from relay.stores import Change
from relay.tips import Receipt, Status

RESOLUTIONS = ("played", "replay", "skip")


class Desk:
    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    # -- tips --------------------------------------------------------------------------------------------------------

    async def receipt(self, tip: str) -> Receipt:
        """A tip's receipt. Raises `UnknownTip`."""
        receipt = await self._hub.store.receipt(tip)
        if receipt is None:
            raise UnknownTip(f"no tip '{tip:.128}' within the last {self._hub.settings.retention_days} days")
        return receipt

    async def cancel(self, tip: str) -> Receipt:
        """Take a tip back while it waits. Raises `AlreadySent` once it has left."""
        room, receipt = await self._open(tip)
        if receipt.status is Status.CANCELLED:
            return receipt
        if receipt.status is not Status.ACCEPTED:
            raise AlreadySent(f"tip '{tip}' is {receipt.status} already: only an accepted tip can be taken back")
        await self._hub.committed(room, room.cancel(receipt, self._hub.clock.now(), "the platform took it back"))
        return await self.receipt(tip)

    async def resolve(self, tip: str, choice: str, who: str) -> Receipt:
        """Settle an uncertain tip by somebody's word: played, replay or skip."""
        if choice not in RESOLUTIONS:
            raise Invalid(f"'as' must be one of {', '.join(RESOLUTIONS)}, not {ascii(choice)[:60]}", field="as")
        room, receipt = await self._open(tip)
        if receipt.status is not Status.UNCERTAIN:
            raise NotUncertain(f"tip '{tip}' is {receipt.status}: only an uncertain tip waits for somebody's word")
        await self._hub.committed(room, room.resolve(receipt, choice, self._hub.clock.now(), who))
        self._hub.pump(room)
        return await self.receipt(tip)

    async def _open(self, tip: str) -> tuple[Room, Receipt]:
        while True:
            receipt = await self.receipt(tip)
            room = await self._hub.room(receipt.tip.model)
            found = room.line.find(tip)
            if found is not None or not receipt.is_open:
                return room, found or receipt
            # What was read is on its way into the line, or has left it since: only what the room knows may be moved.
            await self._hub.store.keep(Change())

    # -- holding and stopping ----------------------------------------------------------

    async def hold(self, model: str, *, stop: bool = False, cancel_waiting: bool = False, who: str) -> Room:
        """Nothing more is sent to the page; with `stop` it also takes the vendor's script down. The page is told first:
        what a body feels does not wait for a disk."""
        try:
            room = await self._hub.room(model)
        except StoreUnavailable:
            self._hub.hold_later(model, stop)
            raise
        at = self._hub.clock.now()
        change = room.hold(at, stop=stop, who=who)
        if room.seat is not None:
            room.seat.socket.tell(messages.STOP if stop else messages.HOLD)
        self._hub.unkept_holds[model] = room.record.stopped
        kept = [self._hub.committed(room, change)]
        if cancel_waiting:
            kept.append(self._hub.committed(room, room.cancel_waiting(at, at, f"{who} stopped the toy")))
        await asyncio.gather(*kept)
        if cancel_waiting:  # those that were about to be handed over have come back into the line meanwhile
            now = self._hub.clock.now()
            await self._hub.committed(room, room.cancel_waiting(at, now, f"{who} stopped the toy"))
        self._hub.unkept_holds.pop(model, None)
        return room

    async def release(self, model: str) -> Room:
        room = await self._hub.room(model)
        await self._hub.committed(room, room.release(self._hub.clock.now()))
        if room.record.held:  # held or stopped again while this was kept: that word is the last one
            return room
        self._hub.unkept_holds.pop(model, None)
        if room.seat is not None:
            room.seat.socket.tell(messages.RELEASE)
        self._hub.pump(room)
        return room
