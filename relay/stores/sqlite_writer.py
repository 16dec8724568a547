"""The one connection that writes: whatever came in while the disk was busy is committed together.

The statements of a group run on the event loop, a few microseconds each; only what waits for the disk runs on a
thread: the commit, the checkpoint, opening the file, and long work. A thread that ran the statements too would fight
the loop for the interpreter at every one of them.

SQLite before 3.51.3 has a race when two connections write or checkpoint one WAL (sqlite.org/wal.html#walresetbug), so
there is exactly one writing connection per file, and a lock against a second relay.
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
from collections import deque
from collections.abc import Callable, Sequence
from importlib import resources
from queue import SimpleQueue
from typing import Any

from relay.errors import StoreUnavailable

BATCH_JOBS_MAX = 512
REOPEN_SECONDS = 0.05
LOCKED_SECONDS = 0.01  # another relay is about to let go of the file: its pages are at our door
OPENING_SECONDS = 2.0  # for that other relay to let go: whoever comes meanwhile waits, and is not refused
# A checkpoint copies the WAL into the database. It is done between groups, when nobody waits, or when it is overdue.
CHECKPOINT_JOBS = 2_000
CHECKPOINT_JOBS_OVERDUE = 40_000

Work = Callable[[sqlite3.Connection], Any]
Job = tuple[Work, asyncio.Future[Any]]
Done = list[tuple[asyncio.Future[Any], Any]]  # a result, or the error instead
Known = Callable[[Any], None]


class Writer:
    """Runs work in commit groups and resolves its futures on the event loop, in order."""

    def __init__(self, path: str, known: Known) -> None:
        self.path = path
        self.trouble = "not opened yet"
        self.epoch: str | None = None
        self.closing = False
        self.in_use = False  # by another relay
        self._known = known  # told every result, before its future
        self._jobs: deque[Job] = deque()
        self._asides: deque[Job] = deque()
        self._busy = True  # the thread has the connection
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tried: asyncio.Future[None] | None = None  # once the file was opened, or could not be
        self._settled: asyncio.Future[None] | None = None  # once it was opened, or could not be for OPENING_SECONDS
        self._patience = 0.0
        self._closed: asyncio.Future[None] | None = None
        self._tasks: SimpleQueue[Callable[[], Done] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._db: sqlite3.Connection | None = None
        self._lock: int | None = None
        self._unchecked = 0  # jobs committed since the last checkpoint

    # -- on the event loop ----------------------------------------------------------

    async def open(self) -> None:
        """Start, and wait for the first try to open the file; a failed one is repeated in the background."""
        self._loop = asyncio.get_running_loop()
        self._tried, self._settled = self._loop.create_future(), self._loop.create_future()
        self._patience = self._loop.time() + OPENING_SECONDS
        self._thread.start()
        self._tasks.put(self._reopen)
        await self._tried

    async def settled(self) -> None:
        """Once the file is open, or has had its time."""
        if self._settled is not None and not self._settled.done():
            await asyncio.shield(self._settled)

    def submit(self, work: Work, *, aside: bool = False) -> asyncio.Future[Any]:
        """Do this in the next group; `aside`: between two groups, because it takes long."""
        assert self._loop is not None, "the store is not open"
        future: asyncio.Future[Any] = self._loop.create_future()
        if self.closing:
            future.set_exception(StoreUnavailable("the relay is closing its store: try again", retry_after=1))
            return future
        if not self._busy and not self._jobs:
            self._loop.call_soon(self._begin)  # with whatever else this turn of the loop brings
        (self._asides if aside else self._jobs).append((work, future))
        return future

    async def close(self) -> None:
        if self._loop is None:
            return
        if not self.closing:
            self.closing = True
            self._closed = self._loop.create_future()
            self._begin()
        assert self._closed is not None
        await asyncio.shield(self._closed)
        await asyncio.to_thread(self._thread.join)

    def _begin(self) -> None:
        """The next group: its statements now, its commit on the thread."""
        if self._busy:
            return
        self._busy = True
        if self._asides:
            job = self._asides.popleft()
            self._tasks.put(lambda: self._alone(job))
        elif self._jobs:
            group = [self._jobs.popleft() for _ in range(min(len(self._jobs), BATCH_JOBS_MAX))]
            self._tasks.put(self._execute(group))
        elif self._unchecked >= CHECKPOINT_JOBS:
            self._tasks.put(self._checkpoint)
        elif self.closing:
            self._tasks.put(self._let_go)
        else:
            self._busy = False

    def _execute(self, group: list[Job]) -> Callable[[], Done]:
        """Run a group's statements; what is left to do on the thread."""
        try:
            done = self._run_all(group)
        except Exception as error:
            failure = error  # the name would go with this block
            return lambda: self._retreat(group, failure)
        return lambda: self._commit(group, done)

    def _back(self, done: Done) -> None:
        """The thread is done with the connection."""
        assert self._loop is not None
        assert self._tried is not None
        assert self._settled is not None
        self._resolve(done)
        if not self._tried.done():
            self._tried.set_result(None)
        if self._db is None and not self.closing and self._loop.time() < self._patience:
            self._tasks.put(self._reopen)
            return
        if not self._settled.done():
            self._patience = 0.0
            self._settled.set_result(None)
        if self._db is not None:
            self._busy = False
            if self._unchecked >= CHECKPOINT_JOBS_OVERDUE:
                self._busy = True
                self._tasks.put(self._checkpoint)
            self._begin()
            return
        refused = [*self._jobs, *self._asides]  # there is no file to write to, and nobody waits for one
        self._jobs.clear()
        self._asides.clear()
        self._resolve([(future, self._unavailable()) for _, future in refused])
        if self._thread_is_to_end():
            self._tasks.put(None)
        else:
            self._tasks.put(self._let_go if self.closing else self._reopen)

    def _thread_is_to_end(self) -> bool:
        if not self.closing or self._lock is not None:
            return False
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)
        return True

    def _resolve(self, done: Done) -> None:
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
        while (task := self._tasks.get()) is not None:
            done = task()
            assert self._loop is not None
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
                self._loop.call_soon_threadsafe(self._back, done)

    def _run_all(self, group: Sequence[Job]) -> Done:
        assert self._db is not None
        self._db.execute("BEGIN IMMEDIATE")
        return [(future, work(self._db)) for work, future in group]

    def _commit(self, group: Sequence[Job], done: Done) -> Done:
        assert self._db is not None
        try:
            self._db.execute("COMMIT")
        except Exception as error:
            return self._retreat(group, error)
        self._unchecked += len(group)
        return done

    def _retreat(self, group: Sequence[Job], error: Exception) -> Done:
        """A group could not be kept."""
        if self._db is None or is_the_disks_fault(error):
            self._give_up(str(error))  # nobody's change was kept
            return [(future, self._unavailable()) for _, future in group]
        self._db.execute("ROLLBACK")
        if len(group) == 1:
            return [(group[0][1], error)]
        return [pair for job in group for pair in self._alone(job)]  # one bad change harms no other

    def _alone(self, job: Job) -> Done:
        if self._db is None:
            return [(job[1], self._unavailable())]
        try:
            done = self._run_all([job])
        except Exception as error:
            return self._retreat([job], error)
        return self._commit([job], done)

    def _checkpoint(self) -> Done:
        assert self._db is not None
        with contextlib.suppress(sqlite3.OperationalError):
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)")
        self._unchecked = 0
        return []

    def _unavailable(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"nothing was kept, the store is out of order ({self.trouble}): try again", retry_after=1
        )

    # -- the file ----------------------------------------------------------

    def _reopen(self) -> Done:
        if self._tried is not None and self._tried.done():
            time.sleep(REOPEN_SECONDS if self._lock else LOCKED_SECONDS)
        db: sqlite3.Connection | None = None
        try:
            self._take_lock()
            db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=1)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA wal_autocheckpoint=0")
            db.executescript(resources.files("relay.stores").joinpath("schema.sql").read_text())
            if "words" not in {column[1] for column in db.execute("PRAGMA table_info(models)")}:
                db.execute("ALTER TABLE models ADD COLUMN words TEXT")  # a file from before there was one
            db.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (secrets.token_hex(4),))
            # A write that changes something, so that a full or read-only disk shows here and not in a tip.
            db.execute("INSERT OR REPLACE INTO meta VALUES ('opened', ?)", (secrets.token_hex(16),))
            epoch = db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0]
        except (sqlite3.Error, OSError) as error:
            if db is not None:
                db.close()
            self.trouble = str(error)
            return []
        self._db, self.epoch, self.trouble, self._unchecked = db, epoch, "", 0
        return []

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        lock = os.open(self.path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            self.in_use = True
            raise OSError(f"{self.path} belongs to another relay that is still running") from None
        self._lock, self.in_use = lock, False

    def _give_up(self, trouble: str) -> None:
        self.trouble = trouble
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()  # rolls back
            self._db = None

    def _let_go(self) -> Done:
        self._give_up("closed")
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        return []


def is_the_disks_fault(error: Exception) -> bool:
    return isinstance(error, sqlite3.OperationalError | OSError) or type(error) is sqlite3.DatabaseError
