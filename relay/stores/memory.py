"""The store that forgets: for demos and tests that do not need a disk. Same contract, same order of things."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from functools import partial
from itertools import islice

from msgspec.structs import replace

from relay.feeds import Entry
from relay.settings import HUSHED_TIPS_MAX
from relay.stores import Change, Document, Follow, Kept, ModelRecord, Store, Told, Trimmed, waiting
from relay.tips import Receipt, Status


class MemoryStore:
    def __init__(self) -> None:
        self._epoch = secrets.token_hex(4)
        self._follow: Follow = lambda _: None
        self._models: dict[str, ModelRecord] = {}
        self._tips: dict[str, Receipt] = {}  # by id, in the order of acceptance
        self._entries: dict[int, Entry] = {}
        self._tickets: dict[str, tuple[str, float]] = {}
        self._documents: dict[tuple[str, str], Document] = {}
        self._seq = 0
        self._n = 0
        self._trimmed = 0  # by age: all of it
        self._surplus: dict[str, int] = {}  # by count: of these models, up to here

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    @property
    def healthy(self) -> bool:
        return True

    @property
    def in_use(self) -> bool:
        return False

    @property
    def trouble(self) -> str:
        return ""

    @property
    def epoch(self) -> str:
        return self._epoch

    def follow(self, follow: Follow) -> None:
        self._follow = follow

    def hand_in(self, change: Change, told: Told) -> None:
        kept = self._apply(change)
        if kept.entries:
            self._follow(kept.entries)
        asyncio.get_running_loop().call_soon(told, kept)

    def keep(self, change: Change) -> asyncio.Future[Kept]:
        return waiting(partial(self.hand_in, change))

    def _apply(self, change: Change) -> Kept:
        receipt = change.new
        if receipt is not None:
            standing = self._tips.get(receipt.tip.id)
            if standing is not None:
                return Kept(receipt=standing, replayed=True)
            self._seq += 1
            receipt = self._tips[receipt.tip.id] = replace(receipt, seq=self._seq)
        for moved in change.moved:
            self._tips[moved.tip.id] = moved
        if change.model is not None:
            self._models[change.model.id] = change.model
        for document in change.documents:
            self._documents.pop((document.kind, document.id), None)
            if document.body is not None:
                self._documents[document.kind, document.id] = document
        entries = []
        for draft in change.entries:
            self._n += 1
            entry = Entry(self._n, draft.model, draft.type, draft.at, draft.body)
            self._entries[entry.n] = entry
            entries.append(entry)
        return Kept(tuple(entries), receipt)

    async def claim(self, ticket: str, journal: str, until: float) -> str:
        return self._tickets.setdefault(ticket, (journal, until))[0]

    async def model(self, model: str) -> ModelRecord | None:
        return self._models.get(model)

    async def models(self) -> list[ModelRecord]:
        return sorted(self._models.values(), key=lambda record: record.id)

    async def open_models(self) -> list[str]:
        return sorted({one.tip.model for one in self._tips.values() if one.is_open})

    async def room(self, model: str) -> tuple[ModelRecord, list[Receipt], list[Receipt]] | None:
        record = self._models.get(model)
        tips = [one for one in self._tips.values() if one.tip.model == model]
        hushed = [one for one in reversed(tips) if one.tip.private and not one.is_open][:HUSHED_TIPS_MAX]
        return None if record is None else (record, [one for one in tips if one.is_open], hushed)

    async def document(self, kind: str, id: str) -> Document | None:
        return self._documents.get((kind, id))

    async def documents(self, kind: str) -> list[Document]:
        return sorted((one for one in self._documents.values() if one.kind == kind), key=lambda one: one.id)

    async def receipt(self, tip: str) -> Receipt | None:
        return self._tips.get(tip)

    async def receipts(
        self, *, model: str | None = None, status: Status | None = None, after: int = 0, limit: int = 100
    ) -> list[Receipt]:
        found = (
            one
            for one in self._tips.values()
            if one.seq > after and model in (None, one.tip.model) and status in (None, one.status)
        )
        return list(islice(found, limit))

    async def entries(self, *, model: str | None = None, after: int = 0, limit: int = 1000) -> list[Entry]:
        found = (one for one in self._entries.values() if one.n > after and model in (None, one.model))
        return list(islice(found, limit))

    async def before_last(self, *, model: str | None = None, count: int) -> int:
        found = (one.n for one in reversed(self._entries.values()) if model in (None, one.model))
        return next(islice(found, count, None), 0)

    async def trimmed(self, model: str | None = None) -> Trimmed:
        if model is None:
            return Trimmed(self._trimmed, max(self._trimmed, *self._surplus.values(), 0))
        gone = max(self._trimmed, self._surplus.get(model, 0))
        return Trimmed(gone, gone)

    async def last(self) -> int:
        return self._n

    async def sweep(
        self, *, tips_before: float, entries_before: float, entries_max: int | None = None, limit: int = 500
    ) -> int:
        tips = (one for one in self._tips.values() if not one.is_open and one.accepted_at < tips_before)
        self._tickets = {id: kept for id, kept in self._tickets.items() if kept[1] >= entries_before}
        old_tips = list(islice(tips, limit))
        for receipt in old_tips:
            del self._tips[receipt.tip.id]
        old_entries = list(islice((one for one in self._entries.values() if one.at < entries_before), limit))
        for entry in old_entries:
            del self._entries[entry.n]
            self._trimmed = entry.n
        surplus = [] if entries_max is None else self._find_surplus(entries_max, limit)
        for entry in surplus:
            del self._entries[entry.n]
            self._surplus[entry.model] = entry.n
        return len(old_tips) + len(old_entries) + len(surplus)

    def _find_surplus(self, keep: int, limit: int) -> list[Entry]:
        left = Counter(one.model for one in self._entries.values())
        found: list[Entry] = []
        for entry in self._entries.values():
            if left[entry.model] > keep and len(found) < limit:
                left[entry.model] -= 1
                found.append(entry)
        return found


_keeps_the_contract: type[Store] = MemoryStore
