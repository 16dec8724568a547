"""Histories: what lies behind a reader, in pages as its circle hears them, and the `gap` where something is missing.

Readers who come back together, as after a restart, ask for the same pages: each is read and encoded once for all of
them, and kept for a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import orjson

from relay.circles import Circle, Framing
from relay.clock import Clock, iso
from relay.feeds import Audience, Cursor, Entry, encode
from relay.stores import Store, Trimmed

PAGE_ENTRIES = 200  # read from the store and encoded at a time: everybody waits for that long
PIECE_BYTES = 32 * 1024  # written to a reader at a time, before it is seen whether it takes more
SHARED_SECONDS = 2.0  # for others to come for the same page
SHARED_ENTRIES_MIN = 20  # a page with fewer is read again sooner than it is looked for
SHARED_BYTES_MAX = 16 * 1024 * 1024  # of all pages that are kept
NOTHING_TRIMMED = Trimmed()

Key = tuple[str | None, Audience, Framing, int]


@dataclass(frozen=True, slots=True)
class Page:
    """A stretch of history. Who was written its pieces has everything up to `reached`."""

    reached: int
    pieces: tuple[bytes, ...]
    count: int = 0  # of entries
    trimmed: Trimmed = NOTHING_TRIMMED  # how far retention had come when it was read


class Histories:
    """Reads what was kept, for readers on their way."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self._clock = clock
        self._pages: dict[Key, asyncio.Task[Page]] = {}  # being read, or kept
        self._bytes = 0  # of those kept

    async def read(self, circle: Circle, reached: int, after: Cursor | None, last: int) -> AsyncGenerator[Page, None]:
        """All that lies beyond `after`, or the `last` entries, or, without a wish, what comes beyond `reached`."""
        told = 0  # entries up to here may be missing, and its reader knows
        if after is not None and not await self._is_ours(after):
            trimmed = await self.store.trimmed(circle.model)
            reached, told = trimmed.all, trimmed.some
            yield Page(reached, (self._gap(circle, str(after), reached, told, "the cursor belongs to another store"),))
        elif after is not None:
            reached = after.n
        elif last > 0:
            reached = await self.store.before_last(model=circle.model, count=last)
            told = (await self.store.trimmed(circle.model)).some
        while True:
            page = await self._page(circle, reached)
            trimmed = page.trimmed
            if max(reached, told) < trimmed.some:
                told = trimmed.some
                here, why = max(reached, trimmed.all), "those entries are older than the history"
                yield Page(here, (self._gap(circle, str(Cursor(self.store.epoch, reached)), here, told, why),))
            if not page.count:
                return
            reached = page.reached
            yield page

    async def _is_ours(self, cursor: Cursor) -> bool:
        return cursor.epoch == self.store.epoch and cursor.n <= await self.store.last()

    async def _page(self, circle: Circle, after: int) -> Page:
        """What comes next. The end is an empty page, and believed only of a look of its own: one that others began
        earlier does not know what was published since this reader came."""
        key = (circle.model, circle.audience, circle.framing, after)
        shared = self._pages.get(key)
        if shared is not None:
            page = await asyncio.shield(shared)
            return page if page.count else await self._look(circle, after)
        task = self._pages[key] = asyncio.create_task(self._look(circle, after))
        task.add_done_callback(partial(self._keep, key))
        return await asyncio.shield(task)  # whoever began it may leave

    def _keep(self, key: Key, task: asyncio.Task[Page]) -> None:
        page = None if task.cancelled() or task.exception() else task.result()
        size = 0 if page is None else sum(map(len, page.pieces))
        if page is None or page.count < SHARED_ENTRIES_MIN or self._bytes + size > SHARED_BYTES_MAX:
            del self._pages[key]
        else:
            self._bytes += size
            asyncio.get_running_loop().call_later(SHARED_SECONDS, self._drop, key, size)

    def _drop(self, key: Key, size: int) -> None:
        del self._pages[key]
        self._bytes -= size

    async def _look(self, circle: Circle, after: int) -> Page:
        model, store = circle.model, self.store
        while True:
            trimmed = await store.trimmed(model)
            entries = await store.entries(model=model, after=after, limit=PAGE_ENTRIES)
            if trimmed == await store.trimmed(model):  # else retention came between, and nobody knows on which side
                break
        reached = entries[-1].n if entries else after
        return Page(reached, tuple(self._pieces(circle, entries)), len(entries), trimmed)

    def _pieces(self, circle: Circle, entries: Sequence[Entry]) -> Iterator[bytes]:
        piece: list[bytes] = []
        size = 0
        for data in self._framed(circle, entries):
            piece.append(data)
            size += len(data)
            if size >= PIECE_BYTES:
                yield b"".join(piece)
                piece, size = [], 0
        if piece:
            yield b"".join(piece)

    def _framed(self, circle: Circle, entries: Sequence[Entry]) -> Iterator[bytes]:
        epoch = self.store.epoch
        for entry in entries:
            data = encode(epoch, entry, circle.audience)
            if data is not None:
                yield circle.framing(str(Cursor(epoch, entry.n)), entry.type, data)

    def _gap(self, circle: Circle, after: str, here: int, until: int, why: str) -> bytes:
        """Between `after` and `until` entries are missing. Its id is where its reader is: a place to resume from."""
        epoch = self.store.epoch
        id, end = str(Cursor(epoch, here)), str(Cursor(epoch, until))
        body = {"id": id, "type": "gap", "at": iso(self._clock.now()), "after": after, "until": end, "why": why}
        return circle.framing(id, "gap", orjson.dumps(body))
