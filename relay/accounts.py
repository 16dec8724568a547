"""Linked accounts: exchanged once, refreshed ahead of their time, and never shown better than they are.

Every step is kept before the next one is taken, so that a crash between two of them leaves a question, not a loss: a
code is written down before it is used, a refresh before the vendor is asked, and the new pair before it is used.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from dataclasses import replace

import orjson
import structlog

from relay.account_ledger import Ledger
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
from relay.grants import (
    CHECK_SECONDS,
    TRIES_MAX,
    Account,
    AccountStatus,
    Grant,
    earlier,
    refresh_at,
    usable,
)
from relay.secret import Secret
from relay.stores import Store
from relay.tips import read_model_id, shown
from relay.vault import Vault
from relay.vendors import AccountServer

log = structlog.get_logger()

CODE_LENGTH_MAX = 2048
CALLS_MAX = 8  # under way at the same time, of those nobody waits for
AGAIN_SECONDS = 30.0  # after the vendor gave no usable answer; doubled each time
AGAIN_SECONDS_MAX = 3600.0
LOOK_SECONDS = 30.0  # between two looks at what is due
CLOSE_SECONDS = 10.0  # for calls under way when the relay ends: a pair that comes then is kept


class Accounts:
    """Links accounts and keeps their tokens alive."""

    def __init__(self, store: Store, server: AccountServer | None, vault: Vault, clock: Clock) -> None:
        self._store = store
        self._server = server
        self._vault = vault
        self._clock = clock
        self._ledger = Ledger(store, clock)
        self._exchanges: dict[str, asyncio.Task[Account]] = {}  # by the code's hash
        self._at_work: set[asyncio.Task[None]] = set()
        self._calls = asyncio.Semaphore(CALLS_MAX)
        self._failures: dict[str, int] = {}  # in a row, by account
        self._closing = False

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
        return await asyncio.shield(exchange)  # it goes on where the asker does not wait: the code is used up

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
        async with self._ledger.turn(user):
            await self._ledger.remove(await self.find(user))
        self._failures.pop(user, None)

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
        self._vault.seal(Secret(""))  # no key, no exchange: the code would be lost
        await self._ledger.remember_code(digest)
        try:
            grant = await server.exchange(code)
        except VendorUntouched:
            with contextlib.suppress(StoreUnavailable):
                await self._ledger.forget_code(digest)  # the vendor has not seen it: it is as good as before
            raise
        assert grant.user is not None
        now = self._clock.now()
        async with self._ledger.turn(grant.user):
            before = await self._ledger.find(grant.user)
            account = Account(
                user=grant.user,
                sealed=self._sealed(grant),
                linked_at=now,
                granted_at=now,
                checked_at=now,
                access_until=grant.access_until,
                refresh_until=grant.refresh_until,
                model=model if model is not None or before is None else before.model,
                name=before.name if before else None,
            )
            await self._ledger.keep_surely(account)
            log.info("account linked", model=account.model)
            with contextlib.suppress(VendorUnavailable, VendorRefused):
                account = await self._ask_name(server, account, grant.access)
        return account

    async def _ask_name(self, server: AccountServer, account: Account, access: Secret) -> Account:
        """The user's name, if the vendor takes the token. Raises `VendorUnavailable`, `VendorRefused`."""
        try:
            name = await server.user_name(access)
        except VendorRefused:
            if account.granted_at == self._clock.now() or account.nameless:
                account = replace(account, nameless=True)  # fresh and refused: the scope does not reach so far
                await self._ledger.keep_surely(account)
            raise
        account = replace(account, name=name or account.name, checked_at=self._clock.now())
        await self._ledger.keep_surely(account)
        return account

    # -- as time goes by ----------------------------------------------------------

    async def run(self) -> None:
        """Look after every account when it is due, until cancelled."""
        while self._server is not None:
            with contextlib.suppress(StoreUnavailable):
                await self._ledger.load()
                if (due := self._ledger.next_due()) is not None and due <= self._clock.now():
                    await self.tend()
            await asyncio.sleep(LOOK_SECONDS)

    async def tend(self) -> None:
        """Do what is due now."""
        tasks = [asyncio.create_task(self._visit(user)) for user in self._ledger.due()]
        self._at_work.update(tasks)
        for task in tasks:
            task.add_done_callback(self._at_work.discard)
        if tasks:
            await asyncio.shield(asyncio.gather(*tasks))

    async def _visit(self, user: str) -> None:
        async with self._calls, self._ledger.turn(user):
            account = await self._ledger.find(user)
            if self._closing or account is None:
                return
            try:
                await self._look_after(account)
                self._failures.pop(user, None)
            except (VendorUnavailable, StoreUnavailable) as error:
                again = self._failures[user] = self._failures.get(user, 0) + 1
                self._ledger.put_off(user, min(AGAIN_SECONDS * 2 ** (again - 1), AGAIN_SECONDS_MAX))
                log.warning("account not looked after", model=account.model, why=error.detail)
            except Exception:  # such as a vault without its key: the others are looked after
                self._ledger.put_off(user, AGAIN_SECONDS_MAX)
                log.exception("account not looked after", model=account.model)

    async def _look_after(self, account: Account) -> None:
        server, now = self._asked(), self._clock.now()
        if account.refresh_until is not None and now >= account.refresh_until:
            await self._end(
                account, AccountStatus.REAUTH_REQUIRED, f"the authorization ended at {iso(account.refresh_until)}"
            )
            return
        access, refresh = self._opened(account)
        if account.tries:
            account = await self._settle(server, account, access)
        wants = refresh_at(account)
        if account.tries or (wants is not None and now >= wants):
            await self._refresh(server, account, refresh)
        elif now >= account.checked_at + CHECK_SECONDS and not account.nameless:
            try:
                await self._ask_name(server, account, access)
            except VendorRefused:  # cancelled, or ended before its time: a refresh tells
                await self._refresh(server, account, refresh)

    async def _settle(self, server: AccountServer, account: Account, access: Secret) -> Account:
        """A refresh without an answer did not happen where the vendor still takes the old access token: a refresh ends
        that at once (facts.md 3.3, rule 2). Raises `VendorUnavailable`."""
        if account.nameless or not usable(account, self._clock.now()):
            return account
        with contextlib.suppress(VendorRefused):
            return await self._ask_name(server, replace(account, tries=0), access)
        return account

    async def _refresh(self, server: AccountServer, account: Account, token: Secret) -> None:
        """The next pair, kept before it is used. Raises `VendorUnavailable`, `StoreUnavailable`."""
        if account.tries >= TRIES_MAX:
            await self._end(
                account, AccountStatus.REAUTH_REQUIRED, "the vendor did not answer when the tokens were refreshed"
            )
            return
        asked = replace(account, tries=account.tries + 1)
        await self._ledger.keep(asked)
        try:
            grant = await server.refresh(token)
        except VendorUntouched:
            await self._ledger.keep_surely(account)
            raise
        except VendorRefused:
            # After a refresh whose answer was lost, this says nothing about the user's will.
            status = AccountStatus.REAUTH_REQUIRED if account.tries else AccountStatus.REVOKED
            why = "the answer to a refresh was lost" if account.tries else "the vendor takes the tokens no more"
            await self._end(account, status, why)
            return
        now = self._clock.now()
        await self._ledger.keep_surely(
            replace(
                account,
                sealed=self._sealed(grant),
                granted_at=now,
                checked_at=now,
                access_until=grant.access_until,
                refresh_until=earlier(account.refresh_until, grant.refresh_until),  # never extended
                tries=0,
            )
        )
        log.info("account refreshed", model=account.model)

    async def _end(self, account: Account, status: AccountStatus, why: str) -> None:
        why = f"{why}: ask the user for a new authorization"
        await self._ledger.keep_surely(replace(account, ended=status.value, why=why))
        log.warning("account ended", model=account.model, status=status.value, why=why)

    # -- tokens ----------------------------------------------------------

    def _sealed(self, grant: Grant) -> str:
        pair = [grant.access.reveal(), grant.refresh.reveal()]
        return self._vault.seal(Secret(orjson.dumps(pair).decode())).decode()

    def _opened(self, account: Account) -> tuple[Secret, Secret]:
        access, refresh = map(Secret, orjson.loads(self._vault.open(account.sealed.encode()).reveal()))
        return access, refresh

    async def reseal(self) -> tuple[int, list[str]]:
        """Encrypt every account's tokens with the newest key: how many, and the users whose tokens no key opens."""
        return await self._ledger.reseal(lambda sealed: self._vault.resealed(sealed.encode()).decode())

    async def close(self) -> None:
        """Calls under way get their answer kept, for a while."""
        self._closing = True
        running = [*self._exchanges.values(), *self._at_work]
        if running:
            await asyncio.wait(running, timeout=CLOSE_SECONDS)
        for task in running:
            task.cancel()
