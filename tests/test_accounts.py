"""Linked accounts, with the vendor's account servers at the other end over real HTTP (facts.md 3.2 and 3.3)."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest
from accounts_kit import open_desk, quoted
from kit import FEED_KEY, Platform, serving, serving_coco
from sandbox_kit import APP_SECRET, signature

from relay.grants import CHECK_SECONDS
from relay.stores.memory import MemoryStore
from relay.vendors.lovense.app_gallery import sign

HOUR, DAY = 3600.0, 86_400.0
A1_CLOCK = 1698387247.916  # 2023-10-27T06:14:07.916Z
SAMPLE_CODE = "8f8039620d97682f5dc2233c0846f4c9801cd5e98e10b495cf874b01e40dff25"


def test_the_sign_is_the_texts_and_not_the_samples():
    """3.2 rows 1 and 2: 44 characters, no line break; the vector of facts.md."""
    assert "UA0ILRBG4IlPpOYHT5Go5IjZRYq01aNFPLyOgVuBgAM=" == sign(SAMPLE_CODE, "test-app-secret")
    assert signature("any", APP_SECRET) == sign("any", APP_SECRET)


async def test_a_code_links_an_account():
    """Fixture A1: the deadlines of the sample's odd numbers, and a user id that comes back as it was."""
    async with open_desk(A1_CLOCK) as desk:
        account = await desk.linked("Jo")
        assert {"/", "+", "="} <= set(account["userId"])
        assert ("Jo", None, "linked", None) == tuple(account[name] for name in ("name", "model", "status", "why"))
        assert "2023-10-27T07:14:07" == account["access_until"][:19]
        assert "2024-10-26T06:14:07" == account["authorized_until"][:19]
        assert account == await desk.account(account["userId"])
        path = f"/accounts/{quote(account['userId'], safe='/+=')}"
        assert account == (await desk.platform.http.get(path)).json()
        assert [account] == (await desk.platform.http.get("/accounts")).json()["accounts"]


async def test_a_refresh_never_extends_the_authorization():
    """Fixture A1, 100 days later: `reExpiresIn` says a year again, and the deadline stays."""
    async with open_desk(A1_CLOCK) as desk:
        account = await desk.linked()
        desk.clock.tick(100 * DAY)  # the relay was away
        await desk.look()
        later = await desk.account(account["userId"])
        assert 1 == await desk.granted("refreshes")
        assert ("linked", account["authorized_until"]) == (later["status"], later["authorized_until"])
        assert later["access_until"] > account["access_until"]


async def test_a_code_is_exchanged_once_and_everybody_gets_the_same_answer():
    """Fixture A2: concurrent posts share one call; minutes later the code is refused here, without a call."""
    async with open_desk() as desk:
        code = await desk.vendor.code()
        answers = await asyncio.gather(*(desk.post(code) for _ in range(5)))
        assert [201] * 5 == [answer.status_code for answer in answers]
        assert 1 == len({answer.text for answer in answers})
        desk.clock.tick(240)
        late = await desk.post(code)
        assert (409, "auth_code_used") == (late.status_code, late.json()["type"])
        assert "get a new one" in late.json()["detail"]
        assert 1 == await desk.came("exchanges")


async def test_a_used_code_is_remembered_by_the_store():
    """Another relay on the same store refuses it, too."""
    store = MemoryStore()
    async with open_desk(store=store) as desk:
        code = await desk.vendor.code()
        assert 201 == (await desk.post(code)).status_code
        settings = desk.wiring.settings
        async with serving(settings, desk.clock, store=store) as other:
            answer = await other.platform.http.post("/accounts", json={"authCode": code})
            assert 409 == answer.status_code
        assert 1 == await desk.came("exchanges")


@pytest.mark.parametrize(
    "failure", ["timeout_before", "timeout_after", "error_before", "error_after", "garbage", "html"]
)
async def test_an_exchange_without_a_clear_answer_is_not_tried_again(failure):
    """Rule 1: nobody can tell whether the code was used, and using it again raises alerts."""
    async with open_desk() as desk:
        await desk.vendor.order(exchange=failure, hang_seconds=0)
        code = await desk.vendor.code()
        answer = await desk.post(code)
        assert 503 == answer.status_code
        assert "new auth code" in answer.json()["detail"]
        await desk.vendor.order(exchange="ok")
        assert 409 == (await desk.post(code)).status_code
        assert 1 == await desk.came("exchanges")
        assert 201 == (await desk.post(await desk.vendor.code())).status_code


async def test_a_code_that_the_vendor_never_saw_is_as_good_as_before():
    """429 turns us away; so does a server that cannot be reached."""
    async with open_desk() as desk:
        await desk.vendor.order(exchange="rate_limited")
        code = await desk.vendor.code()
        assert (503, "1") == ((one := await desk.post(code)).status_code, one.headers["Retry-After"])
        await desk.vendor.order(exchange="ok")
        assert 201 == (await desk.post(code)).status_code


@pytest.mark.parametrize(
    ("code", "status", "words"),
    [
        (None, 400, "authCode"),
        ("", 400, "authCode"),
        (7, 400, "authCode"),
        ("x" * 3000, 400, "authCode"),
        ("a b", 400, "authCode"),
        ("unknown", 502, "refused"),
    ],
)
async def test_what_is_no_code_is_refused(code, status, words):
    """Here where that can be told, else by the vendor; the code never shows."""
    async with open_desk() as desk:
        answer = await desk.post(code)
        assert status == answer.status_code
        assert words in answer.json()["detail"]
        assert code is None or code in ("", 7) or str(code) not in answer.text


@pytest.mark.parametrize("shape", ["nested", "flat", "text"])
@pytest.mark.parametrize("number", ["number", "text"])
async def test_every_documented_shape_is_read(shape, number):
    """3.2 rows 5 and 6: nested, flat, or JSON in a text; `code` 0 or "0"; `message` null or success."""
    async with open_desk() as desk:
        await desk.vendor.order(data=shape, code=number, message="success")
        account = await desk.linked("Jo")
        assert ("Jo", "linked") == (account["name"], account["status"])
        await desk.pass_time(HOUR)
        assert "linked" == (await desk.account(account["userId"]))["status"]


@pytest.mark.parametrize(
    "form", ["milliseconds", "seconds", "relative", "milliseconds_text", "seconds_text", "relative_text"]
)
async def test_every_form_of_a_deadline_is_read(form):
    """3.2 row 7."""
    async with open_desk() as desk:
        await desk.vendor.order(expires_in=form, re_expires_in=form)
        account = await desk.linked()
        assert "2023-11-14T23:13:20" == account["access_until"][:19]
        assert "2024-11-13T22:13:20" == account["authorized_until"][:19]


@pytest.mark.parametrize("form", ["zero", "negative", "past", "null", "missing"])
async def test_a_deadline_that_says_nothing_is_unknown_and_the_token_good_until_refused(form):
    """3.2 row 7: the account is looked at now and then, and refreshed when the vendor refuses the token."""
    async with open_desk() as desk:
        await desk.vendor.order(expires_in=form, re_expires_in=form)
        account = await desk.linked()
        assert (None, None, "linked") == (account["access_until"], account["authorized_until"], account["status"])
        await desk.pass_time(CHECK_SECONDS)
        assert 1 == await desk.granted("refreshes")
        assert "linked" == (await desk.account(account["userId"]))["status"]


@pytest.mark.parametrize("field", ["accessToken", "refreshToken", "userId", "data", "result", "code"])
async def test_an_answer_without_what_is_needed_is_no_success(field):
    """Nothing is linked, and the answer says what to do."""
    async with open_desk() as desk:
        await desk.vendor.order(missing=field)
        answer = await desk.post(await desk.vendor.code())
        assert 503 == answer.status_code
        assert "new auth code" in answer.json()["detail"]
        assert [] == (await desk.platform.http.get("/accounts")).json()["accounts"]


async def test_a_user_who_shows_no_name_is_linked():
    """3.1: `authBase` asks nobody, so it names nobody."""
    async with open_desk() as desk:
        answer = await desk.post(await desk.vendor.code(scope="authBase"))
        assert (201, None) == (answer.status_code, answer.json()["name"])


async def test_a_refresh_comes_ahead_of_the_deadline_and_once():
    """Rule 2, single-flight: whoever asks for it at the same time."""
    async with open_desk() as desk:
        account = await desk.linked()
        await desk.pass_time(0.5 * HOUR)
        assert 0 == await desk.came("refreshes")
        desk.clock.tick(0.3 * HOUR)
        await asyncio.gather(*(desk.look() for _ in range(5)))
        assert 1 == await desk.came("refreshes")
        assert "linked" == (await desk.account(account["userId"]))["status"]


async def test_a_cancelled_authorization_is_revoked_and_left_in_peace():
    """Rule 3: the vendor refuses the name, one refresh is tried, and then nothing more."""
    async with open_desk() as desk:
        await desk.vendor.order(access_seconds=100 * DAY)
        account = await desk.linked()
        await desk.vendor.cancel(account["userId"])
        await desk.pass_time(CHECK_SECONDS)
        standing = await desk.account(account["userId"])
        assert "revoked" == standing["status"]
        assert "ask the user" in standing["why"]
        before = await desk.came("refreshes"), await desk.came("user_infos")
        await desk.pass_time(30 * DAY)
        assert before == (await desk.came("refreshes"), await desk.came("user_infos"))
        assert "linked" == (await desk.linked())["status"]


@pytest.mark.parametrize("failure", ["timeout_before", "error_before", "rate_limited", "html", "garbage"])
async def test_trouble_of_the_vendors_own_is_no_revocation(failure):
    """Rule 3: the account says that it is being asked, and is linked again when the trouble is over."""
    async with open_desk() as desk:
        account = await desk.linked()
        effect = {"user_info": failure} if failure == "garbage" else {"refresh": failure, "user_info": failure}
        await desk.vendor.order(hang_seconds=0, **effect)
        for _ in range(6):
            await desk.pass_time(0.15 * HOUR)
            assert (await desk.account(account["userId"]))["status"] in ("linked", "expiring")
        await desk.vendor.order(refresh="ok", user_info="ok")
        await desk.pass_time(HOUR)
        assert "linked" == (await desk.account(account["userId"]))["status"]


async def test_an_answer_that_was_lost_is_tried_once_more():
    """Rule 2: the vendor did refresh, nobody heard the new pair: the old token once more, then a person is needed."""
    async with open_desk() as desk:
        account = await desk.linked()
        await desk.vendor.order(refresh="timeout_after", failures=1, hang_seconds=0)
        await desk.pass_time(0.75 * HOUR + 1)
        assert "expiring" == (await desk.account(account["userId"]))["status"]
        await desk.pass_time(60)
        standing = await desk.account(account["userId"])
        assert ("reauth_required", 2) == (standing["status"], await desk.came("refreshes"))
        await desk.pass_time(10 * DAY)
        assert 2 == await desk.came("refreshes")


async def test_a_refresh_that_did_not_happen_is_proven_by_the_old_token():
    """However often the vendor fails before it acts, the pair is not given up: the old access token still works."""
    async with open_desk() as desk:
        await desk.vendor.order(access_seconds=10 * DAY)
        account = await desk.linked()
        await desk.vendor.order(refresh="timeout_before", hang_seconds=0)
        await desk.pass_time(9 * DAY)
        for _ in range(5):
            await desk.pass_time(HOUR)
        assert await desk.came("refreshes") > 3
        await desk.vendor.order(refresh="ok")
        await desk.pass_time(HOUR)
        assert ("linked", 1) == ((await desk.account(account["userId"]))["status"], await desk.granted("refreshes"))


async def test_an_authorization_ends_when_it_ends():
    """A week before that the account says so; then a person is needed."""
    async with open_desk() as desk:
        await desk.vendor.order(refresh_seconds=30 * DAY, access_seconds=60 * DAY)
        account = await desk.linked()
        await desk.pass_time(24 * DAY)
        assert "expiring" == (await desk.account(account["userId"]))["status"]
        await desk.pass_time(7 * DAY)
        assert "reauth_required" == (await desk.account(account["userId"]))["status"]


async def test_an_account_shows_with_its_model_without_its_id():
    """For the platform; no feed ever has it."""
    async with open_desk() as desk:
        assert 404 == (await desk.post(await desk.vendor.code(), model="coco")).status_code
        assert 201 == (await desk.platform.register()).status_code
        account = await desk.linked(model="coco")
        shown = (await desk.platform.state())["account"]
        assert ("linked", "coco") == (shown["status"], account["model"])
        assert "userId" not in shown
        only = (await desk.platform.http.get("/accounts", params={"model": "coco"})).json()["accounts"]
        assert [account] == only
        assert 204 == (await desk.platform.http.delete(f"/accounts/{quoted(account['userId'])}")).status_code
        assert (await desk.platform.state())["account"] is None
        gone = await desk.platform.http.get(f"/accounts/{quoted(account['userId'])}")
        assert (404, "unknown_account") == (gone.status_code, gone.json()["type"])


async def test_tokens_are_sealed_in_the_store():
    """What the store keeps of an account does not open a door."""
    store = MemoryStore()
    async with open_desk(store=store) as desk:
        account = await desk.linked()
        kept = await store.document("account", account["userId"])
        pair = next(iter(desk.vendor.app.state.sandbox.accounts.users.values())).pair
        assert pair.access not in str(kept)
        assert pair.refresh not in str(kept)


async def test_accounts_need_the_right_and_the_settings():
    """A key for the feed may not; a relay without the application's secret cannot."""
    async with open_desk() as desk, Platform(desk.platform.url, FEED_KEY) as chat:
        assert 403 == (await chat.http.get("/accounts")).status_code
        assert 403 == (await chat.http.post("/accounts", json={"authCode": "x"})).status_code
    async with serving() as relay:
        answer = await relay.platform.http.post("/accounts", json={"authCode": "x"})
        assert (501, "no_accounts") == (answer.status_code, answer.json()["type"])
        assert "LOVENSE_APP_SECRET" in answer.json()["detail"]


async def test_the_settings_page_is_given_to_the_platform():
    """The same address as in the ticket answer; where there is no vendor token, what to do."""
    async with open_desk() as desk:
        assert 201 == (await desk.platform.register()).status_code
        page = await desk.platform.http.get("/models/coco/settings-page")
        ticket = (await desk.platform.http.post("/models/coco/ticket")).json()
        assert (200, ticket["settings_url"]) == (page.status_code, page.json()["settings_url"])
        async with Platform(desk.platform.url, FEED_KEY) as chat:
            assert 403 == (await chat.http.get("/models/coco/settings-page")).status_code
        assert 404 == (await desk.platform.http.get("/models/nobody/settings-page")).status_code
    async with serving_coco() as relay:
        page = await relay.platform.http.get("/models/coco/settings-page")
        assert (409, "no_vendor_token") == (page.status_code, page.json()["type"])
