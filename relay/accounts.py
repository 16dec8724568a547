"""Linked accounts: exchanged once, looked at, forgotten; the `Caretaker` keeps them alive.

An auth code is written down before it is used, and the pair that it gave before anything is done with it, so that a
crash between two steps leaves a question, not a loss.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib

import structlog

from relay.account_ledger import Ledger
from relay.caretaker import Caretaker, ended
from relay.clock import Clock, iso
from relay.errors import (
    AuthCodeUsed,
    Invalid,
    NoAccounts,
    StoreUnavailable,
    UnknownAccount,
    UnknownModel,
    VendorRefused,
    VendorUnavailable,
    VendorUntouched,
)
from relay.grants import Account, Grant
from relay.stores import Store
from relay.tips import read_model_id, shown
from relay.vault import Vault
from relay.vendors import AccountServer

log = structlog.get_logger()

CODE_LENGTH_MAX = 2048
RETRY_SECONDS = 10.0
WAIT_SECONDS_MAX = 60.0  # for an exchange, or for one's turn with an account; longer only while the store keeps nothing


class Accounts:
    """Links accounts, and forgets them."""

    def __init__(self, store: Store, server: AccountServer | None, vault: Vault, clock: Clock) -> None:
        self._store = store
        self._server = server
        self._clock = clock
        self._ledger = Ledger(store, vault, clock)
        self._caretaker = Caretaker(self._ledger, server, clock)
        self._exchanges: dict[str, asyncio.Task[Account]] = {}  # by the code's hash
        # One exchange after the other: of two codes of one user the vendor honours the later, and so must we.
        self._exchanging = asyncio.Lock()

    # -- for the platform ----------------------------------------------------------

    async def link(self, code: object, model: object = None) -> Account:
        """Exchange an auth code for a user's tokens, once: who posts it at the same time shares the answer.

        Raises `Invalid`, `UnknownModel`, `AuthCodeUsed`, `NoAccounts`, `VendorRefused`, `VendorUnavailable`,
        `StoreUnavailable`, `BadSettings`.
        """
        server = self._asked()
        fits = isinstance(code, str) and 0 < len(code) <= CODE_LENGTH_MAX and code.isascii() and code.isprintable()
        if not isinstance(code, str) or not fits or " " in code:
            raise Invalid(
                f"'authCode' must be the text that getAuthCode gave (1 to {CODE_LENGTH_MAX} characters)",
                field="authCode",
            )
        if model is not None:
            if not isinstance(model, str):
                raise Invalid(f"'model' must be a model's id, not {shown(model)}", field="model")
            model = read_model_id(model)
            if await self._store.model(model) is None:
                raise UnknownModel(f"model '{model:.128}' is not registered: PUT /models/{model:.128} first")
        digest = hashlib.sha256(code.encode()).hexdigest()
        exchange = self._exchanges.get(digest)
        if exchange is None:
            exchange = asyncio.create_task(self._exchange(server, code, digest, model))
            self._exchanges[digest] = exchange
            exchange.add_done_callback(lambda done: (self._exchanges.pop(digest), done.cancelled() or done.exception()))
        # It goes on where nobody waits for it: the code is used up.
        done, _ = await asyncio.wait([exchange], timeout=WAIT_SECONDS_MAX)
        if not done:
            raise StoreUnavailable(
                "the account is not on disk yet: post the same code again, which shares the exchange under way",
                retry_after=RETRY_SECONDS,
            )
        return exchange.result()

    async def find(self, user: str) -> Account:
        """Raises `UnknownAccount`."""
        account = await self._ledger.find(user)
        if account is None:
            raise UnknownAccount(f"no account '{user:.80}' is linked: POST /accounts with an auth code first")
        return account

    async def of_model(self, model: str) -> Account | None:
        """The account that was linked with this model last."""
        return await self._ledger.of_model(model)

    async def all(self) -> list[Account]:
        return await self._ledger.all()

    async def forget(self, user: str) -> None:
        """Drop an account and its tokens. The vendor is not told: it has no call for that. Raises `UnknownAccount`."""
        turn = self._ledger.turn(user)
        try:
            await asyncio.wait_for(turn.acquire(), WAIT_SECONDS_MAX)
        except TimeoutError:
            raise StoreUnavailable(
                "the account is being changed, which takes longer than it should: try again", retry_after=RETRY_SECONDS
            ) from None
        try:
            await self._ledger.remove(await self.find(user))
        finally:
            turn.release()
        self._caretaker.forget(user)

    def _asked(self) -> AccountServer:
        if self._server is None:
            raise NoAccounts(
                "this relay links no accounts: set LOVENSE_DEVELOPER_TOKEN, LOVENSE_APP_ID and LOVENSE_APP_SECRET"
            )
        return self._server

    # -- linking ----------------------------------------------------------

    async def _exchange(self, server: AccountServer, code: str, digest: str, model: str | None) -> Account:
        seen = await self._ledger.code_seen(digest)
        if seen is not None:
            raise AuthCodeUsed(f"this auth code came before, at {iso(seen)}: it is good for one use, get a new one")
        self._ledger.check_key()  # no key, no exchange: the code would be lost
        await self._ledger.remember_code(digest)
        async with self._exchanging:
            try:
                grant = await server.exchange(code)
            except VendorUntouched:
                with contextlib.suppress(StoreUnavailable):
                    await self._ledger.forget_code(digest)  # the vendor has not seen it: it is as good as before
                raise
            self._caretaker.granted()
            assert grant.user is not None
            turn = self._ledger.turn(grant.user)
            await turn.acquire()
        try:
            return await self._linked(grant, grant.user, model)
        finally:
            turn.release()

    async def _linked(self, grant: Grant, user: str, model: str | None) -> Account:
        now = self._clock.now()
        before = await self._ledger.find_surely(user)
        account = Account(
            user=user,
            sealed=self._ledger.seal(grant),
            linked_at=now,
            granted_at=now,
            checked_at=now,
            access_until=grant.access_until,
            refresh_until=grant.refresh_until,
            model=model if model is not None or before is None else before.model,
            name=before.name if before else None,
        )
        await self._ledger.keep_surely(account, linked=True)
        log.info("account linked", model=account.model)
        with contextlib.suppress(VendorUnavailable, VendorRefused):
            account = await self._caretaker.ask_name(account, grant.access, fresh=True)
        return account

    # -- as time goes by ----------------------------------------------------------

    async def run(self) -> None:
        """Look after every account when it is due, until cancelled."""
        await self._caretaker.run()

    async def reseal(self) -> tuple[int, list[str]]:
        """Encrypt every account's tokens with the newest key: how many, and the users whose tokens no key opens."""
        return await self._ledger.reseal()

    async def close(self) -> None:
        """Calls under way get their answer kept, for a while."""
        await asyncio.gather(self._caretaker.close(), ended(list(self._exchanges.values())))
