"""The vendor's App Gallery servers: tokens for an auth code, a new pair for an old one, and who somebody is."""

from __future__ import annotations

import asyncio
import hmac
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from relay.sandbox.accounts import APPLICATION, DEVELOPER, PARAMETER, Accounts, Denied, User
from relay.sandbox.bodies import BodyRefused, read_body, sandbox_of
from relay.sandbox.models import Sandbox
from relay.sandbox.weather import AFTER, Weather, answered, fail, timed

BODY_BYTES_MAX = 64 * 1024
JSON = "application/json"
SIGN_TYPE = "HmacSHA256"


async def oauth(request: Request) -> Response:
    """`POST /remote-dev-api/oauth`: one call with two meanings, told apart by `grantType`."""
    sandbox = sandbox_of(request)
    try:
        _check_headers(request, sandbox)
        body = await _read_object(request)
        call = _read_grant_type(body)
        _check_application(body, sandbox.accounts)
    except Denied as no:
        return _refused(no, sandbox.weather.now)
    return await _weathered(request, sandbox, call, body)


async def user_info(request: Request) -> Response:
    """`POST /remote-dev-api/user/info`: the name that the person agreed to show; no body, or an empty object."""
    sandbox = sandbox_of(request)
    try:
        _check_headers(request, sandbox)
        if await _read_object(request):
            raise Denied(PARAMETER, "user/info takes no parameters: an empty body, or {}")
        if not request.headers.get("accesstoken"):
            raise Denied(PARAMETER, "Missing header: accessToken")
    except Denied as no:
        return _refused(no, sandbox.weather.now)
    return await _weathered(request, sandbox, "user_info", {})


async def _weathered(request: Request, sandbox: Sandbox, call: str, body: dict[str, Any]) -> Response:
    how = sandbox.weather.next(call)
    weather = sandbox.weather.now
    if how not in ("ok", *AFTER):
        _count_lost(request, sandbox.accounts, call, body)
        return await fail(request, how, sandbox.weather)
    accounts = sandbox.accounts
    accounts.access_seconds, accounts.refresh_seconds = weather.access_seconds, weather.refresh_seconds
    try:
        data = CALLS[call](request, accounts, body, weather)
    except Denied as no:
        answer = _refused(no, weather)
    else:
        message = None if weather.message == "null" else weather.message
        answer = answered({"result": True, "code": 0, "message": message, "data": data}, weather)
    if how == "ok":
        await asyncio.sleep(weather.answer_delay)
        return answer
    return await fail(request, how, sandbox.weather)


def _exchange(_: Request, accounts: Accounts, body: dict[str, Any], weather: Weather) -> dict[str, Any]:
    code, sign = _text(body, "authCode"), _text(body, "sign")
    if body.get("signType") != SIGN_TYPE:
        raise Denied(PARAMETER, f"signType must be {SIGN_TYPE}")
    return _pair(accounts.exchange(code, sign), accounts, weather)


def _refresh(_: Request, accounts: Accounts, body: dict[str, Any], weather: Weather) -> dict[str, Any]:
    return _pair(accounts.refresh(_text(body, "refreshToken")), accounts, weather)


def _user_info(request: Request, accounts: Accounts, _: dict[str, Any], __: Weather) -> dict[str, Any]:
    user = accounts.whose(request.headers["accesstoken"])
    return {"name": user.name} if user.scope == "authUser" else {}  # authBase asks nobody, so it names nobody


CALLS = {"exchange": _exchange, "refresh": _refresh, "user_info": _user_info}


def _count_lost(request: Request, accounts: Accounts, call: str, body: dict[str, Any]) -> None:
    """A call that failed before its effect reached the server all the same."""
    match call:
        case "exchange":
            accounts.calls.count(accounts.calls.exchanges, str(body.get("authCode"))[:BODY_BYTES_MAX])
        case "refresh":
            accounts.calls.count(accounts.calls.refreshes, accounts.holder(refresh=str(body.get("refreshToken"))))
        case _:
            holder = accounts.holder(access=request.headers["accesstoken"])
            accounts.calls.count(accounts.calls.user_infos, holder)


def _pair(user: User, accounts: Accounts, weather: Weather) -> dict[str, Any]:
    pair = user.pair
    if pair is None:
        raise RuntimeError("an exchange and a refresh end with a pair")
    now = accounts.now()
    ends = now + weather.refresh_seconds if weather.re_expires_renewed else pair.refresh_ends
    return (
        {"accessToken": pair.access}
        | timed("expiresIn", weather.expires_in, now, pair.access_ends)
        | timed("reExpiresIn", weather.re_expires_in, now, ends)
        | {"refreshToken": pair.refresh, "userId": user.id}
    )


def _check_headers(request: Request, sandbox: Sandbox) -> None:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()  # any charset: the sample has "utf8"
    if kind != JSON:
        raise Denied(PARAMETER, f"the content type must be {JSON}")
    given, expected = request.headers.get("developertoken", ""), sandbox.developer_token
    if not given or (expected is not None and not hmac.compare_digest(given.encode(), expected.encode())):
        raise Denied(DEVELOPER, "the header developerToken is missing or not this developer's")


async def _read_object(request: Request) -> dict[str, Any]:
    try:
        body = orjson.loads(await read_body(request, BODY_BYTES_MAX) or b"{}")
    except (BodyRefused, orjson.JSONDecodeError) as err:
        raise Denied(PARAMETER, "the body is too long or not JSON") from err
    if not isinstance(body, dict):
        raise Denied(PARAMETER, "the body must be a JSON object")
    return body


def _read_grant_type(body: dict[str, Any]) -> str:
    match body.get("grantType"):
        case "authorizationCode":
            return "exchange"
        case "refreshToken":
            return "refresh"
        case _:
            raise Denied(PARAMETER, "grantType must be authorizationCode or refreshToken")


def _check_application(body: dict[str, Any], accounts: Accounts) -> None:
    given = _text(body, "appId")
    if accounts.app_id is not None and not hmac.compare_digest(given.encode(), accounts.app_id.encode()):
        raise Denied(APPLICATION, "appId is not this developer's application")


def _text(body: dict[str, Any], field: str) -> str:
    value = body.get(field)
    if not isinstance(value, str) or not value:
        raise Denied(PARAMETER, f"{field} must be a text that is not empty")
    return value


def _refused(no: Denied, weather: Weather) -> Response:
    return answered(
        {"result": False, "code": no.code, "message": str(no), "data": None}, weather, weather.refusal_status
    )
