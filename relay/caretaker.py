"""The caretaker: refreshes linked accounts ahead of their time, looks whether the vendor still knows them, ends them.

Every step is kept before the next one is taken, so that a crash between two of them leaves a question, not a loss: a
refresh is written down before the vendor is asked, and the new pair before it is used.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace

import structlog

from relay.account_ledger import Ledger
from relay.clock import Clock
from relay.errors import StoreUnavailable, VendorRefused, VendorUnavailable, VendorUntouched
from relay.grants import TRIES_MAX, Account, AccountStatus, check_at, earlier, refresh_at, usable
from relay.secret import Secret
from relay.vendors import AccountServer

log = structlog.get_logger()

CALLS_MAX = 8  # under way at the same time
AGAIN_SECONDS = 30.0  # after the vendor gave no usable answer; doubled each time
AGAIN_SECONDS_MAX = 3600.0
LOOK_SECONDS = 30.0  # between two looks at what is due
CLOSE_SECONDS = 10.0  # for calls under way when the relay ends: a pair that comes then is kept
REFUSALS_MAX = 3  # in a row, of everybody's: more of them are about us
DOUBT_SECONDS_MAX = 3 * 86_400.0  # then a refusal is believed


class Caretaker:
    def __init__(self, ledger: Ledger, server: AccountServer | None, clock: Clock) -> None:
        self._ledger = ledger
        self._server = server
        self._clock = clock
        self._at_work: set[asyncio.Task[None]] = set()
        self._calls = asyncio.Semaphore(CALLS_MAX)
        self._failures: dict[str, int] = {}  # in a row, by account
        self._refusals = REFUSALS_MAX  # since the vendor last gave somebody a pair; so far it has given nobody any
        self._closing = False

    async def run(self) -> None:
        """Look after every account when it is due, until cancelled."""
        if self._server is None:
            return
        while True:
            try:
                await self._ledger.load()
                await self.tend()
            except StoreUnavailable:
                pass  # it says so itself
            except Exception:
                log.exception("accounts not looked after")  # and time goes on
            await asyncio.sleep(LOOK_SECONDS)

    async def tend(self) -> None:
        """Do what is due now."""
        tasks = [asyncio.create_task(self._visit(user)) for user in self._ledger.due()]
        self._at_work.update(tasks)
        for task in tasks:
            task.add_done_callback(self._at_work.discard)
        if tasks:
            await asyncio.shield(asyncio.gather(*tasks))

    def granted(self) -> None:
        """The vendor gave somebody a pair: it knows us."""
        self._refusals = 0

    def forget(self, user: str) -> None:
        self._failures.pop(user, None)

    async def close(self) -> None:
        """Calls under way get their answer kept, for a while."""
        self._closing = True
        await ended(list(self._at_work))

    # -- one account ----------------------------------------------------------

    async def _visit(self, user: str) -> None:
        async with self._calls, self._ledger.turn(user):
            if self._closing or not self._ledger.is_due(user):  # any more: it may have been done meanwhile
                return
            try:
                account = await self._ledger.find(user)
                if account is None:
                    return
                await self._look_after(account)
                self._failures.pop(user, None)
            except (VendorUnavailable, StoreUnavailable) as error:
                again = self._failures[user] = self._failures.get(user, 0) + 1
                self._ledger.put_off(user, min(AGAIN_SECONDS * 2 ** min(again - 1, 10), AGAIN_SECONDS_MAX))
                log.warning("account not looked after", why=error.detail)
            except Exception:  # such as a vault without its key: the others are looked after
                self._ledger.put_off(user, AGAIN_SECONDS_MAX)
                log.exception("account not looked after")

    async def _look_after(self, account: Account) -> None:
        assert self._server is not None
        now = self._clock.now()
        if account.refresh_until is not None and now >= account.refresh_until:
            # She shows as `reauth_required` (`grants.standing`). Nothing is written: the clock may be what is wrong.
            self._ledger.put_off(account.user, AGAIN_SECONDS_MAX)
            return
        access, refresh = self._ledger.open(account)
        if account.tries:
            account = await self._settle(account, access)
        wants, check = refresh_at(account, now), check_at(account, now)
        if account.tries or account.doubted_at is not None or (wants is not None and now >= wants):
            await self._refresh(account, refresh)
        elif check is not None and now >= check:
            try:
                await self.ask_name(account, access)
            except VendorRefused:  # cancelled, or ended before its time: a refresh tells
                await self._refresh(account, refresh)

    async def ask_name(self, account: Account, access: Secret, *, fresh: bool = False) -> Account:
        """The user's name, if the vendor takes the token; `fresh`: given just now.

        Raises `VendorUnavailable`, `VendorRefused`.
        """
        assert self._server is not None
        try:
            name = await self._server.user_name(access)
        except VendorRefused:
            if fresh or account.nameless:
                account = replace(account, nameless=True)  # fresh and refused: the scope does not reach so far
                await self._ledger.keep_surely(account)
            raise
        account = replace(account, name=name or account.name, checked_at=self._clock.now())
        await self._ledger.keep_surely(account)
        return account

    async def _settle(self, account: Account, access: Secret) -> Account:
        """A refresh without an answer did not happen where the vendor still takes the old access token: a refresh ends
        that at once (facts.md 3.3, rule 2). Raises `VendorUnavailable`."""
        if account.nameless or not usable(account, self._clock.now()):
            return account
        with contextlib.suppress(VendorRefused):
            return await self.ask_name(replace(account, tries=0), access)
        return account

    async def _refresh(self, account: Account, token: Secret) -> None:
        """The next pair, kept before it is used. Raises `VendorUnavailable`, `StoreUnavailable`."""
        assert self._server is not None
        if account.tries >= TRIES_MAX:
            await self._end(
                account, AccountStatus.REAUTH_REQUIRED, "the vendor did not answer when the tokens were refreshed"
            )
            return
        await self._ledger.keep(replace(account, tries=account.tries + 1))
        try:
            grant = await self._server.refresh(token)
        except VendorUntouched:
            await self._ledger.keep_surely(account)
            raise
        except VendorRefused as refusal:
            await self._refused(account, refusal)
            return
        self.granted()
        now = self._clock.now()
        await self._ledger.keep_surely(
            replace(
                account,
                sealed=self._ledger.seal(grant),
                granted_at=now,
                checked_at=now,
                access_until=grant.access_until,
                refresh_until=earlier(account.refresh_until, grant.refresh_until),  # never extended
                tries=0,
                doubted_at=None,
            )
        )
        log.info("account refreshed", model=account.model)

    async def _refused(self, account: Account, refusal: VendorRefused) -> None:
        """The vendor's no ends an account, unless it says no to everybody: then it may be about a setting of ours, and
        nobody has to authorize anything again. Raises `VendorUnavailable` then."""
        since = account.doubted_at if account.doubted_at is not None else self._clock.now()
        self._refusals += 1
        doubtful = self._refusals > REFUSALS_MAX and self._clock.now() < since + DOUBT_SECONDS_MAX
        if doubtful and not account.tries:  # a lost answer is reason enough
            await self._ledger.keep_surely(replace(account, doubted_at=since))
            raise VendorUnavailable(
                f"{refusal.detail}; it has refused everybody lately: check LOVENSE_DEVELOPER_TOKEN and LOVENSE_APP_ID"
            )
        # After a refresh whose answer was lost, this says nothing about the user's will.
        status = AccountStatus.REAUTH_REQUIRED if account.tries else AccountStatus.REVOKED
        why = "the answer to a refresh was lost" if account.tries else "the vendor takes the tokens no more"
        await self._end(account, status, why)

    async def _end(self, account: Account, status: AccountStatus, why: str) -> None:
        why = f"{why}: ask the user for a new authorization"
        await self._ledger.keep_surely(replace(account, ended=status.value, why=why))
        log.warning("account ended", model=account.model, status=status.value, why=why)


async def ended(tasks: list[asyncio.Task[None]] | list[asyncio.Task[Account]]) -> None:
    """Tasks get a while to end by themselves."""
    if tasks:
        await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
    for task in tasks:
        task.cancel()
