"""Deliveries: the feed to every sink. Nobody waits for anybody else; what was not taken before the end is next time."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Sequence
from typing import Any

import orjson
import structlog
from msgspec.structs import replace

from relay.clock import Clock
from relay.couriers import KEEP_AGAIN_SECONDS, KIND, REQUESTS_MAX, Courier, Depot
from relay.errors import BadSettings, Invalid, SinksFull, StoreUnavailable, UnknownModel, UnknownSink
from relay.feeds import Entry
from relay.receivers import SECONDS_MAX, Receiver, Unreachable
from relay.secret import Secret
from relay.signatures import new_secret
from relay.sinks import (
    OLD_SECRET_SECONDS,
    SECRETS_MAX,
    SINKS_MAX,
    Answer,
    Sink,
    check_message,
    enabled,
    read_wish,
    sink_from_body,
    sink_to_body,
)
from relay.stores import Change, Document, Store
from relay.vault import Vault

log = structlog.get_logger()


class Deliveries:
    """The sinks, and a courier for each. `private`: sinks may be in any network, and without TLS."""

    def __init__(self, store: Store, vault: Vault, clock: Clock, *, private: bool = False) -> None:
        self._depot = Depot(store, vault, clock, private)
        self._couriers: dict[str, Courier] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._loaded = False
        self._turn = asyncio.Lock()  # one at a time adds or removes

    # -- for the platform ----------------------------------------------------------

    async def create(self, data: dict[str, Any]) -> tuple[Sink, str]:
        """A new sink, for what comes from now on, and its secret, which is not shown again.

        Raises `Invalid`, `UnknownModel`, `SinksFull`, `StoreUnavailable`, `BadSettings`.
        """
        depot = self._depot
        wish = read_wish(data, private=depot.private)
        for model in wish.models or ():
            if await depot.store.model(model) is None:
                raise UnknownModel(f"model '{model}' is not registered: PUT /models/{model} first")
        secret = new_secret()
        sealed = self._sealed([(secret, None)])
        receiver = Receiver(wish.url, private=depot.private)
        try:
            await receiver.addresses()
        except Unreachable as error:
            raise Invalid(f"'url' cannot be used: {error}", field="url") from None
        finally:
            await receiver.close()
        async with self._turn:
            await self._load()
            if len(self._couriers) >= SINKS_MAX:
                raise SinksFull(f"there are {SINKS_MAX} sinks already: DELETE one first")
            id = f"sink_{secrets.token_hex(8)}"
            sink = Sink(id, wish, depot.clock.now(), await depot.store.last(), sealed)
            await depot.store.keep(Change(documents=(Document(KIND, id, sink_to_body(sink)),)))
            self._start(sink)
        log.info("sink created", sink=id)
        return sink, secret

    async def find(self, id: str) -> Sink:
        """Raises `UnknownSink`, `StoreUnavailable`."""
        return (await self._courier(id)).sink

    async def all(self) -> list[Sink]:
        """By rising age. Raises `StoreUnavailable`."""
        async with self._turn:
            await self._load()
        return sorted(self.sinks, key=lambda sink: (-sink.created_at, sink.id))

    async def remove(self, id: str) -> None:
        """Raises `UnknownSink`, `StoreUnavailable`."""
        await self._courier(id)
        async with self._turn:
            if id not in self._couriers:
                return
            task = self._tasks[id]
            task.cancel()  # before its document goes: it must not write it once more
            await asyncio.wait([task])
            try:
                await self._depot.store.keep(Change(documents=(Document(KIND, id, None),)))
            except StoreUnavailable:
                self._start(self._couriers[id].sink)
                raise
            del self._couriers[id], self._tasks[id]
        log.info("sink deleted", sink=id)

    async def enable(self, id: str) -> Sink:
        """Try again at once, from where it was, whatever has failed. Raises `UnknownSink`, `StoreUnavailable`."""
        courier = await self._courier(id)
        sink = await courier.change(enabled)
        courier.look()
        return sink

    async def rotate(self, id: str) -> tuple[Sink, str]:
        """A new secret; the one before signs along for a day.

        Raises `UnknownSink`, `StoreUnavailable`, `BadSettings`.
        """
        secret, now = new_secret(), self._depot.clock.now()

        def change(sink: Sink) -> Sink:
            until = now + OLD_SECRET_SECONDS
            kept = orjson.loads(self._depot.vault.open(sink.sealed.encode()).reveal())
            old = [(one, until if end is None else end) for one, end in kept if end is None or now < end]
            sealed = self._sealed([(secret, None), *old][:SECRETS_MAX])
            return replace(sink, sealed=sealed, old_secret_until=until)

        return await (await self._courier(id)).change(change), secret

    async def test(self, id: str) -> Answer:
        """Post a message of the type `test` at once, and tell what came of it. The sink stands as before.

        Raises `UnknownSink`, `StoreUnavailable`, `BadSettings`.
        """
        courier, now = await self._courier(id), self._depot.clock.now()
        message = check_message(f"test-{secrets.token_hex(8)}", courier.sink, now)
        try:
            async with asyncio.timeout(2 * SECONDS_MAX), self._depot.place(again=False):
                return await courier.ask(message)
        except TimeoutError:
            return Answer(now, message.id, why=f"not sent: {REQUESTS_MAX} requests to slow sinks were under way")

    async def reseal(self) -> tuple[int, list[str]]:
        """Encrypt every sink's secrets with the newest key: how many sinks, and those whose no key opens.

        Raises `StoreUnavailable`.
        """
        done, lost = 0, []
        for sink in await self.all():

            def change(sink: Sink) -> Sink:
                return replace(sink, sealed=self._depot.vault.resealed(sink.sealed.encode()).decode())

            try:
                await self._couriers[sink.id].change(change)
                done += 1
            except BadSettings:
                lost.append(sink.id)
            except KeyError:  # deleted meanwhile
                continue
        return done, lost

    @property
    def sinks(self) -> list[Sink]:
        return [courier.sink for courier in self._couriers.values()]

    async def _courier(self, id: str) -> Courier:
        async with self._turn:
            await self._load()
        courier = self._couriers.get(id)
        if courier is None:
            raise UnknownSink(f"there is no sink '{id:.80}': GET /sinks lists them")
        return courier

    def _sealed(self, kept: Sequence[tuple[str, float | None]]) -> str:
        return self._depot.vault.seal(Secret(orjson.dumps(kept).decode())).decode()

    # -- as time goes by ----------------------------------------------------------

    def publish(self, entries: Sequence[Entry]) -> None:
        """Called by the store, on the event loop, in the order of `n`."""
        for courier in self._couriers.values():
            courier.hear(entries)

    def look(self) -> None:
        """Do what is due now."""
        for courier in self._couriers.values():
            courier.look()

    async def run(self) -> None:
        """Send the couriers out as soon as the store can be read."""
        while not self._loaded:
            with contextlib.suppress(StoreUnavailable):
                async with self._turn:
                    await self._load()
                return
            await asyncio.sleep(KEEP_AGAIN_SECONDS)

    async def _load(self) -> None:
        if self._loaded:
            return
        for one in await self._depot.store.documents(KIND):
            if one.body is not None:
                self._start(sink_from_body(one.body))
        self._loaded = True

    def _start(self, sink: Sink) -> None:
        courier = self._couriers[sink.id] = Courier(self._depot, sink)
        self._tasks[sink.id] = asyncio.create_task(courier.run())

    async def close(self, within: float = 0.0) -> None:
        """No new request; those under way have `within` seconds to end. What was not taken comes next time."""
        self._depot.closing = True
        self.look()
        running = [task for task in self._tasks.values() if not task.done()]
        if running:
            await asyncio.wait(running, timeout=within)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
