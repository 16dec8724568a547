"""The embedded store: one SQLite file, one writer thread with group commit, readers beside it.

`synchronous=FULL` with a write-ahead log: once `keep` resolves, the change survives a power cut.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import apsw
import orjson

from relay.errors import StoreUnavailable
from relay.feeds import Entry
from relay.settings import HUSHED_TIPS_MAX
from relay.stores import Change, Document, Follow, Kept, ModelRecord, Store, Told, Trimmed, waiting
from relay.stores.sqlite_chains import Link, page, row_at
from relay.stores.sqlite_changes import Ledger, find_receipt
from relay.stores.sqlite_rows import (
    ENTRY_COLUMNS,
    MODEL_COLUMNS,
    TIP_COLUMNS,
    entry_from_row,
    fetch,
    model_from_row,
    receipt_from_row,
)
from relay.stores.sqlite_sweeps import Surplus, find_trimmed, sweep_entries, sweep_tickets, sweep_tips
from relay.stores.sqlite_writer import Writer
from relay.tips import OPEN, Receipt, Status

READER_THREADS = 2
FILTERED_ROWS = 500  # of a model's tips, read at a time where only some are asked for
T = TypeVar("T")


class SqliteStore:
    def __init__(self, path: str) -> None:
        self._path = str(Path(path).absolute())
        self._follow: Follow = lambda _: None
        self._ledger = Ledger()
        self._surplus = Surplus(self._ledger.entries)
        self._writer = Writer(self._path, self._ledger, self._make_known)
        self._readers = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="store-reader")
        self._local = threading.local()
        self._connections: list[apsw.Connection] = []

    async def open(self) -> None:
        await self._writer.open()

    async def close(self) -> None:
        await self._writer.close()
        await asyncio.to_thread(self._readers.shutdown)
        for connection in self._connections:
            connection.close()
        self._connections.clear()
        self._writer.forget()

    @property
    def healthy(self) -> bool:
        return not self._writer.trouble

    @property
    def trouble(self) -> str:
        return self._writer.trouble

    @property
    def in_use(self) -> bool:
        return self._writer.in_use

    @property
    def epoch(self) -> str:
        if self._writer.epoch is None:
            raise StoreUnavailable(f"the store is out of order ({self.trouble}): try again", retry_after=1)
        return self._writer.epoch

    # -- keeping ----------------------------------------------------------

    def follow(self, follow: Follow) -> None:
        self._follow = follow

    def hand_in(self, change: Change, told: Told) -> None:
        # Somebody waits for a new tip, and a page for one on its way to it. All else may wait for company.
        urgent = change.new is not None or Status.SENT in [one.status for one in change.moved]
        self._writer.submit(partial(self._ledger.apply, change), told, patient=not urgent)

    def keep(self, change: Change) -> asyncio.Future[Kept]:
        return waiting(partial(self.hand_in, change))

    def _make_known(self, results: Iterable[Any]) -> None:
        entries = [entry for result in results if isinstance(result, Kept) for entry in result.entries]
        if entries:
            self._follow(entries)

    async def claim(self, ticket: str, journal: str, until: float) -> str:
        def work(db: apsw.Connection) -> str:
            db.execute("INSERT OR IGNORE INTO tickets VALUES (?, ?, ?)", (ticket, journal, until))
            return str(fetch(db, "SELECT journal FROM tickets WHERE id = ?", (ticket,))[0][0])

        return str(await self._writer.do(work))

    async def sweep(
        self, *, tips_before: float, entries_before: float, entries_max: int | None = None, limit: int = 500
    ) -> int:
        surplus = self._surplus

        def work(db: apsw.Connection) -> int:
            self._ledger.note_last(db)
            sweep_tickets(db, entries_before, limit)
            return (
                sweep_tips(db, tips_before, limit) + sweep_entries(db, entries_before, limit) + surplus.sweep(db, limit)
            )

        try:
            if entries_max is not None and not surplus.cuts:
                keep, grown = entries_max, surplus.candidates(entries_max)
                surplus.cuts = await self._read(lambda db: surplus.find(db, grown, keep)) if grown else []
            return int(await self._writer.do(work, aside=True))
        except BaseException:
            surplus.forget()  # what was not kept has still to go
            raise

    # -- reading ----------------------------------------------------------

    async def _read(self, query: Callable[[apsw.Connection], T]) -> T:
        """Read on a thread of its own: for what may be long."""
        await self._writer.settled()
        with self._reading():
            return await asyncio.get_running_loop().run_in_executor(self._readers, self._at_once, query)

    def _at_once(self, query: Callable[[apsw.Connection], T]) -> T:
        """Several statements look at the same state of the file."""
        db = self._reader()
        db.execute("BEGIN")
        try:
            return query(db)
        finally:
            db.execute("END")

    async def _look_up(self, query: Callable[[apsw.Connection], T]) -> T:
        """Read a few rows by their key, at once: a thread would cost several times what the rows do."""
        await self._writer.settled()
        with self._reading():
            return query(self._reader())

    def _reader(self) -> apsw.Connection:
        """This thread's reading connection. Readers never wait for the writer (WAL)."""
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = apsw.Connection(self._path, flags=apsw.SQLITE_OPEN_READONLY)
            connection.set_busy_timeout(5000)
            self._local.connection = connection
            self._connections.append(connection)
        return connection

    @contextmanager
    def _reading(self) -> Iterator[None]:
        if self._writer.epoch is None or self._writer.closing:
            raise StoreUnavailable(f"the store is out of order ({self.trouble}): try again", retry_after=1)
        try:
            yield
        except apsw.Error as error:
            raise StoreUnavailable(f"the store cannot be read ({error}): try again", retry_after=1) from error

    async def model(self, model: str) -> ModelRecord | None:
        sql = f"SELECT {MODEL_COLUMNS} FROM models WHERE id = ?"
        row = await self._look_up(lambda db: db.execute(sql, (model,)).fetchone())
        return model_from_row(row) if row else None

    async def room(self, model: str) -> tuple[ModelRecord, list[Receipt], list[Receipt]] | None:
        record = f"SELECT {MODEL_COLUMNS} FROM models WHERE id = ?"
        hushed = (
            f"SELECT {TIP_COLUMNS} FROM tips WHERE model = ? AND private AND NOT open"
            f" ORDER BY seq DESC LIMIT {HUSHED_TIPS_MAX}"
        )

        def query(db: apsw.Connection) -> tuple[ModelRecord, list[Receipt], list[Receipt]] | None:
            db.execute("BEGIN")  # one look at the file for all
            try:
                row = db.execute(record, (model,)).fetchone()
                if row is None:
                    return None
                still = find_tips(db, self._ledger.open_tips(model))
                ended = db.execute(hushed, (model,)).fetchall()
            finally:
                db.execute("END")
            return model_from_row(row), [*map(receipt_from_row, still)], [*map(receipt_from_row, ended)]

        return await self._look_up(query)

    async def models(self) -> list[ModelRecord]:
        sql = f"SELECT {MODEL_COLUMNS} FROM models ORDER BY id"
        return [model_from_row(row) for row in await self._read(lambda db: db.execute(sql).fetchall())]

    async def open_models(self) -> list[str]:
        return await self._look_up(lambda _: self._ledger.open_models())

    async def document(self, kind: str, id: str) -> Document | None:
        sql = "SELECT body FROM documents WHERE kind = ? AND id = ?"
        row = await self._look_up(lambda db: db.execute(sql, (kind, id)).fetchone())
        return Document(kind, id, orjson.loads(row[0])) if row else None

    async def documents(self, kind: str) -> list[Document]:
        sql = "SELECT id, body FROM documents WHERE kind = ? ORDER BY id"
        rows = await self._read(lambda db: fetch(db, sql, (kind,)))
        return [Document(kind, id, orjson.loads(body)) for id, body in rows]

    async def receipt(self, tip: str) -> Receipt | None:
        return await self._look_up(lambda db: find_receipt(db, tip))

    async def receipts(
        self, *, model: str | None = None, status: Status | None = None, after: int = 0, limit: int = 100
    ) -> list[Receipt]:
        if model is not None:
            rows = await self._read(lambda db: tips_of(db, self._ledger, model, status, after, limit))
        else:
            sql = f"SELECT {TIP_COLUMNS} FROM tips WHERE seq > :after"
            if status is not None:
                sql += " AND status = :status" + (" AND open" if status in OPEN else "")
            given = {"after": after, "status": status, "limit": limit}
            rows = await self._read(lambda db: db.execute(sql + " ORDER BY seq LIMIT :limit", given).fetchall())
        return [receipt_from_row(row) for row in rows]

    async def entries(self, *, model: str | None = None, after: int = 0, limit: int = 1000) -> list[Entry]:
        if model is not None:
            chains = self._ledger.entries
            rows = await self._read(lambda db: page(db, "entries", ENTRY_COLUMNS, chains.head(model), after, limit))
        else:
            sql = f"SELECT {ENTRY_COLUMNS} FROM entries WHERE n > ? ORDER BY n LIMIT ?"
            rows = await self._read(lambda db: db.execute(sql, (after, limit)).fetchall())
        return [entry_from_row(row) for row in rows]

    async def before_last(self, *, model: str | None = None, count: int) -> int:
        if model is not None:
            chains = self._ledger.entries
            return await self._read(lambda db: before_last(db, chains.head(model), count))
        sql = "SELECT n FROM entries ORDER BY n DESC LIMIT 1 OFFSET ?"
        row = await self._read(lambda db: db.execute(sql, (count,)).fetchone())
        return int(row[0]) if row else 0

    async def trimmed(self, model: str | None = None) -> Trimmed:
        return await self._look_up(lambda db: find_trimmed(db, model))

    async def last(self) -> int:
        await self._writer.settled()
        with self._reading():
            return self._ledger.entries.last


def before_last(db: apsw.Connection, head: Link, count: int) -> int:
    return row_at(db, "entries", head, head.k - count) or 0


def tips_of(
    db: apsw.Connection, ledger: Ledger, model: str, status: Status | None, after: int, limit: int
) -> list[tuple[Any, ...]]:
    """Rows of one model's tips by rising `seq`, of one status or all."""
    head = ledger.tips.head(model)
    found: list[tuple[Any, ...]] = []
    # Retention takes what is closed: an open tip of old may be all that is left of that time, and off the chain.
    still = find_tips(db, [seq for seq in ledger.open_tips(model) if seq > after])
    while len(found) < limit:
        rows = page(db, "tips", TIP_COLUMNS, head, after, limit if status is None else FILTERED_ROWS)
        until = rows[-1][0] if rows else head.row
        both = {row[0]: row for row in (*(one for one in still if after < one[0] <= until), *rows)}
        found += [both[seq] for seq in sorted(both) if status is None or both[seq][1] == status]
        if not rows:
            break
        after = until
    return found[:limit]


def find_tips(db: apsw.Connection, seqs: list[int]) -> list[tuple[Any, ...]]:
    """Those of them that are open."""
    sql = f"SELECT {TIP_COLUMNS} FROM tips WHERE seq IN (SELECT value FROM json_each(?)) AND open ORDER BY seq"
    return db.execute(sql, (orjson.dumps(seqs).decode(),)).fetchall() if seqs else []


_keeps_the_contract: type[Store] = SqliteStore
