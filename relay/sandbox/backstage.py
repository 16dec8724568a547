"""What only a simulation has, under `/sandbox/models/{mToken}`: edit, command, switch the weather, read the ledger."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import orjson
from msgspec import to_builtins
from starlette.requests import Request
from starlette.responses import Response

from relay.sandbox.bodies import BodyRefused, read_body, read_json, sandbox_of
from relay.sandbox.ledger import REPORT_BYTES_MAX, BadReport, read_call
from relay.sandbox.models import Model
from relay.sandbox.rules import AMOUNT_MAX, RulesRefused, read_rules, warnings
from relay.sandbox.switches import SwitchesRefused, read_switches

TIPPER_CHARACTERS_MAX = 200

Handler = Callable[[Request], Awaitable[Response]]


def for_model(handler: Callable[[Request, Model], Awaitable[Response]]) -> Handler:
    """Finds the model of the path, and turns refusals into answers that name the field."""

    @wraps(handler)
    async def answer(request: Request) -> Response:
        model = sandbox_of(request).find(request.path_params["token"])
        if model is None:
            return reply({"error": "this mToken is unknown"}, 404)
        try:
            return await handler(request, model)
        except (RulesRefused, SwitchesRefused) as err:
            return reply({"error": str(err), "errors": err.errors}, 422)
        except (BodyRefused, BadReport) as err:
            return reply({"error": str(err), "errors": {"body": str(err)}}, 400)

    return answer


@for_model
async def state(_: Request, model: Model) -> Response:
    """GET: everything that the settings page shows."""
    return reply(model.for_settings_page())


@for_model
async def save_settings(request: Request, model: Model) -> Response:
    """PUT: new rules, which take effect after the sandbox's delay."""
    before = model.saved if model.saved is not None else model.rules
    rules = read_rules(await read_json(request), before)
    delay = sandbox_of(request).settings_delay
    model.save(rules, delay)
    return reply({"takes_effect_in": delay, "saved": to_builtins(rules), "warnings": warnings(rules)}, 202)


@for_model
async def turn_toys(request: Request, model: Model) -> Response:
    """PUT `{on, id?}`: one toy, or all of them, on or off at once."""
    body = await read_json(request)
    on, toy_id = (body.get("on"), body.get("id")) if isinstance(body, dict) else (None, None)
    if not isinstance(on, bool):
        return reply({"error": "'on' must be true or false"}, 422)
    if not model.turn(on, toy_id):
        return reply({"error": f"there is no toy {str(toy_id)[:40]!r}"}, 422)
    return reply(model.for_settings_page())


@for_model
async def clear(_: Request, model: Model) -> Response:
    """POST: empties the queue of every live page, and stops what runs."""
    model.publish({"type": "clear"})
    return reply({"pages": len(model.pages)})


@for_model
async def pause(_: Request, model: Model) -> Response:
    """POST: halts the queue until it is resumed."""
    return _hold(model, True)


@for_model
async def resume(_: Request, model: Model) -> Response:
    """POST: lets the queue run again."""
    return _hold(model, False)


def _hold(model: Model, held: bool) -> Response:
    model.held = held
    model.publish_state()
    return reply({"held": held, "pages": len(model.pages)})


@for_model
async def manual_tip(request: Request, model: Model) -> Response:
    """POST `{tipper, amount}`: a tip by the vendor's own hand, which no platform sent."""
    body = await read_json(request)
    body = body if isinstance(body, dict) else {}
    tipper, amount = body.get("tipper", "Test tip"), body.get("amount")
    if not isinstance(tipper, str) or not 1 <= len(tipper) <= TIPPER_CHARACTERS_MAX:
        return reply({"error": f"'tipper' must be a text of 1 to {TIPPER_CHARACTERS_MAX} characters"}, 422)
    if not isinstance(amount, int) or isinstance(amount, bool) or not 1 <= amount <= AMOUNT_MAX:
        return reply({"error": f"'amount' must be a whole number from 1 to {AMOUNT_MAX}, not {amount!r}"}, 422)
    model.publish({"type": "tip", "tipper": tipper, "amount": amount})
    return reply({"pages": len(model.pages)})


@for_model
async def say(request: Request, model: Model) -> Response:
    """POST `{event}`: what the script says next on every live page, as it stands; nothing else comes of it."""
    body = await read_json(request)
    if not isinstance(body, dict) or "event" not in body:
        return reply({"error": "'event' must be there: what the listener is called with"}, 422)
    model.publish({"type": "event", "event": body["event"]})
    return reply({"pages": len(model.pages)})


@for_model
async def read_switch(_: Request, model: Model) -> Response:
    """GET: the switches as they are."""
    return reply(to_builtins(model.switches))


@for_model
async def set_switches(request: Request, model: Model) -> Response:
    """PUT: some switches; what loads the script holds from the next load, the rest at once."""
    model.switches = read_switches(await read_json(request), model.switches)
    model.publish_state()
    return reply(to_builtins(model.switches))


@for_model
async def read_calls(request: Request, model: Model) -> Response:
    """GET: the ledger, in the order the calls were made."""
    ledger = sandbox_of(request).ledger
    return reply({"calls": to_builtins(ledger.of(model.token)), "dropped": ledger.dropped})


@for_model
async def report_call(request: Request, model: Model) -> Response:
    """POST: a page tells of a call; a repeat is harmless."""
    call = read_call(await read_body(request, REPORT_BYTES_MAX))
    sandbox_of(request).ledger.keep(model.token, call)
    return Response(status_code=204)


@for_model
async def forget_calls(request: Request, model: Model) -> Response:
    """DELETE: a clean page in the ledger."""
    sandbox_of(request).ledger.forget(model.token)
    return Response(status_code=204)


def reply(body: dict[str, Any] | Any, status: int = 200) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(orjson.dumps(body), status, headers, media_type="application/json")
