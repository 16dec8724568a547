"""Couriers: each carries the feed to one sink, in order, entry by entry, and keeps how far it came."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import httpx2
import orjson
import structlog
from msgspec.structs import replace

from relay import __version__, metrics
from relay.clock import Clock
from relay.errors import BadSettings, StoreUnavailable
from relay.feeds import Entry
from relay.receivers import Receiver, Unreachable, reason
from relay.signatures import Signer, signature_headers
from relay.sinks import (
    Answer,
    Message,
    Sink,
    entry_message,
    failed,
    gap_message,
    retry_after,
    sink_to_body,
    took,
    wants,
)
from relay.stores import Change, Document, Store
from relay.vault import Vault

log = structlog.get_logger()

KIND = "sink"
REQUESTS_MAX = 8  # under way at the same time, for all sinks
RETRIES_MAX = 4  # of them to receivers that failed the last time: who hangs delays only those
PAGE_ENTRIES = 200  # read from the store at a time
LOOK_SECONDS = 30.0  # between two looks at what is due
KEEP_AGAIN_SECONDS = 0.5  # while the store does not keep
SENDER = {"Content-Type": "application/json", "User-Agent": f"tip-relay/{__version__}"}


@dataclass(slots=True)
class Depot:
    """What all couriers share."""

    store: Store
    vault: Vault
    clock: Clock
    private: bool
    closing: bool = False
    requests: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(REQUESTS_MAX))
    retries: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(RETRIES_MAX))

    @contextlib.asynccontextmanager
    async def place(self, *, again: bool) -> AsyncIterator[None]:
        """One of the requests that may be under way."""
        async with self.retries if again else contextlib.nullcontext(), self.requests:
            yield


class Courier:
    """Carries to one sink. Whoever changes what is kept of it takes its `turn`."""

    def __init__(self, depot: Depot, sink: Sink) -> None:
        self.sink = sink
        self._depot = depot
        self._kept = sink.cursor  # as the store has it
        self._told = 0  # up to here entries may be missing, and the receiver knows
        self._kept_at = depot.clock.now()
        self._receiver = Receiver(sink.wish.url, private=depot.private)
        self._signers: tuple[str, list[tuple[Signer, float | None]]] = ("", [])
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()

    # -- what is kept ----------------------------------------------------------

    async def change(self, change: Callable[[Sink], Sink]) -> Sink:
        """Keep a changed sink. Raises `StoreUnavailable`: then it is as it was."""
        async with self._turn:
            sink = change(self.sink)
            await self._depot.store.keep(Change(documents=(Document(KIND, sink.id, sink_to_body(sink)),)))
            self.sink = sink
            self._kept, self._kept_at = sink.cursor, self._depot.clock.now()
        return sink

    async def _change_surely(self, change: Callable[[Sink], Sink]) -> Sink:
        """What a receiver has taken is not sent again because the disk is full for a while."""
        while True:
            try:
                return await self.change(change)
            except StoreUnavailable:
                await asyncio.sleep(KEEP_AGAIN_SECONDS)

    # -- as time goes by ----------------------------------------------------------

    def hear(self, entries: Sequence[Entry]) -> None:
        """These were made known."""
        sink = self.sink
        if self._news.is_set() or sink.again_at is not None or sink.disabled_at is not None:
            return
        if any(wants(sink.wish, entry) for entry in entries):
            self._news.set()

    def look(self) -> None:
        """Time may have come."""
        self._news.set()

    async def run(self) -> None:
        """Carry what there is and wait for more, until the depot closes."""
        try:
            while not self._depot.closing:
                self._news.clear()
                rest = LOOK_SECONDS
                try:
                    await self._carry_all()
                    rest = self._rest()
                except StoreUnavailable:
                    rest = KEEP_AGAIN_SECONDS
                except BadSettings as error:
                    log.error("sink not served", sink=self.sink.id, why=str(error))
                    self.sink = replace(self.sink, last=Answer(self._depot.clock.now(), "", why=str(error)))
                except Exception:  # the other sinks are served, and this one is tried again
                    log.exception("sink not served", sink=self.sink.id)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(rest):
                        await self._news.wait()
            with contextlib.suppress(StoreUnavailable):
                await self._keep_passed()
        finally:
            await self._receiver.close()

    def _rest(self) -> float:
        again = self.sink.again_at
        return LOOK_SECONDS if again is None else min(max(again - self._depot.clock.now(), 0.0), LOOK_SECONDS)

    @property
    def _due(self) -> bool:
        sink = self.sink
        on_time = sink.again_at is None or sink.again_at <= self._depot.clock.now()
        return sink.disabled_at is None and on_time and not self._depot.closing

    async def _carry_all(self) -> None:
        """Until nothing is left, or a try was in vain. Raises `StoreUnavailable`, `BadSettings`."""
        while self._due and await self._carry_page():
            pass
        if self._depot.clock.now() >= self._kept_at + LOOK_SECONDS:
            await self._keep_passed()

    async def _keep_passed(self) -> None:
        """What was not for this sink counts as well, or retention would seem to have taken something from it."""
        if self.sink.cursor > self._kept:
            await self.change(lambda sink: sink)

    async def _carry_page(self) -> bool:
        """Whether there may be more."""
        store, wish, cursor = self._depot.store, self.sink.wish, self.sink.cursor
        last = await store.last()
        if last <= cursor:
            return False
        only = wish.models[0] if wish.models is not None and len(wish.models) == 1 else None
        page = await store.entries(model=only, after=cursor, limit=PAGE_ENTRIES)
        trimmed = await store.trimmed(only)  # looked at last: what is not in the page by now shows
        if max(cursor, self._told) < trimmed.some:
            here, now = max(cursor, trimmed.all), self._depot.clock.now()
            taken = await self._carry(gap_message(store.epoch, cursor, here, trimmed.some, now))
            self._told = trimmed.some if taken else self._told
            return taken
        for entry in page:
            message = entry_message(store.epoch, entry, wish)
            if message is None:
                self._pass(entry.n)
            elif not (self._due and await self._carry(message)):
                return False
        if len(page) < PAGE_ENTRIES:
            self._pass(last)
        return True

    def _pass(self, n: int) -> None:
        if n > self.sink.cursor:
            self.sink = replace(self.sink, cursor=n)

    async def _carry(self, message: Message) -> bool:
        """One try; whether it was taken."""
        async with self._depot.place(again=bool(self.sink.tries)):
            if not self._due:
                return False
            answer = await self.ask(message)
        before = self.sink.state
        if answer.taken:
            await self._change_surely(lambda sink: took(sink, answer, message.n))
            metrics.SINK_TRIES.labels("taken").inc()
        else:
            jitter = random.random()  # noqa: S311  # spreads load, hides nothing
            await self._change_surely(lambda sink: failed(sink, answer, jitter))
            metrics.SINK_TRIES.labels("failed").inc()
        if self.sink.state != before:
            tell = log.info if answer.taken else log.warning
            tell(f"sink {self.sink.state}", sink=self.sink.id, status=answer.status, why=self.sink.why or answer.why)
        return answer.taken

    # -- one request ----------------------------------------------------------

    async def ask(self, message: Message) -> Answer:
        """Post a message and say what came of it. Raises `BadSettings`."""
        now = self._depot.clock.now()
        headers = SENDER | signature_headers(self._now_signing(now), message.id, now, message.body)
        status, wait = None, None
        try:
            status, wait = await self._receiver.post(headers, message.body)
            why = "" if 200 <= status < 300 else said(status)
        except Unreachable as error:
            why = str(error)
        except (TimeoutError, httpx2.TimeoutException):
            why = "no answer in time"
        except httpx2.HTTPError as error:
            why = f"the connection broke ({reason(error)})"
        at = self._depot.clock.now()
        return Answer(at, message.id, status, why, None if not why else retry_after(wait, at))

    def _now_signing(self, now: float) -> list[Signer]:
        sealed = self.sink.sealed
        if self._signers[0] != sealed:
            secrets = orjson.loads(self._depot.vault.open(sealed.encode()).reveal())
            self._signers = sealed, [(Signer(secret), until) for secret, until in secrets]
        return [signer for signer, until in self._signers[1] if until is None or now < until]


def said(status: int) -> str:
    if 300 <= status < 400:
        return f"HTTP {status}: redirects are not followed, name the address it leads to"
    return f"HTTP {status}"
