"""The embedded store: one SQLite file, one writer thread with group commit, readers beside it.

`synchronous=FULL` with a write-ahead log: once `keep` resolves, the change survives a power cut.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import orjson

from relay.errors import StoreUnavailable
from relay.feeds import Entry
from relay.settings import HUSHED_TIPS_MAX
from relay.stores import Change, Document, Follow, Kept, ModelRecord, Store, Trimmed
from relay.stores.sqlite_changes import apply, find_receipt
from relay.stores.sqlite_rows import (
    MODEL_COLUMNS,
    TIP_COLUMNS,
    entry_from_row,
    model_from_row,
    receipt_from_row,
)
from relay.stores.sqlite_sweeps import find_surplus, find_trimmed, sweep_entries, sweep_surplus, sweep_tips
from relay.stores.sqlite_writer import Writer
from relay.tips import Receipt, Status

READER_THREADS = 2
T = TypeVar("T")


class SqliteStore:
    def __init__(self, path: str) -> None:
        self._path = str(Path(path).absolute())
        self._follow: Follow = lambda _: None
        self._writer = Writer(self._path, self._make_known)
        self._readers = ThreadPoolExecutor(READER_THREADS, thread_name_prefix="store-reader")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []

    async def open(self) -> None:
        await self._writer.open()

    async def close(self) -> None:
        await self._writer.close()
        await asyncio.to_thread(self._readers.shutdown)
        for connection in self._connections:
            connection.close()
        self._connections.clear()

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

    def keep(self, change: Change) -> asyncio.Future[Kept]:
        return self._writer.submit(lambda db: apply(db, change))

    def _make_known(self, result: Any) -> None:
        if isinstance(result, Kept) and result.entries:
            self._follow(result.entries)

    async def claim(self, ticket: str, journal: str, until: float) -> str:
        def work(db: sqlite3.Connection) -> str:
            db.execute("INSERT OR IGNORE INTO tickets VALUES (?, ?, ?)", (ticket, journal, until))
            row = db.execute("SELECT journal FROM tickets WHERE id = ?", (ticket,)).fetchone()
            return str(row[0])

        return str(await self._writer.submit(work))

    async def sweep(
        self, *, tips_before: float, entries_before: float, entries_max: int | None = None, limit: int = 500
    ) -> int:
        surplus: list[tuple[str, int]] = []
        if entries_max is not None:  # counted by a reader: the writer has no time for it
            surplus = await self._read(lambda db: find_surplus(db, entries_max))
        return int(
            await self._writer.submit(
                lambda db: (
                    sweep_tips(db, tips_before, limit)
                    + sweep_entries(db, entries_before, limit)
                    + sweep_surplus(db, surplus, limit)
                ),
                aside=True,
            )
        )

    # -- reading ----------------------------------------------------------

    async def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Read on a thread of its own: for what may be long."""
        await self._writer.settled()
        with self._reading():
            return await asyncio.get_running_loop().run_in_executor(self._readers, lambda: query(self._reader()))

    async def _look_up(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Read a few rows by their key, at once: a thread would cost several times what the rows do."""
        await self._writer.settled()
        with self._reading():
            return query(self._reader())

    def _reader(self) -> sqlite3.Connection:
        """This thread's reading connection. Readers never wait for the writer (WAL)."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(
                f"file:{self._path}?mode=ro", uri=True, check_same_thread=False, timeout=5, isolation_level=None
            )
            self._local.connection = connection
            self._connections.append(connection)
        return connection

    @contextmanager
    def _reading(self) -> Iterator[None]:
        if self._writer.epoch is None or self._writer.closing:
            raise StoreUnavailable(f"the store is out of order ({self.trouble}): try again", retry_after=1)
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(f"the store cannot be read ({error}): try again", retry_after=1) from error

    async def model(self, model: str) -> ModelRecord | None:
        sql = f"SELECT {MODEL_COLUMNS} FROM models WHERE id = ?"
        row = await self._look_up(lambda db: db.execute(sql, (model,)).fetchone())
        return model_from_row(row) if row else None

    async def room(self, model: str) -> tuple[ModelRecord, list[Receipt], list[Receipt]] | None:
        record = f"SELECT {MODEL_COLUMNS} FROM models WHERE id = ?"
        tips = f"SELECT {TIP_COLUMNS} FROM tips WHERE model = ? AND open ORDER BY seq"

        hushed = (
            f"SELECT {TIP_COLUMNS} FROM tips WHERE model = ? AND json_extract(tip, '$.private') AND NOT open"
            f" ORDER BY seq DESC LIMIT {HUSHED_TIPS_MAX}"
        )

        def query(db: sqlite3.Connection) -> tuple[ModelRecord, list[Receipt], list[Receipt]] | None:
            db.execute("BEGIN")  # one look at the file for all
            try:
                row = db.execute(record, (model,)).fetchone()
                rows = [db.execute(sql, (model,)).fetchall() if row else [] for sql in (tips, hushed)]
            finally:
                db.execute("END")
            if row is None:
                return None
            still, ended = ([receipt_from_row(one) for one in found] for found in rows)
            return model_from_row(row), still, ended

        return await self._look_up(query)

    async def models(self) -> list[ModelRecord]:
        sql = f"SELECT {MODEL_COLUMNS} FROM models ORDER BY id"
        return [model_from_row(row) for row in await self._read(lambda db: db.execute(sql).fetchall())]

    async def document(self, kind: str, id: str) -> Document | None:
        sql = "SELECT body FROM documents WHERE kind = ? AND id = ?"
        row = await self._look_up(lambda db: db.execute(sql, (kind, id)).fetchone())
        return Document(kind, id, orjson.loads(row[0])) if row else None

    async def documents(self, kind: str) -> list[Document]:
        sql = "SELECT id, body FROM documents WHERE kind = ? ORDER BY id"
        rows = await self._read(lambda db: db.execute(sql, (kind,)).fetchall())
        return [Document(kind, id, orjson.loads(body)) for id, body in rows]

    async def receipt(self, tip: str) -> Receipt | None:
        return await self._look_up(lambda db: find_receipt(db, tip))

    async def receipts(
        self, *, model: str | None = None, status: Status | None = None, after: int = 0, limit: int = 100
    ) -> list[Receipt]:
        sql = f"SELECT {TIP_COLUMNS} FROM tips WHERE seq > :after"
        if model is not None:
            sql += " AND model = :model"
        if status is not None:
            sql += " AND status = :status"
        given = {"after": after, "model": model, "status": status, "limit": limit}
        rows = await self._read(lambda db: db.execute(sql + " ORDER BY seq LIMIT :limit", given).fetchall())
        return [receipt_from_row(row) for row in rows]

    async def counts(self, model: str | None = None) -> dict[Status, int]:
        where = "" if model is None else " WHERE model = :model"
        sql = f"SELECT status, count(*) FROM tips{where} GROUP BY status"
        rows = await self._read(lambda db: db.execute(sql, {"model": model}).fetchall())
        return {Status(status): count for status, count in rows}

    async def entries(self, *, model: str | None = None, after: int = 0, limit: int = 1000) -> list[Entry]:
        where = "" if model is None else " AND model = :model"
        sql = f"SELECT n, model, type, at, body FROM entries WHERE n > :after{where} ORDER BY n LIMIT :limit"
        given = {"after": after, "model": model, "limit": limit}
        return [entry_from_row(row) for row in await self._read(lambda db: db.execute(sql, given).fetchall())]

    async def before_last(self, *, model: str | None = None, count: int) -> int:
        where = "" if model is None else " WHERE model = :model"
        sql = f"SELECT n FROM entries{where} ORDER BY n DESC LIMIT 1 OFFSET :count"
        row = await self._read(lambda db: db.execute(sql, {"model": model, "count": count}).fetchone())
        return int(row[0]) if row else 0

    async def trimmed(self, model: str | None = None) -> Trimmed:
        return await self._look_up(lambda db: find_trimmed(db, model))

    async def last(self) -> int:
        sql = "SELECT seq FROM sqlite_sequence WHERE name = 'entries'"
        row = await self._look_up(lambda db: db.execute(sql).fetchone())
        return int(row[0]) if row else 0


_keeps_the_contract: type[Store] = SqliteStore
