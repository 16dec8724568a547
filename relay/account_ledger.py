"""Linked accounts as the store keeps them, with their tokens sealed; knows when each of them wants something."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from weakref import WeakValueDictionary

from relay.clock import Clock
from relay.errors import BadSettings, StoreUnavailable
from relay.grants import Account, account_from_body, account_to_body, due_at
from relay.stores import Change, Document, Store

KIND = "account"
MODEL_KIND = "model-account"  # which account shows with a model: the one linked last
CODE_KIND = "auth-code"
CODE_SECONDS = 86_400.0  # a used code is remembered; facts.md 3.3, rule 1 asks for ten minutes at least
KEEP_AGAIN_SECONDS = 0.5


class Ledger:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._due: dict[str, float] = {}  # account -> when it wants something
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._loaded = False

    def turn(self, user: str) -> asyncio.Lock:
        """One at a time changes an account."""
        return self._turns.setdefault(user, asyncio.Lock())

    # -- reading ----------------------------------------------------------

    async def load(self) -> None:
        """Once: when each account wants something; codes that are old are forgotten. Raises `StoreUnavailable`."""
        if self._loaded:
            return
        for account in await self.all():
            self._plan(account)
        old = self._clock.now() - CODE_SECONDS
        gone = [one.id for one in await self._store.documents(CODE_KIND) if one.body and one.body["at"] < old]
        if gone:
            await self._store.keep(Change(documents=tuple(Document(CODE_KIND, id, None) for id in gone)))
        self._loaded = True

    async def find(self, user: str) -> Account | None:
        kept = await self._store.document(KIND, user)
        return None if kept is None or kept.body is None else account_from_body(user, kept.body)

    async def of_model(self, model: str) -> Account | None:
        kept = await self._store.document(MODEL_KIND, model)
        return None if kept is None or kept.body is None else await self.find(kept.body["user"])

    async def all(self) -> list[Account]:
        kept = await self._store.documents(KIND)
        return [account_from_body(one.id, one.body) for one in kept if one.body is not None]

    def due(self) -> list[str]:
        now = self._clock.now()
        return sorted((user for user, at in self._due.items() if at <= now), key=self._due.__getitem__)

    def next_due(self) -> float | None:
        return min(self._due.values(), default=None)

    def put_off(self, user: str, seconds: float) -> None:
        self._due[user] = self._clock.now() + seconds

    # -- keeping ----------------------------------------------------------

    async def keep(self, account: Account) -> None:
        """Raises `StoreUnavailable`."""
        documents = [Document(KIND, account.user, account_to_body(account))]
        if account.model is not None:
            documents.append(Document(MODEL_KIND, account.model, {"user": account.user}))
        await self._store.keep(Change(documents=tuple(documents)))
        self._plan(account)

    async def keep_surely(self, account: Account) -> None:
        """What the vendor has given or said must not be lost because the disk is full for a while."""
        while True:
            try:
                return await self.keep(account)
            except StoreUnavailable:
                await asyncio.sleep(KEEP_AGAIN_SECONDS)

    async def reseal(self, resealed: Callable[[str], str]) -> tuple[int, list[str]]:
        """Every account's tokens as `resealed` makes them: how many there were, and the users whose it cannot.

        Raises `StoreUnavailable`.
        """
        done, lost = 0, []
        for user in [account.user for account in await self.all()]:
            async with self.turn(user):
                account = await self.find(user)
                if account is None:
                    continue
                try:
                    body = account_to_body(replace(account, sealed=resealed(account.sealed)))
                except BadSettings:
                    lost.append(user)
                    continue
                await self._store.keep(Change(documents=(Document(KIND, user, body),)))
                done += 1
        return done, lost

    async def remove(self, account: Account) -> None:
        documents = [Document(KIND, account.user, None)]
        if account.model is not None and await self.of_model(account.model) == account:
            documents.append(Document(MODEL_KIND, account.model, None))
        await self._store.keep(Change(documents=tuple(documents)))
        self._due.pop(account.user, None)

    def _plan(self, account: Account) -> None:
        at = due_at(account)
        if at is None:
            self._due.pop(account.user, None)
        else:
            self._due[account.user] = at

    # -- codes ----------------------------------------------------------

    async def code_seen(self, digest: str) -> float | None:
        """When this code came before."""
        kept = await self._store.document(CODE_KIND, digest)
        return None if kept is None or kept.body is None else float(kept.body["at"])

    async def remember_code(self, digest: str) -> None:
        await self._store.keep(Change(documents=(Document(CODE_KIND, digest, {"at": self._clock.now()}),)))

    async def forget_code(self, digest: str) -> None:
        await self._store.keep(Change(documents=(Document(CODE_KIND, digest, None),)))
