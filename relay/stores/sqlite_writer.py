"""The one thread that writes: whatever came in while the disk was busy is committed together.

SQLite before 3.51.3 has a race when two connections write or checkpoint one WAL (sqlite.org/wal.html#walresetbug), so
there is exactly one writing connection per file, held by this thread, and a lock against a second relay.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from importlib import resources
from queue import Empty, SimpleQueue
from typing import Any

from relay.errors import StoreUnavailable

BATCH_JOBS_MAX = 512
REOPEN_SECONDS = 0.05
# A checkpoint copies the WAL into the database. It is done between batches, when nobody waits, or when it is overdue.
CHECKPOINT_JOBS = 2_000
CHECKPOINT_JOBS_OVERDUE = 40_000

Work = Callable[[sqlite3.Connection], Any]
Job = tuple[Work, asyncio.Future[Any]]
Known = Callable[[Any], None]


class Writer:
    """Runs work in commit groups and resolves its futures on the event loop, in order."""

    def __init__(self, path: str, known: Known) -> None:
        self.path = path
        self.trouble = "not opened yet"
        self.epoch: str | None = None
        self._known = known  # told every result, before its future
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._first_try = threading.Event()
        self.closing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._db: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._unchecked = 0  # jobs committed since the last checkpoint

    # -- on the event loop ----------------------------------------------------------

    async def open(self) -> None:
        """Start, and wait for the first try to open the file; a failed one is repeated in the background."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        await asyncio.to_thread(self._first_try.wait)

    def submit(self, work: Work) -> asyncio.Future[Any]:
        assert self._loop is not None, "the store is not open"
        future: asyncio.Future[Any] = self._loop.create_future()
        if self.closing:
            future.set_exception(StoreUnavailable("the relay is closing its store: try again", retry_after=1))
        else:
            self._jobs.put((work, future))
        return future

    async def close(self) -> None:
        if not self.closing:
            self.closing = True
            self._jobs.put(None)
            if self._thread.is_alive():
                await asyncio.to_thread(self._thread.join)

    def _resolve(self, done: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
        for future, result in done:
            if isinstance(result, BaseException):
                if not future.cancelled():
                    future.set_exception(result)
                continue
            self._known(result)
            if not future.cancelled():
                future.set_result(result)

    # -- on the thread ----------------------------------------------------------

    def _run(self) -> None:
        while True:
            if self._db is None and not self._reopen():
                self._first_try.set()
                if self._refuse_for(REOPEN_SECONDS):
                    break
                continue
            self._first_try.set()
            batch, last = self._next_batch()
            if batch:
                self._report(self._commit(batch))
            if last:
                break
        self._let_go()

    def _next_batch(self) -> tuple[list[Job], bool]:
        job = self._jobs.get()
        batch: list[Job] = []
        while job is not None:
            batch.append(job)
            if len(batch) >= BATCH_JOBS_MAX:
                return batch, False
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return batch, False
        return batch, True

    def _commit(self, batch: Sequence[Job]) -> list[tuple[asyncio.Future[Any], Any]]:
        assert self._db is not None
        try:
            self._db.execute("BEGIN IMMEDIATE")
            done = [(future, work(self._db)) for work, future in batch]
            self._db.execute("COMMIT")
        except Exception as error:
            if isinstance(error, sqlite3.OperationalError | OSError) or type(error) is sqlite3.DatabaseError:
                self._give_up(str(error))  # the disk's fault: nobody's change was kept
                return [(future, self._unavailable()) for _, future in batch]
            self._db.execute("ROLLBACK")
            if len(batch) == 1:
                return [(batch[0][1], error)]
            return [pair for job in batch for pair in self._commit_alone(job)]  # one bad change harms no other
        self._checkpoint_when_due(len(batch))
        return done

    def _commit_alone(self, job: Job) -> list[tuple[asyncio.Future[Any], Any]]:
        return [(job[1], self._unavailable())] if self._db is None else self._commit([job])

    def _checkpoint_when_due(self, jobs: int) -> None:
        assert self._db is not None
        self._unchecked += jobs
        idle = self._jobs.empty() and self._unchecked >= CHECKPOINT_JOBS
        if idle or self._unchecked >= CHECKPOINT_JOBS_OVERDUE:
            with contextlib.suppress(sqlite3.OperationalError):
                self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
            self._unchecked = 0

    def _report(self, done: list[tuple[asyncio.Future[Any], Any]]) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
            self._loop.call_soon_threadsafe(self._resolve, done)

    def _refuse_for(self, seconds: float) -> bool:
        """Answer what comes in while there is no file to write to. True when it is time to end."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                job = self._jobs.get(timeout=left)
            except Empty:
                return False
            if job is None:
                return True
            self._report([(job[1], self._unavailable())])
        return False

    def _unavailable(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"nothing was kept, the store is out of order ({self.trouble}): try again", retry_after=1
        )

    # -- the file ----------------------------------------------------------

    def _reopen(self) -> bool:
        db: sqlite3.Connection | None = None
        try:
            self._take_lock()
            db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=1)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA wal_autocheckpoint=0")
            db.executescript(resources.files("relay.stores").joinpath("schema.sql").read_text())
            db.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (secrets.token_hex(4),))
            # A write that changes something, so that a full or read-only disk shows here and not in a tip.
            db.execute("INSERT OR REPLACE INTO meta VALUES ('opened', ?)", (secrets.token_hex(16),))
            epoch = db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0]
        except (sqlite3.Error, OSError) as error:
            if db is not None:
                db.close()
            self.trouble = str(error)
            return False
        self._db, self.epoch, self.trouble, self._unchecked = db, epoch, "", 0
        return True

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        lock = os.open(self.path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            raise OSError(f"{self.path} belongs to another relay that is still running") from None
        self._lock = lock

    def _give_up(self, trouble: str) -> None:
        self.trouble = trouble
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()  # rolls back
            self._db = None

    def _let_go(self) -> None:
        self._give_up("closed")
        while True:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
            if job is not None:
                self._report([(job[1], self._unavailable())])
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
