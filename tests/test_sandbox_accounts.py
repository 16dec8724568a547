"""The sandbox's App Gallery servers over real HTTP: as strict as the document, and failing when told to."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json

import httpx2
import pytest
from sandbox_kit import APP_ID, DEVELOPER, FORM, GET_TOKEN, exchange_of, form, gallery, signature

from relay.clock import TickingClock
from relay.sandbox.weather import DICE

OAUTH, USER_INFO = "/remote-dev-api/oauth", "/remote-dev-api/user/info"
SAMPLE_CODE = "8f8039620d97682f5dc2233c0846f4c9801cd5e98e10b495cf874b01e40dff25"
A1_CLOCK = 1698387247.916  # 2023-10-27T06:14:07.916Z: an hour before the document's sample of expiresIn
DAY = 86_400.0


async def test_a_code_becomes_a_pair_of_tokens_in_the_documents_shape():
    """The sample's fields with the sample's kinds of values: epoch milliseconds, a whole year, an awkward user id."""
    async with gallery(TickingClock(A1_CLOCK)) as vendor:
        answer = await vendor.exchange(await vendor.code())
        data = answer["data"]
        assert {"result": True, "code": 0, "message": None} == {name: answer[name] for name in answer if "data" != name}
        assert ["accessToken", "expiresIn", "reExpiresIn", "refreshToken", "userId"] == sorted(data)
        assert (1698390847916, 31536000) == (data["expiresIn"], data["reExpiresIn"])
        assert {"/", "+", "="} <= set(data["userId"])
        assert (272, 256) == tuple(len(base64.b64decode(data[name])) for name in ("accessToken", "refreshToken"))


async def test_the_signing_vector_is_ours_too():
    """facts.md 3.2, row 1."""
    assert "UA0ILRBG4IlPpOYHT5Go5IjZRYq01aNFPLyOgVuBgAM=" == signature(SAMPLE_CODE, "test-app-secret")


async def test_a_sign_may_end_with_the_samples_line_break():
    """The document's Java adds one; its server cannot mind."""
    async with gallery() as vendor:
        code = await vendor.code()
        assert (await vendor.exchange(code, sign=signature(code) + "\r\n"))["result"]


async def test_an_unused_refresh_token_may_be_empty():
    """As in the document's own request."""
    async with gallery() as vendor:
        assert (await vendor.exchange(await vendor.code(), refreshToken=""))["result"]


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"sign": "wrong"}, 40003, "Invalid sign"),
        ({"sign": signature(SAMPLE_CODE)}, 40003, "Invalid sign"),
        ({"sign": None}, 40000, "sign must be"),
        ({"sign": 7}, 40000, "sign must be"),
        ({"signType": None}, 40000, "signType must be HmacSHA256"),
        ({"signType": "HMACSHA256"}, 40000, "signType must be HmacSHA256"),
        ({"grantType": "authorization_code"}, 40000, "grantType must be"),
        ({"grantType": None}, 40000, "grantType must be"),
        ({"appId": None}, 40000, "appId must be"),
        ({"appId": "another"}, 40002, "appId is not"),
        ({"authCode": None}, 40000, "authCode must be"),
        ({"authCode": SAMPLE_CODE, "sign": signature(SAMPLE_CODE)}, 40004, "Invalid authCode"),
    ],
)
async def test_a_wrong_exchange_is_refused_and_uses_nothing_up(changes, code, words):
    """`result` is false beside an opaque code; the right request still works afterwards."""
    async with gallery() as vendor:
        auth_code = await vendor.code()
        answer = await vendor.exchange(auth_code, **changes)
        assert (False, code, None) == (answer["result"], answer["code"], answer["data"])
        assert words in answer["message"]
        assert (await vendor.exchange(auth_code))["result"]


@pytest.mark.parametrize(
    "headers",
    [{}, {"developerToken": "another"}, {"developerToken": ""}, {"Authorization": f"Bearer {DEVELOPER}"}],
)
async def test_the_developer_is_known_by_her_header_only(headers):
    """Not by Authorization."""
    async with gallery() as vendor:
        assert 40001 == (await vendor.oauth(exchange_of(await vendor.code()), headers))["code"]


async def test_header_names_have_no_case():
    """As everywhere in HTTP; values have."""
    async with gallery() as vendor:
        body = exchange_of(await vendor.code())
        assert 40001 == (await vendor.oauth(body, {"DEVELOPERTOKEN": DEVELOPER["developerToken"].upper()}))["code"]
        assert (await vendor.oauth(body, {"DEVELOPERTOKEN": DEVELOPER["developerToken"]}))["result"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "application/json"),
        (b"[]", "application/json"),
        (b"{", "application/json"),
        (b"x" * 70_000, "application/json"),
        (json.dumps(exchange_of(SAMPLE_CODE)).encode(), "text/plain"),
        (b"appId=x&grantType=authorizationCode", "application/x-www-form-urlencoded"),
    ],
)
async def test_only_a_json_object_is_read(content, kind):
    """Whatever its charset is called."""
    async with gallery() as vendor:
        answer = await vendor.post(OAUTH, content=content, headers=DEVELOPER | {"content-type": kind})
        assert (200, 40000) == (answer.status_code, answer.json()["code"])
        assert 405 == (await vendor.get(OAUTH)).status_code
        as_documented = DEVELOPER | {"content-type": "application/json;charset=utf8"}
        body = json.dumps(exchange_of(await vendor.code()))
        assert (await vendor.post(OAUTH, content=body, headers=as_documented)).json()["result"]


async def test_a_code_is_good_once():
    """The second use is refused, raises an alert, and leaves the first one's tokens alone."""
    async with gallery() as vendor:
        code = await vendor.code()
        pair = (await vendor.exchange(code))["data"]
        assert 40004 == (await vendor.exchange(code))["code"]
        assert 40004 == (await vendor.exchange(code))["code"]
        calls = await vendor.calls()
        assert {"calls": 3, "granted": 1} == calls["exchanges"][code]
        assert [code, code] == [alert["code"] for alert in calls["alerts"]]
        assert (await vendor.user_info(pair["accessToken"]))["result"]


async def test_one_of_two_exchanges_at_once_wins():
    """The race is the asker's fault, and is counted."""
    async with gallery() as vendor:
        code = await vendor.code()
        answers = await asyncio.gather(vendor.exchange(code), vendor.exchange(code))
        assert [False, True] == sorted(answer["result"] for answer in answers)
        assert 1 == len((await vendor.calls())["alerts"])


@pytest.mark.parametrize(("seconds", "result"), [(179.0, True), (180.0, False), (1e6, False)])
async def test_a_code_lasts_three_minutes(seconds, result):
    """And is no alert when it comes late."""
    clock = TickingClock()
    async with gallery(clock) as vendor:
        code = await vendor.code()
        clock.tick(seconds)
        assert result is (await vendor.exchange(code))["result"]
        assert [] == (await vendor.calls())["alerts"]


async def test_user_info_names_who_agreed_to_be_named():
    """With authUser; authBase asks nobody, and has no name. The body is empty, or an empty object."""
    async with gallery() as vendor:
        named, silent = await vendor.link("Jo & Zoé"), await vendor.link("Jo", scope="authBase")
        answer = {"result": True, "code": 0, "message": None, "data": {"name": "Jo & Zoé"}}
        assert answer == await vendor.user_info(named["accessToken"])
        assert answer == await vendor.user_info(named["accessToken"], content="{}")
        assert {} == (await vendor.user_info(silent["accessToken"]))["data"]
        assert 40000 == (await vendor.user_info(named["accessToken"], content='{"a":1}'))["code"]
        assert 40006 == (await vendor.user_info(named["accessToken"][:-1]))["code"]
        assert 40006 == (await vendor.user_info(named["refreshToken"]))["code"]
        bearer = DEVELOPER | {"Authorization": f"Bearer {named['accessToken']}", "content-type": "application/json"}
        assert 40000 == (await vendor.post(USER_INFO, headers=bearer)).json()["code"]


async def test_a_refresh_ends_the_old_pair_at_once():
    """Both tokens change; the old refresh token is refused, and the refusal harms nothing."""
    async with gallery() as vendor:
        old = await vendor.link()
        new = (await vendor.refresh(old["refreshToken"]))["data"]
        assert old["userId"] == new["userId"]
        assert 40006 == (await vendor.user_info(old["accessToken"]))["code"]
        assert 40005 == (await vendor.refresh(old["refreshToken"]))["code"]
        assert (await vendor.user_info(new["accessToken"]))["result"]
        assert {"calls": 2, "granted": 1} == (await vendor.calls())["refreshes"][old["userId"]]


async def test_an_access_token_expires_and_a_refresh_renews_it():
    """An hour each."""
    clock = TickingClock()
    async with gallery(clock) as vendor:
        pair = await vendor.link()
        clock.tick(3600)
        assert 40006 == (await vendor.user_info(pair["accessToken"]))["code"]
        pair = (await vendor.refresh(pair["refreshToken"]))["data"]
        clock.tick(3599)
        assert (await vendor.user_info(pair["accessToken"]))["result"]


async def test_a_refresh_does_not_move_the_deadline():
    """facts.md 3.3, A1: a hundred days later the answer names a whole year again; the first year still ends."""
    clock = TickingClock(A1_CLOCK)
    async with gallery(clock) as vendor:
        pair = await vendor.link()
        clock.tick(100 * DAY)
        pair = (await vendor.refresh(pair["refreshToken"]))["data"]
        assert 31536000 == pair["reExpiresIn"]
        await vendor.order(re_expires_renewed=False)
        pair = (await vendor.refresh(pair["refreshToken"]))["data"]
        assert 265 * 86400 == pair["reExpiresIn"]
        clock.tick(265 * DAY - 1)
        pair = (await vendor.refresh(pair["refreshToken"]))["data"]
        clock.tick(1)
        assert 40005 == (await vendor.refresh(pair["refreshToken"]))["code"]


async def test_a_cancelled_authorization_ends_everything_at_once():
    """Access, refresh and codes in hand; a fresh code links the same person again."""
    async with gallery() as vendor:
        pair = await vendor.link()
        waiting = await vendor.code(userId=pair["userId"])
        await vendor.cancel(pair["userId"])
        assert 40006 == (await vendor.user_info(pair["accessToken"]))["code"]
        assert 40005 == (await vendor.refresh(pair["refreshToken"]))["code"]
        assert 40004 == (await vendor.exchange(waiting))["code"]
        shown = (await vendor.get("/sandbox/accounts.json")).json()["accounts"]
        assert ["cancelled"] == [one["state"] for one in shown]
        assert pair["userId"] == (await vendor.link(userId=pair["userId"]))["userId"]


@pytest.mark.parametrize("failure", ["timeout_before", "error_before", "rate_limited", "html"])
async def test_a_failure_before_the_effect_uses_nothing_up(failure):
    """The code is good afterwards; the call was counted all the same."""
    async with gallery() as vendor:
        code = await vendor.code()
        await vendor.order(exchange=failure, failures=1, hang_seconds=0)
        assert not await understood(vendor, code)
        assert (await vendor.exchange(code))["result"]
        assert {"calls": 2, "granted": 1} == (await vendor.calls())["exchanges"][code]


@pytest.mark.parametrize("failure", ["timeout_after", "error_after", "garbage"])
async def test_a_failure_after_the_effect_has_happened(failure):
    """The answer is lost, and the code is used."""
    async with gallery() as vendor:
        code = await vendor.code()
        await vendor.order(exchange=failure, failures=1, hang_seconds=0)
        assert not await understood(vendor, code)
        assert 40004 == (await vendor.exchange(code))["code"]
        assert 1 == len((await vendor.calls())["alerts"])


async def understood(vendor, code: str) -> bool:
    try:
        answer = await vendor.post(OAUTH, json=exchange_of(code), headers=DEVELOPER)
        return answer.status_code == 200 and answer.json()["result"]
    except (httpx2.HTTPError, ValueError):
        return False


async def test_a_timeout_says_nothing_until_the_asker_leaves():
    """As long as the switch says; one who stops waiting frees the sandbox at once."""
    async with gallery() as vendor:
        pair = await vendor.link()
        await vendor.order(refresh="timeout_after", user_info="rate_limited", hang_seconds=600)
        body = {"appId": APP_ID, "grantType": "refreshToken", "refreshToken": pair["refreshToken"]}
        with pytest.raises(httpx2.ReadTimeout):
            await vendor.post(OAUTH, json=body, headers=DEVELOPER, timeout=0.2)
        assert 1 == (await vendor.calls())["refreshes"][pair["userId"]]["granted"]
        headers = DEVELOPER | {"accessToken": pair["accessToken"], "content-type": "application/json"}
        limited = await vendor.post(USER_INFO, headers=headers)
        assert (429, "1") == (limited.status_code, limited.headers["retry-after"])


@pytest.mark.parametrize("failure", ["html", "error_before", "error_after", "garbage", "timeout_after"])
async def test_get_token_has_the_same_weather(failure):
    """And is counted by its model; the token is the same afterwards, as the vendor's is."""
    async with gallery() as vendor:
        await vendor.order(get_token=failure, failures=1, hang_seconds=0)
        body = form("m1", developer_token=DEVELOPER["developerToken"])
        with contextlib.suppress(httpx2.HTTPError, ValueError):
            assert not (await vendor.post(GET_TOKEN, content=body, headers=FORM)).json().get("result")
        assert (await vendor.ask_token(body))["result"]
        assert 2 == (await vendor.calls())["get_token"]["m1"]["calls"]


@pytest.mark.parametrize("code", [401, 402, 505])
async def test_get_token_refuses_when_told(code):
    """With the document's codes."""
    async with gallery() as vendor:
        await vendor.order(get_token=f"refuse_{code}")
        answer = await vendor.ask_token(form("m1", developer_token=DEVELOPER["developerToken"]))
        assert (False, code) == (answer["result"], answer["code"])


async def test_answers_come_in_every_documented_shape():
    """Fields in `data`, beside `result` as in the table, or as JSON text; "success" or nothing; a code as text."""
    async with gallery() as vendor:
        pair = await vendor.link("Jo")
        await vendor.order(data="flat", message="success", code="text")
        flat = {"result": True, "code": "0", "message": "success", "name": "Jo"}
        assert flat == await vendor.user_info(pair["accessToken"])
        await vendor.order(data="text")
        assert {"name": "Jo"} == json.loads((await vendor.user_info(pair["accessToken"]))["data"])
        await vendor.order(data="nested", missing="name")
        assert {} == (await vendor.user_info(pair["accessToken"]))["data"]
        await vendor.order(missing="data", refusal_status=401)
        assert "data" not in await vendor.user_info(pair["accessToken"])
        wrong = await vendor.post(OAUTH, json={}, headers=DEVELOPER)
        assert (401, False) == (wrong.status_code, wrong.json()["result"])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("milliseconds", 1_700_003_600_000),
        ("seconds", 1_700_003_600),
        ("relative", 3600),
        ("milliseconds_text", "1700003600000"),
        ("seconds_text", "1700003600"),
        ("relative_text", "3600"),
        ("zero", 0),
        ("negative", -1),
        ("past", 1_699_913_600_000),
        ("null", None),
        ("missing", "not there"),
    ],
)
async def test_a_deadline_comes_in_every_form(kind, value):
    """facts.md 3.2, row 7: whatever "timestamp" may mean, for both deadlines."""
    async with gallery(TickingClock(1_700_000_000.0)) as vendor:
        await vendor.order(expires_in=kind, re_expires_in=kind, refresh_seconds=3600)
        pair = await vendor.link()
        assert (value, value) == (pair.get("expiresIn", "not there"), pair.get("reExpiresIn", "not there"))


async def test_random_failures_follow_their_seed():
    """The same seed, the same row of failures; about as many as ordered, of every kind."""
    async with gallery() as vendor:
        sky = vendor.app.state.sandbox.weather
        await vendor.order(random_failures=0.3, random_seed=7)
        first = [sky.next("refresh") for _ in range(2000)]
        await vendor.order(random_seed=7)
        assert first == [sky.next("refresh") for _ in range(2000)]
        assert 500 < sum("ok" != how for how in first) < 700
        assert {"ok", *DICE} == set(first)
        await vendor.order(random_failures=0)
        assert {"ok"} == {sky.next("refresh") for _ in range(100)}


@pytest.mark.parametrize(
    ("order", "words"),
    [
        ({"rain": True}, "is not a switch: use access_seconds, answer_delay"),
        ({"exchange": "refuse_401"}, "must be ok or timeout_before"),
        ({"refusal_status": True}, "must be 200 or 400"),
        ({"failures": 0}, "must be a whole number from 1"),
        ({"random_failures": 1.5}, "must be a probability from 0 to 1, not '1.5'"),
        ({"random_seed": "x"}, "must be a whole number"),
        ({"hang_seconds": -1}, "must be seconds from 0 to 600"),
        ({"re_expires_renewed": 1}, "must be true or false"),
        ([], "must be a JSON object"),
    ],
)
async def test_a_bad_switch_is_named(order, words):
    """422, and nothing is switched."""
    async with gallery() as vendor:
        before = (await vendor.get("/sandbox/vendor/switches")).json()
        answer = await vendor.put("/sandbox/vendor/switches", json=order)
        assert 422 == answer.status_code
        assert words in answer.json()["error"]
        assert before == (await vendor.get("/sandbox/vendor/switches")).json()


@pytest.mark.parametrize(
    ("order", "status", "words"),
    [
        ({"name": ""}, 422, "'name' must be"),
        ({"scope": "all"}, 422, "'scope' must be authUser or authBase, not 'all'"),
        ({"userId": "nobody"}, 422, "'userId' is nobody's"),
        ({"user": "x"}, 400, "'user' is not known here: use name, scope, userId"),
        ([], 400, "must be a JSON object"),
    ],
)
async def test_a_wrong_authorization_is_named(order, status, words):
    """And makes no account."""
    async with gallery() as vendor:
        answer = await vendor.post("/sandbox/accounts/codes", json=order)
        assert status == answer.status_code
        assert words in answer.json()["error"]
        assert 0 == (await vendor.get("/sandbox/accounts.json")).json()["total"]
        assert 422 == (await vendor.post("/sandbox/accounts/cancel", json={"userId": "nobody"})).status_code


async def test_the_ledger_is_forgotten_when_told():
    """Tallies and alerts; the accounts stay."""
    async with gallery() as vendor:
        pair = await vendor.link()
        assert 204 == (await vendor.delete("/sandbox/vendor/calls")).status_code
        assert {} == (await vendor.calls())["exchanges"]
        assert (await vendor.user_info(pair["accessToken"]))["result"]


async def test_the_page_of_accounts_shows_no_token():
    """A name that is markup stays a text; who is linked is there, what she is linked by is not."""
    async with gallery() as vendor:
        pair = await vendor.link("</script><b>")
        page = await vendor.get("/sandbox/accounts")
        assert (200, "no-store") == (page.status_code, page.headers["cache-control"])
        assert "\\u003c/script>\\u003cb>" in page.text
        assert pair["userId"] in page.text
        assert pair["accessToken"] not in page.text
        assert pair["refreshToken"] not in page.text
