"""Followers: readers of the feed, each with a bounded backlog, none of whom anybody waits for.

The store makes entries known (`publish`); a reader gets history first, then live, with nothing between and nothing
twice (`read`). Transports only carry what `read` yields.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager

import orjson

from relay.clock import Clock, iso
from relay.feeds import Audience, Cursor, Entry, encode
from relay.settings import FOLLOWER_ENTRIES_MAX
from relay.stores import Store

HISTORY_PAGE = 500  # entries read from the store at a time


class TooSlow(Exception):
    """The reader's backlog is full; it can come back with its cursor."""


class Follower:
    """One reader's backlog of entries."""

    def __init__(self, model: str | None, audience: Audience) -> None:
        self.model = model
        self.audience = audience
        self._backlog: deque[tuple[Entry, bytes]] = deque()
        self._wake = asyncio.Event()
        self._overrun = False
        self._ended = False

    def push(self, entry: Entry, data: bytes) -> None:
        if len(self._backlog) >= FOLLOWER_ENTRIES_MAX:
            self._overrun = True
        else:
            self._backlog.append((entry, data))
        self._wake.set()

    def end(self) -> None:
        self._ended = True
        self._wake.set()

    async def take(self, patience: float) -> list[tuple[Entry, bytes]] | None:
        """What has come in; empty after `patience` seconds of silence, None at the end. Raises `TooSlow`."""
        if not self._backlog and not self._overrun and not self._ended:
            try:
                async with asyncio.timeout(patience):
                    await self._wake.wait()
            except TimeoutError:
                return []
        self._wake.clear()
        if self._overrun:
            raise TooSlow
        taken = list(self._backlog)
        self._backlog.clear()
        return taken if taken or not self._ended else None


class Followers:
    """Everybody who follows, by model. An entry is encoded once per audience."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._by_model: dict[str | None, set[Follower]] = {}
        self._ended = False

    def __len__(self) -> int:
        return sum(map(len, self._by_model.values()))

    def publish(self, entries: Sequence[Entry]) -> None:
        """Called by the store, on the event loop, in the order of `n`."""
        for entry in entries:
            encoded: dict[Audience, bytes | None] = {}
            for follower in (*self._by_model.get(entry.model, ()), *self._by_model.get(None, ())):
                audience = follower.audience
                if audience not in encoded:
                    encoded[audience] = encode(self._store.epoch, entry, audience)
                data = encoded[audience]
                if data is not None:
                    follower.push(entry, data)

    def end(self) -> None:
        """Every reader is told that this is the end for now; so is whoever comes back too soon."""
        self._ended = True
        for followers in self._by_model.values():
            for follower in followers:
                follower.end()

    @contextmanager
    def follow(self, model: str | None, audience: Audience) -> Iterator[Follower]:
        follower = Follower(model, audience)
        if self._ended:
            follower.end()
        self._by_model.setdefault(model, set()).add(follower)
        try:
            yield follower
        finally:
            self._by_model[model].discard(follower)
            if not self._by_model[model]:
                del self._by_model[model]

    async def read(
        self, follower: Follower, *, after: Cursor | None, last: int, heartbeat: float
    ) -> AsyncIterator[list[tuple[str, str, bytes]]]:
        """Batches of (id, type, JSON): a `gap` where the cursor cannot be served, history, then live.

        An empty batch means `heartbeat` seconds of silence. Raises `TooSlow`; ends when the relay drains.
        """
        epoch, reached = self._store.epoch, 0  # whoever wants no history hears all that comes in from here on
        if after is not None:
            gap = await self._gap(after)
            if gap is not None:
                yield [gap]
            ours = after.epoch == epoch and after.n <= await self._store.last()
            reached = after.n if ours else await self._store.trimmed()
            while page := await self._store.entries(model=follower.model, after=reached, limit=HISTORY_PAGE):
                reached = page[-1].n
                yield self._shown(follower, page)
        elif last > 0:
            page = await self._store.newest(model=follower.model, count=last)
            reached = page[-1].n if page else 0
            yield self._shown(follower, page)
        while (batch := await follower.take(heartbeat)) is not None:
            # What came in while history was read may have been part of it.
            fresh = [(entry, data) for entry, data in batch if entry.n > reached]
            if fresh or not batch:
                yield [(str(Cursor(epoch, entry.n)), entry.type, data) for entry, data in fresh]

    def _shown(self, follower: Follower, page: Sequence[Entry]) -> list[tuple[str, str, bytes]]:
        epoch = self._store.epoch
        found = ((entry, encode(epoch, entry, follower.audience)) for entry in page)
        return [(str(Cursor(epoch, entry.n)), entry.type, data) for entry, data in found if data is not None]

    async def _gap(self, after: Cursor) -> tuple[str, str, bytes] | None:
        """What is missing behind a cursor: retention has taken it, or it is another store's."""
        epoch, trimmed, last = self._store.epoch, await self._store.trimmed(), await self._store.last()
        if after.epoch == epoch and trimmed <= after.n <= last:
            return None
        why = (
            "those entries are older than the history"
            if after.epoch == epoch and after.n < trimmed
            else ("the cursor belongs to another store")
        )
        id = str(Cursor(epoch, trimmed))
        body = {"id": id, "type": "gap", "at": iso(self._clock.now()), "after": str(after), "why": why}
        return id, "gap", orjson.dumps(body)
