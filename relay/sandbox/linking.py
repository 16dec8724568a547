"""What only a simulation has for the vendor's servers: a page that hands out auth codes, switches, and a ledger."""

from __future__ import annotations

from typing import Any

from msgspec import to_builtins
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from relay.sandbox.accounts import CODE_SECONDS, Calls, User
from relay.sandbox.backstage import reply
from relay.sandbox.bodies import BodyRefused, read_json, sandbox_of
from relay.sandbox.models import Sandbox
from relay.sandbox.script import STATIC, for_script
from relay.sandbox.switches import SwitchesRefused

NAME_CHARACTERS_MAX = 200
SCOPES = ("authUser", "authBase")  # facts.md 3.1: with a pop-up, and silent
SHOWN_MAX = 200  # people on the page, the newest


async def page(request: Request) -> Response:
    """`GET /sandbox/accounts`: the page on which a person links her account, and takes it back."""
    text = (STATIC / "accounts.html").read_text(encoding="utf-8")
    return HTMLResponse(text.replace('"__STATE__"', for_script(_shown(sandbox_of(request)))), headers=NO_STORE)


async def listed(request: Request) -> Response:
    """`GET /sandbox/accounts.json`: everybody, the newest first; no tokens."""
    return reply(_shown(sandbox_of(request)))


async def authorize(request: Request) -> Response:
    """`POST /sandbox/accounts/codes {name?, scope?, userId?}`: an auth code, for somebody new or for who is known."""
    accounts = sandbox_of(request).accounts
    try:
        body = await _read_fields(request, ("name", "scope", "userId"))
    except BodyRefused as err:
        return reply({"error": str(err)}, 400)
    name, scope, user_id = body.get("name", "Sandbox user"), body.get("scope", SCOPES[0]), body.get("userId")
    if not isinstance(name, str) or not 1 <= len(name) <= NAME_CHARACTERS_MAX:
        return reply({"error": f"'name' must be a text of 1 to {NAME_CHARACTERS_MAX} characters"}, 422)
    if scope not in SCOPES:
        return reply({"error": f"'scope' must be {' or '.join(SCOPES)}, not {str(scope)[:40]!r}"}, 422)
    if user_id is not None and (not isinstance(user_id, str) or user_id not in accounts.users):
        return reply({"error": "'userId' is nobody's: leave it out for somebody new"}, 422)
    code, user = accounts.authorize(name, scope, user_id)
    return reply({"authCode": code, "expires_in": CODE_SECONDS, "userId": user.id, "name": user.name}, 201)


async def cancel(request: Request) -> Response:
    """`POST /sandbox/accounts/cancel {userId}`: the person takes the authorization back."""
    accounts = sandbox_of(request).accounts
    try:
        user_id = (await _read_fields(request, ("userId",))).get("userId")
    except BodyRefused as err:
        return reply({"error": str(err)}, 400)
    if not isinstance(user_id, str) or user_id not in accounts.users:
        return reply({"error": "'userId' is nobody's"}, 422)
    accounts.cancel(user_id)
    return reply(_account(accounts.users[user_id], accounts.now()))


async def read_weather(request: Request) -> Response:
    """`GET /sandbox/vendor/switches`: the weather over the vendor's servers."""
    return reply(to_builtins(sandbox_of(request).weather.now))


async def order_weather(request: Request) -> Response:
    """`PUT /sandbox/vendor/switches`: some of it; it holds from the next call."""
    try:
        return reply(to_builtins(sandbox_of(request).weather.order(await read_json(request))))
    except SwitchesRefused as err:
        return reply({"error": str(err), "errors": err.errors}, 422)
    except BodyRefused as err:
        return reply({"error": str(err)}, 400)


async def read_calls(request: Request) -> Response:
    """`GET /sandbox/vendor/calls`: how often each call came and was granted, by its model, code or person; alerts."""
    sandbox = sandbox_of(request)
    return reply(to_builtins(sandbox.accounts.calls) | {"failed": sandbox.weather.failed})


async def forget_calls(request: Request) -> Response:
    """`DELETE /sandbox/vendor/calls`: a clean page in the ledger."""
    sandbox = sandbox_of(request)
    sandbox.accounts.calls, sandbox.weather.failed = Calls(), 0
    return Response(status_code=204)


NO_STORE = {"Cache-Control": "no-store"}


def _shown(sandbox: Sandbox) -> dict[str, Any]:
    now = sandbox.accounts.now()
    newest = list(reversed(sandbox.accounts.users.values()))[:SHOWN_MAX]
    shown = [_account(user, now) for user in newest]
    return {"accounts": shown, "total": len(sandbox.accounts.users), "switches": to_builtins(sandbox.weather.now)}


def _account(user: User, now: float) -> dict[str, Any]:
    pair = user.pair
    if pair is None:
        state = "cancelled" if user.cancelled else "waiting"  # for the exchange of its code
    else:
        state = "linked" if now < pair.refresh_ends else "expired"
    return {
        "userId": user.id,
        "name": user.name,
        "state": state,
        "access_ends_in": round(pair.access_ends - now, 3) if pair else None,
        "refresh_ends_in": round(pair.refresh_ends - now, 3) if pair else None,
        "refreshes": user.refreshes,
    }


async def _read_fields(request: Request, known: tuple[str, ...]) -> dict[str, Any]:
    body = await read_json(request)
    if not isinstance(body, dict):
        raise BodyRefused("the body must be a JSON object")
    if unknown := body.keys() - set(known):
        raise BodyRefused(f"{min(unknown)[:40]!r} is not known here: use {', '.join(known)}")
    return body
