"""The rooms in memory: made when somebody asks for a model or time has something to decide about her tips, made anew
when the store failed under one, forgotten when nobody is in them."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from weakref import WeakValueDictionary

import structlog

from relay.clock import Clock
from relay.errors import StoreUnavailable, UnknownModel
from relay.rooms import Room
from relay.settings import Settings
from relay.stores import Change, Store

log = structlog.get_logger()

NOTHING = Change()


class Rooms(ABC):
    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self.store = store
        self.settings = settings
        self.clock = clock
        self._rooms: dict[str, Room] = {}
        self._unread: set[str] = set()  # models whose room is gone, and what it handed in last may be on its way still
        self._absent: set[str] = set()  # models whose room is to be made although nobody asks for it
        self._loading: dict[str, asyncio.Task[Room]] = {}
        self.arriving = WeakValueDictionary[str, asyncio.Lock]()  # pages take their seats one after the other
        self.unkept_holds: dict[str, bool] = {}  # model -> stopped: what the store could not keep holds all the same

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
            change = room.hold(self.clock.now(), stop=self.unkept_holds[model], who="the relay")
            self.commit(room, change)
        return room

    @abstractmethod
    def commit(self, room: Room, change: Change) -> None:
        """Have a change kept, then move: what the hub is for."""

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

    def hold_later(self, model: str, stop: bool) -> None:
        """A model's room cannot be made right now: her hold is the first thing that the next one hears of."""
        self.unkept_holds[model] = stop or self.unkept_holds.get(model, False)
        self._absent.add(model)

    def forget_idle(self) -> None:
        """Rooms with nobody and nothing in them need no memory."""
        gone = {room.id for room in self.rooms if room.idle and room.id not in self.arriving}
        for model in gone:
            del self._rooms[model]
        if gone:
            self._unread |= gone
            self.store.hand_in(NOTHING, lambda _: self._unread.difference_update(gone))

    def give_up(self, room: Room) -> None:
        """The next one is made of what was kept, whether or not somebody asks for it."""
        room.broken = True
        if room.record.held:
            self.unkept_holds[room.id] = room.record.stopped
        if self._rooms.get(room.id) is room:
            del self._rooms[room.id]
            self._unread.add(room.id)
            self._absent.add(room.id)
