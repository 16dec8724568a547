"""Linked accounts over HTTP: linked with an auth code, looked at, forgotten."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.grants import account_as_json
from relay.web.models import read_object
from relay.web.replies import Json
from relay.web.wiring import wiring


async def post_account(request: Request) -> Response:
    """Link an account: the auth code is exchanged once, whoever posts it however often."""
    relay = wiring(request)
    body, data = await read_object(request)
    relay.keys.check(request.headers, "accounts", body)
    account = await relay.accounts.link(data.get("authCode"), data.get("model"))
    return Json(account_as_json(account, relay.clock.now()), 201)


async def list_accounts(request: Request) -> Response:
    """Every linked account; `?model=` the one that was linked with this model."""
    relay = wiring(request)
    relay.keys.check(request.headers, "accounts")
    model = request.query_params.get("model")
    one = None if model is None else await relay.accounts.of_model(model)
    found = await relay.accounts.all() if model is None else [one] if one else []
    now = relay.clock.now()
    return Json({"accounts": [account_as_json(account, now) for account in found]})


async def get_account(request: Request) -> Response:
    relay = wiring(request)
    relay.keys.check(request.headers, "accounts")
    return Json(account_as_json(await relay.accounts.find(request.path_params["userId"]), relay.clock.now()))


async def delete_account(request: Request) -> Response:
    """Forget an account and its tokens. At the vendor the user takes the authorization back herself."""
    relay = wiring(request)
    relay.keys.check(request.headers, "accounts")
    await relay.accounts.forget(request.path_params["userId"])
    return Response(status_code=204)


# The vendor's ids hold `/`, `+` and `=` (facts.md 3.3, rule 4).
routes = [
    Route("/accounts", post_account, methods=["POST"]),
    Route("/accounts", list_accounts, methods=["GET"]),
    Route("/accounts/{userId:path}", get_account, methods=["GET"]),
    Route("/accounts/{userId:path}", delete_account, methods=["DELETE"]),
]
