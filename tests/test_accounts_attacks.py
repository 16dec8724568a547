"""Linked accounts under attack: races, crashes, clocks and wrong settings; the vendor is the sandbox over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from accounts_kit import Desk, open_desk, quoted, settings_for
from kit import ENCRYPTION_KEY, Platform, Relay, eventually, serving
from sandbox_kit import APP_ID, APP_SECRET, DEVELOPER, gallery

from relay import accounts as accounts_module
from relay.clock import Clock, TickingClock
from relay.errors import StoreUnavailable
from relay.grants import CHECK_SECONDS, DOUBT_SECONDS, NAMELESS_SECONDS
from relay.sandbox.accounts import ACCESS, Denied
from relay.secret import Secret
from relay.stores import Store
from relay.stores.memory import MemoryStore
from relay.stores.sqlite import SqliteStore

HOUR, DAY = 3600.0, 86_400.0


def books(desk: Desk) -> Any:
    """The vendor's own: what it has granted to whom."""
    return desk.vendor.app.state.sandbox.accounts


async def kept_pair(desk: Desk, user: str) -> tuple[str, str]:
    ledger = desk.wiring.accounts._ledger
    access, refresh = ledger.open(await ledger.find(user))
    return access.reveal(), refresh.reveal()


async def is_alive(desk: Desk, user: str) -> bool:
    """Whether the pair on our disk is the one that the vendor has granted."""
    pair = books(desk).users[user].pair
    return pair is not None and (pair.access, pair.refresh) == await kept_pair(desk, user)


class Disk:
    """Stands before a store: can be full for what is kept of accounts, or unreadable."""

    def __init__(self, desk: Desk) -> None:
        self.store = desk.wiring.store
        self.keep, self.document = self.store.keep, self.store.document

    def fail(self, *, read: bool = False, kind: str = "account") -> None:
        def keep(change: Any) -> Any:
            if not any(one.kind == kind for one in change.documents):
                return self.keep(change)
            failed = asyncio.get_running_loop().create_future()
            failed.set_exception(StoreUnavailable("full"))
            return failed

        async def document(asked: str, id: str) -> Any:
            if asked == kind:
                raise StoreUnavailable("unreadable")
            return await self.document(asked, id)

        self.store.keep = keep
        if read:
            self.store.document = document

    def recover(self) -> None:
        self.store.keep, self.store.document = self.keep, self.document


# -- Codes -------------------------------------------------------------------------------------------------------------


async def test_a_storm_of_posts_exchanges_each_code_once():
    """Ten codes, posted a hundred times in any order, by clients of which some leave at once."""
    async with open_desk() as desk:
        await desk.vendor.order(answer_delay=0.01)
        codes = [await desk.vendor.code(f"user {n}") for n in range(10)]
        posts = codes * 10
        random.Random(1).shuffle(posts)
        async with Platform(desk.platform.url) as impatient:
            leaving = [
                asyncio.create_task(impatient.http.post("/accounts", json={"authCode": code})) for code in codes[:5]
            ]
            await eventually(lambda: desk.wiring.accounts._exchanges, "an exchange")
            for one in leaving:
                one.cancel()
            await asyncio.gather(*leaving, return_exceptions=True)
        answers = await asyncio.gather(*(desk.post(code) for code in posts))
        assert {201, 409} >= {answer.status_code for answer in answers}
        calls = (await desk.vendor.calls())["exchanges"]
        assert {1} == {calls[code]["calls"] for code in codes}
        assert 10 == len((await desk.platform.http.get("/accounts")).json()["accounts"])
        assert [] == (await desk.vendor.calls())["alerts"]


async def test_two_codes_of_one_user_leave_the_later_pair():
    """A button that was clicked twice: the vendor honours the pair it gave last, and so does the disk."""
    async with open_desk() as desk:
        user = (await desk.linked())["userId"]
        remember = desk.wiring.store.keep
        exchanged = desk.wiring.accounts._server.exchange
        first_waits, second_came = asyncio.Event(), asyncio.Event()

        async def exchange(code: str) -> Any:
            """The first answer is held up behind the second, if there can be one at the same time."""
            grant = await exchanged(code)
            if first_waits.is_set():
                second_came.set()
                return grant
            first_waits.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    await second_came.wait()
                    await eventually(lambda: kept, "the second pair on disk")
            return grant

        kept: list[Any] = []

        def keep(change: Any) -> Any:
            kept.extend(one for one in change.documents if "account" == one.kind and second_came.is_set())
            return remember(change)

        desk.wiring.accounts._server.exchange = exchange
        desk.wiring.store.keep = keep
        codes = [await desk.vendor.code("Jo", userId=user) for _ in range(2)]
        answers = await asyncio.gather(*(desk.post(code) for code in codes))
        assert {201} == {answer.status_code for answer in answers}
        assert await is_alive(desk, user)


async def test_a_code_is_remembered_for_a_day_and_not_for_ever():
    """However long the relay runs."""
    async with open_desk() as desk:
        code = await desk.vendor.code()
        assert 201 == (await desk.post(code)).status_code
        await desk.look()
        desk.clock.tick(0.9 * DAY)
        await desk.look()
        assert 409 == (await desk.post(code)).status_code
        desk.clock.tick(0.2 * DAY)
        await desk.look()
        assert [] == await desk.wiring.store.documents("auth-code")


async def test_a_code_past_its_three_minutes_is_refused_with_the_remedy():
    """By the vendor; once, and then here."""
    async with open_desk() as desk:
        code = await desk.vendor.code()
        desk.clock.tick(181)
        late = await desk.post(code)
        assert (502, "vendor_refused") == (late.status_code, late.json()["type"])
        assert "get a new auth code" in late.json()["detail"]
        assert (409, 1) == ((await desk.post(code)).status_code, await desk.came("exchanges"))


# -- The disk ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [False, True])
async def test_a_pair_outlives_a_disk_that_fails_when_it_comes(read, monkeypatch):
    """The vendor has given it: it waits for the disk. Whoever posts the code again meanwhile hears the same."""
    monkeypatch.setattr(accounts_module, "WAIT_SECONDS_MAX", 0.2)
    async with open_desk() as desk:
        disk = Disk(desk)
        code = await desk.vendor.code()
        disk.fail(read=read)
        first = await desk.post(code)
        assert (503, "store_unavailable") == (first.status_code, first.json()["type"])
        assert "post the same code again" in first.json()["detail"]
        assert code not in first.text
        disk.recover()
        monkeypatch.setattr(accounts_module, "WAIT_SECONDS_MAX", 5)
        again = await desk.post(code)
        assert (201, 1) == (again.status_code, await desk.came("exchanges"))
        assert await is_alive(desk, again.json()["userId"])


async def test_a_pair_is_on_disk_before_it_is_used():
    """Rule 2: whenever the vendor sees an access token, the store has it already."""
    async with open_desk() as desk:
        server, early = desk.wiring.accounts._server, []
        ask = server.user_name

        async def user_name(token: Any) -> Any:
            pairs = [desk.wiring.accounts._ledger.open(one) for one in await desk.wiring.accounts.all()]
            early.extend([token] if token not in [access for access, _ in pairs] else [])
            return await ask(token)

        server.user_name = user_name
        await desk.vendor.order(access_seconds=10 * HOUR)
        await desk.linked()
        await desk.pass_time(14 * HOUR)
        assert (1, 3) == (await desk.granted("refreshes"), await desk.granted("user_infos"))
        assert [] == early


async def test_forgetting_does_not_wait_for_ever(monkeypatch):
    """While an account's next pair waits for the disk, 503 says to try again; then it can be forgotten."""
    async with open_desk() as desk:
        user = (await desk.linked())["userId"]
        disk = Disk(desk)
        await desk.vendor.order(answer_delay=0.1)
        desk.clock.tick(0.8 * HOUR)
        tending = asyncio.create_task(desk.look())
        await eventually(lambda: books(desk).users[user].refreshes, "a refresh")
        disk.fail()
        monkeypatch.setattr(accounts_module, "WAIT_SECONDS_MAX", 0.3)
        answer = await desk.platform.http.delete(f"/accounts/{quoted(user)}")
        assert (503, "store_unavailable") == (answer.status_code, answer.json()["type"])
        disk.recover()
        await tending
        assert await is_alive(desk, user)
        assert 204 == (await desk.platform.http.delete(f"/accounts/{quoted(user)}")).status_code


async def test_the_caretaker_outlives_a_fault(monkeypatch):
    """One that nobody thought of costs one look, not all that would have followed."""
    async with open_desk() as desk:
        caretaker, looked = desk.wiring.accounts._caretaker, asyncio.Event()
        monkeypatch.setattr("relay.caretaker.LOOK_SECONDS", 0.01)
        faults = [ValueError("not a document")]

        async def faulty() -> None:
            if faults:
                raise faults.pop()
            looked.set()

        monkeypatch.setattr(caretaker, "tend", faulty)
        task = asyncio.create_task(caretaker.run())
        async with asyncio.timeout(5):
            await looked.wait()
        task.cancel()


# -- Crashes -----------------------------------------------------------------------------------------------------------


async def test_a_crash_during_an_exchange_costs_the_code_and_raises_no_alert(relay_process):
    """`kill -9` between the vendor's answer and the disk: the code is not tried again, and a new one links her."""
    async with gallery() as vendor:
        url = str(vendor.base_url).rstrip("/")
        environment = {
            "LOVENSE_API_URL": url,
            "LOVENSE_APP_GALLERY_URL": url,
            "LOVENSE_DEVELOPER_TOKEN": DEVELOPER["developerToken"],
            "LOVENSE_APP_ID": APP_ID,
            "LOVENSE_APP_SECRET": APP_SECRET,
            "RELAY_ENCRYPTION_KEYS": ENCRYPTION_KEY,
        }
        code = await vendor.code()
        await vendor.order(exchange="timeout_after", hang_seconds=60)
        process = relay_process(**environment)
        async with await process.start() as platform:
            posting = asyncio.create_task(platform.http.post("/accounts", json={"authCode": code}))
            await eventually(lambda: next(iter(vendor.app.state.sandbox.accounts.users.values())).pair, "a pair")
            await process.kill()
            await asyncio.gather(posting, return_exceptions=True)
        await vendor.order(exchange="ok")
        async with await process.start() as platform:
            refused = await platform.http.post("/accounts", json={"authCode": code})
            assert (409, "auth_code_used") == (refused.status_code, refused.json()["type"])
            assert [] == (await platform.http.get("/accounts")).json()["accounts"]
            fresh = await platform.http.post("/accounts", json={"authCode": await vendor.code()})
            assert 201 == fresh.status_code
        calls = await vendor.calls()
        assert (1, []) == (calls["exchanges"][code]["calls"], calls["alerts"])


@asynccontextmanager
async def again(desk: Desk, store: Store) -> AsyncIterator[Desk]:
    """The next relay on the same disk."""
    async with serving(desk.wiring.settings, desk.clock, store=store) as relay:
        yield Desk(relay.platform, desk.vendor, relay.wiring, desk.clock)


async def crashed(desk: Desk, done: Any) -> None:
    """The relay is gone while a call of the caretaker's is under way: its task ends where it stands."""
    caretaker = desk.wiring.accounts._caretaker
    tending = asyncio.create_task(caretaker.tend())
    await eventually(done, "the vendor's effect")
    for task in list(caretaker._at_work):
        task.cancel()
    await asyncio.gather(tending, return_exceptions=True)


async def test_a_crash_after_the_vendor_refreshed_is_told_as_it_is():
    """The new pair never reached us: `expiring` at once, `reauth_required` once the vendor says no to the old one."""
    store = MemoryStore()
    async with open_desk(store=store) as desk:
        user = (await desk.linked())["userId"]
        desk.clock.tick(0.8 * HOUR)
        await desk.vendor.order(refresh="timeout_after")
        await crashed(desk, lambda: books(desk).users[user].refreshes)
        await desk.vendor.order(refresh="ok")
        async with again(desk, store) as later:
            assert "expiring" == (await later.account(user))["status"]
            await later.look()
            assert "reauth_required" == (await later.account(user))["status"]
            assert 2 == await later.came("refreshes")
            await later.pass_time(5 * DAY)
            assert 2 == await later.came("refreshes")


async def test_a_crash_before_the_vendor_refreshed_loses_nothing():
    """The old access token is still taken: it did not happen, and the next relay refreshes."""
    store = MemoryStore()
    async with open_desk(store=store) as desk:
        user = (await desk.linked())["userId"]
        desk.clock.tick(0.8 * HOUR)
        await desk.vendor.order(refresh="timeout_before")
        await crashed(desk, lambda: any(one.calls for one in books(desk).calls.refreshes.values()))
        await desk.vendor.order(refresh="ok")
        async with again(desk, store) as later:
            assert "expiring" == (await later.account(user))["status"]
            await later.look()
            assert "linked" == (await later.account(user))["status"]
            assert await is_alive(later, user)


async def test_a_relay_that_ends_waits_for_the_pair_under_way(tmp_path):
    """A restart during a refresh keeps the answer."""
    path = str(tmp_path / "relay.db")
    async with open_desk(store=SqliteStore(path)) as desk:
        await desk.vendor.order(access_seconds=HOUR)
        user = (await desk.linked())["userId"]
        desk.clock.tick(0.8 * HOUR)
        await desk.vendor.order(answer_delay=0.3)
        looking = asyncio.create_task(desk.look())
        await eventually(lambda: books(desk).users[user].refreshes, "a refresh")
        await desk.wiring.accounts.close()
        await looking
        assert await is_alive(desk, user)
        desk.clock.tick(HOUR)
        await desk.wiring.accounts._caretaker.tend()  # a relay that ends begins nothing
        assert 1 == await desk.came("refreshes")


# -- Races with the platform -------------------------------------------------------------------------------------------


async def test_an_account_forgotten_during_its_refresh_stays_forgotten():
    """The pair that comes last is not written over the empty place."""
    async with open_desk() as desk:
        user = (await desk.linked())["userId"]
        await desk.vendor.order(answer_delay=0.1)
        desk.clock.tick(0.8 * HOUR)
        looking = asyncio.create_task(desk.look())
        await eventually(lambda: books(desk).users[user].refreshes, "a refresh")
        assert 204 == (await desk.platform.http.delete(f"/accounts/{quoted(user)}")).status_code
        await looking
        assert 404 == (await desk.platform.http.get(f"/accounts/{quoted(user)}")).status_code
        before = await desk.came("refreshes"), await desk.came("user_infos")
        await desk.pass_time(10 * DAY)
        assert before == (await desk.came("refreshes"), await desk.came("user_infos"))


async def test_linking_and_forgetting_at_the_same_time_leaves_one_of_both():
    """Linked with a pair that lives, or gone; never a half."""
    async with open_desk() as desk:
        user = (await desk.linked())["userId"]
        for n in range(10):
            await desk.vendor.order(answer_delay=0.004 * (n % 3))
            code = await desk.vendor.code("Jo", userId=user)
            posted, gone = await asyncio.gather(desk.post(code), desk.platform.http.delete(f"/accounts/{quoted(user)}"))
            assert 201 == posted.status_code
            assert gone.status_code in (204, 404)
            answer = await desk.platform.http.get(f"/accounts/{quoted(user)}")
            assert answer.status_code in (200, 404)
            assert 404 == answer.status_code or await is_alive(desk, user)


async def test_linking_again_during_a_refresh_keeps_the_newest_pair():
    """Whichever of the two the vendor took first."""
    async with open_desk() as desk:
        user = (await desk.linked())["userId"]
        for delay in (0.0, 0.02, 0.0, 0.02):
            desk.clock.tick(0.8 * HOUR)
            code = await desk.vendor.code("Jo", userId=user)
            await desk.vendor.order(answer_delay=delay)
            looked, posted = await asyncio.gather(desk.look(), desk.post(code))
            assert (None, 201) == (looked, posted.status_code)
            assert await is_alive(desk, user)
            assert "linked" == (await desk.account(user))["status"]


# -- Models ------------------------------------------------------------------------------------------------------------


async def test_a_model_shows_the_account_that_was_linked_with_her_last():
    """Not the one that was refreshed last; and when it is forgotten, the one before."""
    async with open_desk() as desk:
        await desk.platform.register()
        first = await desk.linked("first", model="coco")
        desk.clock.tick(60)
        await desk.vendor.order(access_seconds=10 * DAY)
        second = await desk.linked("second", model="coco")
        await desk.pass_time(0.8 * HOUR)

        async def shown() -> list[str]:
            answer = await desk.platform.http.get("/accounts", params={"model": "coco"})
            return [one["userId"] for one in answer.json()["accounts"]]

        assert 1 == await desk.came("refreshes")
        assert [second["userId"]] == await shown()
        await desk.platform.http.delete(f"/accounts/{quoted(second['userId'])}")
        assert [first["userId"]] == await shown()


async def test_an_account_that_moved_does_not_show_with_its_old_model():
    """Another model's page is none of her business."""
    async with open_desk() as desk:
        for model in ("coco", "kim"):
            await desk.platform.register(model, model)
        user = (await desk.linked(model="coco"))["userId"]
        assert 201 == (await desk.post(await desk.vendor.code(userId=user), model="kim")).status_code
        assert (await desk.platform.state("coco"))["account"] is None
        assert "linked" == (await desk.platform.state("kim"))["account"]["status"]


async def test_no_feed_and_no_page_hears_of_accounts():
    """Neither ids, nor names, nor tokens; not even the platform's own view of a feed, and no log line."""
    async with open_desk() as desk:
        relay_platform = desk.platform
        await relay_platform.register()
        relay = Relay(desk.wiring, relay_platform.url)
        async with (
            relay.platform,
            relay.feed() as platform,
            relay.feed(model=None) as console,
            relay.reader("chat") as chat,
            relay.reader("viewer") as viewer,
            relay.page() as page,
        ):
            account = await desk.linked("Secret Jo", model="coco")
            await desk.pass_time(0.8 * HOUR)
            pair = await kept_pair(desk, account["userId"])
            await desk.vendor.cancel(account["userId"])
            await desk.pass_time(CHECK_SECONDS)
            assert "revoked" == (await desk.account(account["userId"]))["status"]
            await relay_platform.accepted()
            private = ("Secret Jo", account["userId"], quoted(account["userId"]), *pair)
            for reader in (platform, console, chat, viewer):
                await reader.next("tip")
                assert [] == [one for one in private if one in str(reader.seen)]
            await page.next("tip")
            assert [] == [one for one in private if one in str((page.welcome, page._seen))]
        for path in ("/models", "/models/coco", "/metrics", "/tips/t1"):
            assert [] == [one for one in private if one in (await relay_platform.http.get(path)).text]


# -- Settings that are wrong -------------------------------------------------------------------------------------------


async def test_a_wrong_setting_revokes_nobody():
    """The vendor refuses us, not her: nobody has to authorize anything again because of a typing error."""
    store = MemoryStore()
    async with open_desk(store=store) as desk:
        users = [(await desk.linked(f"user {n}"))["userId"] for n in range(5)]
        desk.clock.tick(0.8 * HOUR)
        wrong = replace(desk.wiring.settings, developer_token=Secret("no-longer-ours"))
        async with serving(wrong, desk.clock, store=store) as relay:
            broken = Desk(relay.platform, desk.vendor, relay.wiring, desk.clock)
            await broken.pass_time(2 * DAY)
            for user in users:
                account = await broken.account(user)
                assert "expiring" == account["status"]
                assert "settings" in account["why"]
        async with again(desk, store) as later:
            await later.pass_time(HOUR)
            assert ["linked"] * 5 == [(await later.account(user))["status"] for user in users]


async def test_a_token_that_the_dashboard_replaced_costs_few():
    """While the relay runs: more than three refusals in a row are about us."""
    async with open_desk() as desk:
        users = [(await desk.linked(f"user {n}"))["userId"] for n in range(10)]
        desk.vendor.app.state.sandbox.developer_token = "another"
        await desk.pass_time(DAY)
        statuses = [(await desk.account(user))["status"] for user in users]
        assert statuses.count("revoked") <= 3
        assert {"revoked", "expiring"} >= set(statuses)


async def test_a_refusal_is_believed_in_the_end():
    """A relay that was restarted, one account, and a user who did cancel: it says so after three days of doubt."""
    store = MemoryStore()
    async with open_desk(store=store) as desk:
        user = (await desk.linked())["userId"]
        await desk.vendor.cancel(user)
        async with again(desk, store) as later:
            await later.pass_time(CHECK_SECONDS)
            assert "expiring" == (await later.account(user))["status"]
            await later.pass_time(3 * DAY + HOUR)
            assert "revoked" == (await later.account(user))["status"]


# -- Silence -----------------------------------------------------------------------------------------------------------


async def test_an_account_that_nobody_vouches_for_is_not_linked():
    """The vendor says nothing for a day, and no deadline says that the token is dead: nobody knows."""
    async with open_desk() as desk:
        await desk.vendor.order(access_seconds=100 * DAY)
        user = (await desk.linked())["userId"]
        await desk.vendor.order(user_info="timeout_before", hang_seconds=0)
        await desk.pass_time(DOUBT_SECONDS - HOUR)
        assert "linked" == (await desk.account(user))["status"]
        await desk.pass_time(HOUR)
        assert "expiring" == (await desk.account(user))["status"]
        await desk.vendor.order(user_info="ok")
        await desk.pass_time(2 * HOUR)
        assert "linked" == (await desk.account(user))["status"]


async def test_a_user_whose_name_is_refused_is_looked_after_all_the_same():
    """By the clock on the wall, which stands still for nobody: her scope is told from her authorization, and a refresh
    twice a day tells whether that stands."""
    async with gallery(vendor_clock := TickingClock(1_700_000_000.0)) as vendor:
        clock = Running(vendor_clock)
        async with serving(settings_for(vendor), clock) as relay:
            desk = Desk(relay.platform, vendor, relay.wiring, vendor_clock)
            await vendor.order(expires_in="missing", re_expires_in="missing", access_seconds=100 * DAY)
            books(desk).whose = refuse(books(desk))
            user = (await desk.linked())["userId"]
            assert (await desk.wiring.accounts.find(user)).nameless
            await desk.pass_time(NAMELESS_SECONDS + HOUR)
            assert (1, "linked") == (await desk.granted("refreshes"), (await desk.account(user))["status"])
            await vendor.cancel(user)
            await desk.pass_time(NAMELESS_SECONDS + HOUR)
            assert "revoked" == (await desk.account(user))["status"]


class Running(Clock):
    """A clock that is never read twice alike."""

    def __init__(self, clock: TickingClock) -> None:
        self._clock = clock

    def now(self) -> float:
        self._clock.tick(0.001)
        return self._clock.now()


def refuse(accounts: Any) -> Any:
    def whose(token: str) -> Any:
        raise Denied(ACCESS, "the scope does not reach so far")

    return whose


# -- Clocks ------------------------------------------------------------------------------------------------------------


async def test_a_clock_that_jumps_ahead_ends_nothing_for_good():
    """Two years for a moment: she shows as her deadline says, and is linked when the clock is right again."""
    async with open_desk(vendor_clock=TickingClock(1_700_000_000.0)) as desk:
        user = (await desk.linked())["userId"]
        desk.clock.tick(730 * DAY)
        await desk.look()
        assert "reauth_required" == (await desk.account(user))["status"]
        desk.clock.tick(-730 * DAY)
        await desk.look()
        assert "linked" == (await desk.account(user))["status"]
        assert await is_alive(desk, user)


async def test_a_clock_that_is_set_back_leaves_nobody_unattended():
    """What was planned by the wrong time is planned anew: the next look is hours away, not years."""
    vendor_clock = TickingClock(1_700_000_000.0)
    async with open_desk(1_700_000_000.0 + 300 * DAY, vendor_clock=vendor_clock) as desk:
        await desk.vendor.order(expires_in="relative", access_seconds=2 * DAY)
        user = (await desk.linked())["userId"]
        await desk.look()
        desk.clock.tick(-300 * DAY)
        await desk.look()
        assert 1 == await desk.granted("refreshes")  # at once: what the wrong clock read says nothing
        for _ in range(4):
            vendor_clock.tick(0.6 * DAY)
            await desk.pass_time(0.6 * DAY)
        assert "linked" == (await desk.account(user))["status"]
        assert await is_alive(desk, user)
        assert vendor_clock.now() < books(desk).users[user].pair.access_ends


async def test_no_jump_extends_a_deadline():
    """Whatever the clock says when a refresh comes."""
    async with open_desk(vendor_clock=TickingClock(1_700_000_000.0)) as desk:
        await desk.vendor.order(re_expires_in="relative")
        account = await desk.linked()
        user = account["userId"]
        ends = account["authorized_until"]
        for jump in (-50 * DAY, 20 * DAY, -3 * HOUR, 60 * DAY):
            desk.clock.tick(jump)
            await desk.look()
            await desk.pass_time(HOUR)
            assert (await desk.account(user))["authorized_until"] <= ends
            ends = (await desk.account(user))["authorized_until"]


async def test_an_end_that_the_vendor_moves_nearer_holds():
    """And one that it moves away does not."""
    async with open_desk() as desk:
        first = await desk.linked()
        await desk.vendor.order(refresh_seconds=10 * DAY)
        await desk.pass_time(0.8 * HOUR)
        nearer = await desk.account(first["userId"])
        assert nearer["authorized_until"] < first["authorized_until"]
        await desk.vendor.order(refresh_seconds=399 * DAY)
        await desk.pass_time(DAY)
        assert nearer["authorized_until"] == (await desk.account(first["userId"]))["authorized_until"]
