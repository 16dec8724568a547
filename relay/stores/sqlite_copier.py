"""Checkpoints of the SQLite store, beside its writer.

What is committed stands in the write-ahead log, and is copied into the database now and then. A long copy is made by a
connection of its own, while groups go on; only what came in meanwhile is copied while the writer waits, so that the log
can begin anew. SQLite before 3.51.3 could lose data there (sqlite.org/wal.html#walresetbug); apsw brings a newer one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import apsw

COPY_PAGES = 2000  # in the log, before it is copied
REST_PAGES = 100  # that may be left to copy while the writer waits
ROUNDS_MAX = 5  # until they are so few
NICE = 10
BUSY_MS, READERS_MS = 1000, 20  # for others to let go of the file; for readers to end what they read


class Copier:
    def __init__(self) -> None:
        self._db: apsw.Connection | None = None
        # The file itself. Closing it would drop every lock that SQLite holds on it in this process, its readers' too
        # (fcntl(2)), and whoever closes the file next elsewhere would take the log away: it stays open to the end.
        self._disk: int | None = None
        self._copying = threading.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._round = 0  # of the copy under way

    def open(self, path: str) -> None:
        self._db = connect(path)
        if self._disk is not None and not os.path.samestat(os.fstat(self._disk), os.stat(path)):
            self.forget()  # another file is there now
        if self._disk is None:
            self._disk = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self._thread = ThreadPoolExecutor(1, "store-copier", initializer=give_way)

    def close(self) -> None:
        """Copy no more, until it is opened again."""
        with self._copying:
            if self._db is not None:
                with contextlib.suppress(apsw.Error):
                    self._db.close()
            if self._thread is not None:
                self._thread.shutdown(wait=False)
            self._db = self._thread = None

    def forget(self) -> None:
        """Nobody in this process has the file open any more."""
        if self._disk is not None:
            os.close(self._disk)
            self._disk = None

    def look(self, pages: Callable[[], int], rest: Callable[[], None]) -> None:
        """On the event loop. Where the log has grown long, copy it, and call `rest` once little is left of it, which is
        to be copied while nobody writes; then say `rested`."""
        if not self._round and pages() >= COPY_PAGES and self._thread is not None:
            self._begin(self._thread, pages, rest)

    def begin_anew(self, writer: apsw.Connection) -> None:
        """Copy the rest, and have the log begin at its beginning. Readers in the middle of it are waited for, not for
        long."""
        writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        writer.set_busy_timeout(READERS_MS)
        try:
            writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
        finally:
            writer.set_busy_timeout(BUSY_MS)

    def rested(self) -> None:
        self._round = 0

    def _begin(self, thread: ThreadPoolExecutor, pages: Callable[[], int], rest: Callable[[], None]) -> None:
        def copied(copying: asyncio.Future[int]) -> None:
            failed = copying.cancelled() or copying.exception() is not None
            if not failed and copying.result() > REST_PAGES and self._round < ROUNDS_MAX and thread is self._thread:
                self._begin(thread, pages, rest)
            else:
                rest()

        self._round += 1
        try:
            asyncio.get_running_loop().run_in_executor(thread, self._copy, pages).add_done_callback(copied)
        except RuntimeError:  # closed in this very moment
            rest()

    def _copy(self, pages: Callable[[], int]) -> int:
        """On its thread: how many pages are left, or have come since."""
        with self._copying:
            if self._db is None or self._disk is None:
                return 0
            before = pages()
            there, copied = self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            os.fdatasync(self._disk)  # SQLite leaves that to whoever copies the rest, while the writer waits
            return there - copied + pages() - before


def connect(path: str) -> apsw.Connection:
    db = apsw.Connection(path)
    db.set_busy_timeout(BUSY_MS)
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=0"):
        db.execute(f"PRAGMA {pragma}").fetchall()
    return db


def give_way() -> None:
    """On Linux a thread has a priority of its own: nobody waits for this one."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
