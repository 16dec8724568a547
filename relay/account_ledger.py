"""Linked accounts as the store keeps them, with their tokens sealed; knows when each of them wants something."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from weakref import WeakValueDictionary

import orjson

from relay.clock import Clock
from relay.errors import BadSettings, StoreUnavailable
from relay.grants import SET_BACK_SECONDS, Account, Grant, account_from_body, account_to_body, due_at
from relay.secret import Secret
from relay.stores import Change, Document, Store
from relay.vault import Vault

KIND = "account"
MODEL_KIND = "model-account"  # which account shows with a model: the one linked last
CODE_KIND = "auth-code"
CODE_SECONDS = 86_400.0  # a used code is remembered; facts.md 3.3, rule 1 asks for ten minutes at least
PRUNE_SECONDS = 3600.0  # between two looks for codes that need not be remembered
KEEP_AGAIN_SECONDS = 0.5


class Ledger:
    def __init__(self, store: Store, vault: Vault, clock: Clock) -> None:
        self._store = store
        self._vault = vault
        self._clock = clock
        self._due: dict[str, float] = {}  # account -> when it wants something
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._loaded = False
        self._latest = 0.0  # when the clock was looked at last
        self._prune_at = 0.0

    def turn(self, user: str) -> asyncio.Lock:
        """One at a time changes an account."""
        return self._turns.setdefault(user, asyncio.Lock())

    # -- reading ----------------------------------------------------------

    async def load(self) -> None:
        """When each account wants something: read once, and again where the clock was set back; codes that are old are
        forgotten. Raises `StoreUnavailable`."""
        now = self._clock.now()
        set_back = now < self._latest - SET_BACK_SECONDS
        self._latest = now
        if set_back or not self._loaded:
            for account in await self.all():
                self._plan(account)
            self._loaded = True
        if set_back or now >= self._prune_at:
            await self._prune(now)
            self._prune_at = now + PRUNE_SECONDS

    async def _prune(self, now: float) -> None:
        kept = await self._store.documents(CODE_KIND)
        old = [one.id for one in kept if one.body is not None and one.body["at"] < now - CODE_SECONDS]
        if old:
            await self._store.keep(Change(documents=tuple(Document(CODE_KIND, id, None) for id in old)))

    async def find(self, user: str) -> Account | None:
        kept = await self._store.document(KIND, user)
        return None if kept is None or kept.body is None else account_from_body(user, kept.body)

    async def find_surely(self, user: str) -> Account | None:
        """Once the vendor has given a pair, nothing may stand between it and the disk."""
        while True:
            try:
                return await self.find(user)
            except StoreUnavailable:
                await asyncio.sleep(KEEP_AGAIN_SECONDS)

    async def of_model(self, model: str) -> Account | None:
        """The account that was linked with this model last."""
        kept = await self._store.document(MODEL_KIND, model)
        account = None if kept is None or kept.body is None else await self.find(kept.body["user"])
        return account if account is not None and account.model == model else None  # she may have moved since

    async def all(self) -> list[Account]:
        kept = await self._store.documents(KIND)
        return [account_from_body(one.id, one.body) for one in kept if one.body is not None]

    # -- keeping ----------------------------------------------------------

    async def keep(self, account: Account, *, linked: bool = False) -> None:
        """`linked`: just now, so that she shows with her model from now on. Raises `StoreUnavailable`."""
        documents = [Document(KIND, account.user, account_to_body(account))]
        if linked and account.model is not None:
            documents.append(Document(MODEL_KIND, account.model, {"user": account.user}))
        await self._store.keep(Change(documents=tuple(documents)))
        self._plan(account)

    async def keep_surely(self, account: Account, *, linked: bool = False) -> None:
        """What the vendor has given or said must not be lost because the disk is full for a while."""
        while True:
            try:
                return await self.keep(account, linked=linked)
            except StoreUnavailable:
                await asyncio.sleep(KEEP_AGAIN_SECONDS)

    async def remove(self, account: Account) -> None:
        """Where she showed with a model, whoever was linked with it before her shows again."""
        documents = [Document(KIND, account.user, None)]
        if account.model is not None and await self.of_model(account.model) == account:
            others = [one for one in await self.all() if one.model == account.model and one.user != account.user]
            heir = max(others, key=lambda one: one.linked_at, default=None)
            body = None if heir is None else {"user": heir.user}
            documents.append(Document(MODEL_KIND, account.model, body))
        await self._store.keep(Change(documents=tuple(documents)))
        self._due.pop(account.user, None)

    # -- tokens ----------------------------------------------------------

    def seal(self, grant: Grant) -> str:
        pair = [grant.access.reveal(), grant.refresh.reveal()]
        return self._vault.seal(Secret(orjson.dumps(pair).decode())).decode()

    def open(self, account: Account) -> tuple[Secret, Secret]:
        """The access and the refresh token. Raises `BadSettings`."""
        access, refresh = map(Secret, orjson.loads(self._vault.open(account.sealed.encode()).reveal()))
        return access, refresh

    def check_key(self) -> None:
        """Raises `BadSettings` where nothing could be sealed."""
        self._vault.seal(Secret(""))

    async def reseal(self) -> tuple[int, list[str]]:
        """Encrypt every account's tokens with the newest key: how many, and the users whose tokens no key opens.

        Raises `StoreUnavailable`.
        """
        done, lost = 0, []
        for user in [account.user for account in await self.all()]:
            async with self.turn(user):
                account = await self.find(user)
                if account is None:
                    continue
                try:
                    sealed = self._vault.resealed(account.sealed.encode()).decode()
                except BadSettings:
                    lost.append(user)
                    continue
                body = account_to_body(replace(account, sealed=sealed))
                await self._store.keep(Change(documents=(Document(KIND, user, body),)))
                done += 1
        return done, lost

    # -- plans ----------------------------------------------------------

    def due(self) -> list[str]:
        """Who wants something now, the most urgent first."""
        now = self._clock.now()
        return sorted((user for user, at in self._due.items() if at <= now), key=self._due.__getitem__)

    def is_due(self, user: str) -> bool:
        return self._due.get(user, math.inf) <= self._clock.now()

    def put_off(self, user: str, seconds: float) -> None:
        self._due[user] = self._clock.now() + seconds

    def _plan(self, account: Account) -> None:
        at = due_at(account, self._clock.now())
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
