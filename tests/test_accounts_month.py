"""Two hundred accounts, thirty days, a vendor that fails three calls in ten: what must hold all the while."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from typing import Any

import pytest
from accounts_kit import Desk, open_desk

from relay.caretaker import Caretaker
from relay.grants import CHECK_SECONDS, Account, AccountStatus, standing

HOUR, DAY = 3600.0, 86_400.0
STEP = 2 * HOUR
# From a person's change of mind until the next look, and that look may fail several times before it hears.
UNNOTICED_SECONDS = CHECK_SECONDS + 10 * HOUR


class Month:
    """The vendor's own books beside ours; every difference that must not be is a fault."""

    def __init__(self, desk: Desk, accounts: int, seed: int) -> None:
        self.desk, self.count = desk, accounts
        self.dice = random.Random(seed)
        self.books = desk.vendor.app.state.sandbox.accounts
        self.cancelled: dict[str, float] = {}
        self.codes: list[str] = []
        self.faults: list[str] = []
        self.seen: set[str] = set()

    async def link(self, user: str | None = None) -> None:
        """As a platform does: a fresh code, until one is taken."""
        for _ in range(40):
            code = await self.desk.vendor.code("Jo", **({} if user is None else {"userId": user}))
            self.codes.append(code)
            answers = await asyncio.gather(self.desk.post(code), self.desk.post(code))
            if {201} == {answer.status_code for answer in answers}:
                self.cancelled.pop(answers[0].json()["userId"], None)
                return
        raise AssertionError("no code was taken")

    async def live(self, days: int) -> None:
        for _ in range(self.count):
            await self.link()
        for _ in range(int(days * DAY / STEP)):
            if self.dice.random() < 0.3:
                user = self.dice.choice(list(self.books.users))
                if self.books.users[user].pair is not None:
                    self.books.cancel(user)
                    self.cancelled[user] = self.desk.clock.now()
            await self.desk.pass_time(STEP)
            for account in await self.desk.wiring.accounts.all():
                self.look_at(account)
            ended = [a for a in await self.desk.wiring.accounts.all() if a.ended is not None]
            for account in ended[: self.dice.randrange(3)]:
                await self.link(account.user)

    def look_at(self, account: Account) -> None:
        now = self.desk.clock.now()
        status, _ = standing(account, now)
        self.seen.add(status.value)
        pair = self.books.users[account.user].pair
        access, refresh = (one.reveal() for one in self.desk.wiring.accounts._ledger.open(account))
        dead = pair is None or pair.access != access or now >= pair.access_ends
        noticed = now - self.cancelled.get(account.user, -UNNOTICED_SECONDS) > UNNOTICED_SECONDS
        if status is AccountStatus.LINKED and dead and noticed:
            self.faults.append(f"shown linked, and its tokens are dead: {account}")
        if account.ended is not None and pair is not None and pair.refresh == refresh and now < pair.refresh_ends:
            self.faults.append(f"given up ({account.why}), and the vendor has its pair granted")

    async def judge(self) -> list[str]:
        calls = (await self.desk.vendor.calls())["exchanges"]
        twice = [code for code in self.codes if calls.get(code, {"calls": 0})["calls"] > 1]
        return self.faults + [f"exchanged twice: {code}" for code in twice] + [str(a) for a in self.books.calls.alerts]


async def a_month(accounts: int, seed: int, days: int = 30) -> tuple[list[str], Month, dict[str, Any]]:
    async with open_desk(log_level="error") as desk:
        await desk.vendor.order(random_failures=0.3, random_seed=seed, hang_seconds=0, access_seconds=1.5 * DAY)
        month = Month(desk, accounts, seed)
        await month.live(days)
        await desk.vendor.order(random_failures=0.0)
        return await month.judge(), month, await desk.vendor.calls()


@pytest.mark.timeout(240)  # thirty days of two hundred accounts
async def test_nothing_is_lost_doubled_or_shown_better_than_it_is():
    """No code exchanged twice, no pair lost while the vendor has it granted, none `linked` whose tokens are dead."""
    faults, month, calls = await a_month(200, seed=4)
    assert [] == faults
    assert {"linked", "expiring", "reauth_required", "revoked"} == month.seen
    assert calls["failed"] > 1000
    assert sum(one["granted"] for one in calls["refreshes"].values()) > 200 * 10


async def test_the_books_notice_a_pair_that_is_given_up(monkeypatch):
    """The negative control: without asking the old access token, doubt ends in a pair that was alive."""

    async def believe(self: Caretaker, account: Account, access: str) -> Account:
        return account

    monkeypatch.setattr(Caretaker, "_settle", believe)
    faults, _, _ = await a_month(30, seed=4, days=8)
    assert [] != [fault for fault in faults if "given up" in fault]


async def test_the_books_notice_an_account_that_is_shown_too_well(monkeypatch):
    """The negative control: forgetting that a refresh was asked for shows dead tokens as good ones."""
    keep = Caretaker._refresh

    async def forgetful(self: Caretaker, account: Account, token: str) -> None:
        try:
            await keep(self, account, token)
        finally:
            after = await self._ledger.find(account.user)
            if after is not None and after.tries and after.ended is None:
                await self._ledger.keep(replace(after, tries=0, access_until=None, checked_at=self._clock.now()))

    monkeypatch.setattr(Caretaker, "_refresh", forgetful)
    faults, _, _ = await a_month(30, seed=4, days=8)
    assert [] != [fault for fault in faults if "shown linked" in fault]
