"""The file of the SQLite store: one relay's, with one connection that writes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from importlib import resources

import apsw
import structlog

from relay.stores.sqlite_changes import Ledger
from relay.stores.sqlite_copier import Copier, connect
from relay.stores.sqlite_migrations import migrate

log = structlog.get_logger()

CLOSED = "closed"


class StoreFile:
    def __init__(self, path: str, ledger: Ledger) -> None:
        self.path = path
        self.trouble = "not opened yet"
        self.epoch: str | None = None
        self.in_use = False  # by another relay
        self._ledger = ledger
        self._db: apsw.Connection | None = None
        self._pages = 0  # in the log
        self._copier = Copier()
        self._lock: int | None = None

    def _open_file(self) -> None:
        """Take the file, where it can be had; `trouble` says why not."""
        db: apsw.Connection | None = None
        try:
            self._take_lock()
            db = connect(self.path)
            migrate(db)
            db.execute(resources.files("relay.stores").joinpath("schema.sql").read_text()).fetchall()
            db.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (secrets.token_hex(4),))
            # A write that changes something, so that a full or read-only disk shows here and not in a tip.
            db.execute("INSERT OR REPLACE INTO meta VALUES ('opened', ?)", (secrets.token_hex(16),))
            (epoch,) = db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchall()[0]
            self._ledger.load(db)
            self._copier.open(self.path)
        except (apsw.Error, OSError) as error:
            if db is not None:
                db.close()
            if self.trouble != str(error):
                log.error("store out of order", path=self.path, why=str(error))
            self.trouble = str(error)
        else:
            if self.trouble and self.epoch is not None:
                log.info("store in order again", path=self.path)
            self._pages = 0
            self._db, self.epoch, self.trouble = db, str(epoch), ""

    def _count_pages(self) -> None:
        """What the last commit added to the log. A hook would have it wait for the interpreter."""
        assert self._db is not None
        self._pages += self._db.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE, True)[0]

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
        if trouble != CLOSED:
            log.error("store out of order", path=self.path, why=trouble)
        self.trouble = trouble
        if self._db is not None:
            with contextlib.suppress(apsw.Error):
                self._db.close()  # rolls back
            self._db = None
        self._copier.close()

    def forget(self) -> None:
        """Nobody in this process has the file open any more."""
        self._copier.forget()

    def _release(self) -> None:
        """Close it, and let another relay have it."""
        self._give_up(CLOSED)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def is_the_disks_fault(error: Exception) -> bool:
    changes_fault = (apsw.ConstraintError, apsw.MismatchError, apsw.TooBigError, apsw.RangeError)
    return isinstance(error, apsw.Error | OSError) and not isinstance(error, changes_fault)
