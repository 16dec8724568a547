"""The one connection that writes: whatever came in while the disk was busy is committed together.

The statements of a group run on the event loop, a few microseconds each; only what waits for the disk runs on a
thread: the commit, the checkpoint, opening the file, and long work. A thread that ran the statements too would fight
the loop for the interpreter at every one of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Any

import apsw

from relay.errors import StoreUnavailable
from relay.stores import settle, waiting
from relay.stores.sqlite_changes import Ledger
from relay.stores.sqlite_file import StoreFile, is_the_disks_fault

BATCH_JOBS_MAX = 512
PATIENCE_SECONDS = 0.002  # for company: what nobody waits for saves a commit of its own
TURNS_MAX = 8  # of the loop, in which a group grows before it begins
REOPEN_SECONDS = 0.05
LOCKED_SECONDS = 0.01  # another relay is about to let go of the file: its pages are at our door
OPENING_SECONDS = 2.0  # for that other relay to let go: whoever comes meanwhile waits, and is not refused

Work = Callable[[apsw.Connection], Any]
Told = Callable[[Any], None]  # the result, or the error instead
Job = tuple[Work, Told]
Done = list[tuple[Told, Any]]
Known = Callable[[list[Any]], None]


class Writer(StoreFile):
    """Runs work in commit groups and tells what became of it on the event loop, in order."""

    def __init__(self, path: str, ledger: Ledger, known: Known) -> None:
        super().__init__(path, ledger)
        self.closing = False
        self._known = known  # told the results of a group, before those who handed it in
        self._jobs: deque[Job] = deque()
        self._asides: deque[Job] = deque()
        self._beginning: asyncio.Handle | None = None  # of the next group, once it is under way to begin
        self._urgent = False  # one of the jobs is
        self._turns = self._company = 0
        self._busy = True  # the thread has the connection
        self._under_way: list[Job] = []  # on the thread: whatever happens there, each of them is told
        self._opened = False  # from then on there are:
        self._loop: asyncio.AbstractEventLoop
        self._tried: asyncio.Future[None]  # once the file was opened, or could not be
        self._settled: asyncio.Future[None]  # once it was opened, or could not be for OPENING_SECONDS
        self._patience = 0.0
        self._closed: asyncio.Future[None] | None = None
        self._tasks: SimpleQueue[Callable[[], Done] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._rest_is_due = False  # of the log, to be copied while nobody writes

    # -- on the event loop ----------------------------------------------------------

    async def open(self) -> None:
        """Start, and wait for the first try to open the file; a failed one is repeated in the background."""
        self._loop, self._opened = asyncio.get_running_loop(), True
        self._tried, self._settled = self._loop.create_future(), self._loop.create_future()
        self._patience = self._loop.time() + OPENING_SECONDS
        self._thread.start()
        self._tasks.put(self._reopen)
        await self._tried

    async def settled(self) -> None:
        """Once the file is open, or has had its time."""
        if self._opened and not self._settled.done():
            await asyncio.shield(self._settled)

    def submit(self, work: Work, told: Told, *, patient: bool = False) -> None:
        """Do this in the next group; `told` hears what came of it. `patient`: nobody waits for it this very moment."""
        assert self._opened, "the store is not open"
        if self.closing:
            self._loop.call_soon(told, StoreUnavailable("the relay is closing its store: try again", retry_after=1))
            return
        self._jobs.append((work, told))
        if self._beginning is None or not (patient or self._urgent):
            self._urgent = self._urgent or not patient
            self._begin_soon()

    async def do(self, work: Work, *, aside: bool = False) -> Any:
        """Do this and wait for it; `aside`: between two groups, because it takes long."""
        if not aside or self.closing:
            return await waiting(partial(self.submit, work))
        assert self._opened, "the store is not open"
        future: asyncio.Future[Any] = self._loop.create_future()
        self._asides.append((work, partial(settle, future)))
        if not self._busy:
            self._begin()
        return await future

    def _begin_soon(self) -> None:
        """With whatever else this turn of the loop brings; what can wait waits a little longer."""
        if self._busy:
            return
        if self._beginning is not None:
            self._beginning.cancel()
        if self._urgent:
            self._turns, self._company = 0, len(self._jobs)
            self._beginning = self._loop.call_soon(self._look)
        else:
            self._beginning = self._loop.call_later(PATIENCE_SECONDS, self._begin)

    def _look(self) -> None:
        """Begin once a turn of the loop has brought nobody more: who is answered together comes back together."""
        if len(self._jobs) > self._company and self._turns < TURNS_MAX:
            self._turns, self._company = self._turns + 1, len(self._jobs)
            self._beginning = self._loop.call_soon(self._look)
        else:
            self._begin()

    async def close(self) -> None:
        if not self._opened:
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
        if self._beginning is not None:
            self._beginning.cancel()
            self._beginning = None
        self._busy, self._urgent, self._under_way = True, False, []
        if self._rest_is_due:
            self._tasks.put(self._copy_rest)
        elif self._asides:
            job = self._asides.popleft()
            self._under_way = [job]
            self._tasks.put(lambda: self._alone(job))
        elif self._jobs:
            self._under_way = group = [self._jobs.popleft() for _ in range(min(len(self._jobs), BATCH_JOBS_MAX))]
            self._tasks.put(self._execute(group))
        elif self.closing:
            self._tasks.put(self._let_go)
        else:
            self._busy = False

    def _execute(self, group: list[Job]) -> Callable[[], Done]:
        """Run a group's statements; what is left to do on the thread."""
        try:
            done = self._run_all(group)
        except Exception as error:
            return partial(self._retreat, group, error)
        return lambda: self._commit(group, done)

    def _back(self, done: Done) -> None:
        """The thread is done with the connection."""
        self._under_way = []  # told now, and not once more by whatever goes wrong next
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
            self._copier.look(lambda: self._pages, self._now_the_rest)
            if self.closing or self._asides or self._rest_is_due:
                self._begin()
            elif self._jobs:
                # Those who are answered now will be back in a moment.
                self._loop.call_soon(self._begin_soon) if len(done) > 1 else self._begin_soon()
            else:
                self._begin()
            return
        refused = [*self._jobs, *self._asides]  # there is no file to write to, and nobody waits for one
        self._jobs.clear()
        self._asides.clear()
        self._resolve([(told, self._unavailable()) for _, told in refused])
        if self._thread_is_to_end():
            self._tasks.put(None)
        else:
            self._tasks.put(self._let_go if self.closing else self._reopen)

    def _now_the_rest(self) -> None:
        self._rest_is_due = True
        self._begin()

    def _thread_is_to_end(self) -> bool:
        if not self.closing or self._lock is not None:
            return False
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)
        return True

    def _resolve(self, done: Done) -> None:
        """One listener's fault is not the others'."""
        for told, result in ((self._known, [result for _, result in done]), *done):
            try:
                told(result)
            except Exception as error:
                self._loop.call_exception_handler({"message": "a change's listener failed", "exception": error})

    # -- on the thread ----------------------------------------------------------

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                done = task()
            except Exception as error:  # a fault of ours: the file is opened anew
                self._give_up(f"{type(error).__name__}: {error}")
                done = [(told, self._unavailable()) for _, told in self._under_way]
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
                self._loop.call_soon_threadsafe(self._back, done)

    def _run_all(self, group: Sequence[Job]) -> Done:
        assert self._db is not None
        self._db.execute("BEGIN IMMEDIATE")
        done = [(told, work(self._db)) for work, told in group]
        self._ledger.write(self._db)
        return done

    def _commit(self, group: Sequence[Job], done: Done) -> Done:
        assert self._db is not None
        try:
            self._db.execute("COMMIT")
        except Exception as error:
            return self._retreat(group, error)
        self._ledger.committed()
        self._count_pages()
        return done

    def _retreat(self, group: Sequence[Job], error: Exception) -> Done:
        """A group could not be kept."""
        self._ledger.forget()
        if self._db is None or is_the_disks_fault(error):
            self._give_up(str(error))  # nobody's change was kept
            return [(told, self._unavailable()) for _, told in group]
        if self._db.in_transaction:  # SQLite may have ended it itself
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

    def _copy_rest(self) -> Done:
        """While nobody writes, so that the log begins anew."""
        self._rest_is_due, self._pages = False, 0
        assert self._db is not None
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._ledger.save(self._db)
            self._db.execute("COMMIT")
        except apsw.Error as error:
            return self._retreat([], error)
        finally:
            self._copier.rested()
        with contextlib.suppress(apsw.Error):
            self._copier.begin_anew(self._db)
        return []

    def _unavailable(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"nothing was kept, the store is out of order ({self.trouble}): try again", retry_after=1
        )

    def _reopen(self) -> Done:
        if self._tried.done():
            time.sleep(REOPEN_SECONDS if self._lock else LOCKED_SECONDS)
        self._open_file()
        return []

    def _let_go(self) -> Done:
        if self._db is not None:
            with contextlib.suppress(apsw.Error):
                self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)  # a copy of the file is whole then
        self._release()
        return []
