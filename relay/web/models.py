"""The platform's models: registered, looked at, held, stopped; tickets for their pages and readers."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.clock import iso
from relay.errors import Invalid, NoVendorToken
from relay.feeds import Audience
from relay.grants import standing_as_json
from relay.models import read_words
from relay.rooms import Room
from relay.settings import TIP_BODY_BYTES_MAX
from relay.stores import ModelRecord
from relay.tips import shown
from relay.views import room_as_json, words_as_json
from relay.web.bodies import decode, read_body
from relay.web.replies import Json
from relay.web.scripts import elements_lines, script_line
from relay.web.wiring import wiring

SWITCH = {"true": True, "1": True, "false": False, "0": False}
NO_STORE = {"Cache-Control": "no-store"}  # where an answer holds a ticket or a vendor token


async def read_object(request: Request) -> tuple[bytes, dict[str, Any]]:
    """The raw body and the JSON object in it; no body is an empty object."""
    body = await read_body(request, TIP_BODY_BYTES_MAX)
    data = decode(body) if body.strip() else {}
    if not isinstance(data, dict):
        raise Invalid(f"the body must be a JSON object, not {shown(data)}")
    return body, data


async def put_model(request: Request) -> Response:
    """Register a model with the vendor, once. `?renew=true` asks for a new vendor token. What is left out stays."""
    relay = wiring(request)
    body, data = await read_object(request)
    relay.keys.check(request.headers, "models", body)
    renew = read_switch("renew", request.query_params.get("renew"))
    words = read_words(data, relay.settings.announcements)
    record, new = await relay.models.register(request.path_params["model"], data.get("name"), renew=renew, words=words)
    return Json(described(record) | words_as_json(record, relay.settings), 201 if new else 200)


def read_switch(field: str, value: str | None) -> bool:
    """A query's true or false; not given is false. Raises `Invalid`."""
    word = "" if value is None else value.lower()
    if value is not None and word not in SWITCH:
        raise Invalid(f"'{field}' must be true or false, not {shown(value)}", field=field)
    return SWITCH.get(word, False)


def described(record: ModelRecord) -> dict[str, Any]:
    return {
        "model": record.id,
        "name": record.name,
        "created_at": iso(record.created_at),
        "registered": record.token is not None,
    }


async def list_models(request: Request) -> Response:
    """Every model, and who is live."""
    relay = wiring(request)
    relay.keys.check(request.headers, "models")
    rooms = {room.id: room for room in relay.hub.rooms}
    return Json({"models": [summary(record, rooms.get(record.id)) for record in await relay.store.models()]})


def summary(record: ModelRecord, room: Room | None) -> dict[str, Any]:
    live = room is not None and room.seat is not None
    return {
        "model": record.id,
        "name": record.name,
        "online": live,
        "ready": room is not None and room.seat is not None and room.seat.ready,
        "held": record.held if room is None else room.record.held,
    }


async def get_model(request: Request) -> Response:
    relay = wiring(request)
    relay.keys.check(request.headers, "models")
    room = await relay.hub.room(request.path_params["model"])
    account = await relay.accounts.of_model(room.id)
    standing = None if account is None else standing_as_json(account, relay.clock.now())
    return Json(room_as_json(room) | {"account": standing})


async def put_hold(request: Request) -> Response:
    """Tips wait from now on; what the toy does goes on."""
    relay = wiring(request)
    key = relay.keys.check(request.headers, "models", await read_body(request, TIP_BODY_BYTES_MAX))
    room = await relay.desk.hold(request.path_params["model"], who=f"the platform ({key.name})")
    return Json(room_as_json(room))


async def delete_hold(request: Request) -> Response:
    """Tips go again; after a stop the page brings the vendor's script back."""
    relay = wiring(request)
    relay.keys.check(request.headers, "models")
    return Json(room_as_json(await relay.desk.release(request.path_params["model"])))


async def post_stop(request: Request) -> Response:
    """Stop now: hold, and the vendor's script is taken down. `{"waiting": "cancel"}` also cancels waiting tips."""
    relay = wiring(request)
    body, data = await read_object(request)
    key = relay.keys.check(request.headers, "models", body)
    waiting = data.get("waiting", "hold")
    if waiting not in ("hold", "cancel"):
        raise Invalid(f"'waiting' must be hold or cancel, not {shown(waiting)}", field="waiting")
    room = await relay.desk.hold(
        request.path_params["model"],
        stop=True,
        cancel_waiting=waiting == "cancel",
        who=f"the platform ({key.name})",
    )
    return Json(room_as_json(room))


async def post_ticket(request: Request) -> Response:
    """What the model's page needs: its ticket, the ready script line, the vendor's settings page."""
    relay = wiring(request)
    relay.keys.check(request.headers, "models", await read_body(request, TIP_BODY_BYTES_MAX))
    record = await relay.models.record(request.path_params["model"])
    ticket, expires_at = relay.tickets.page(record.id)
    return Json(
        {
            "ticket": ticket,
            "expires_at": iso(expires_at),
            "script": script_line(relay.public_url(request), ticket),
            "settings_url": relay.models.settings_url(record),
        },
        201,
        NO_STORE,
    )


async def get_settings_page(request: Request) -> Response:
    """The vendor's settings page, for an iframe or a window in front of the model and nobody else."""
    relay = wiring(request)
    relay.keys.check(request.headers, "models")
    record = await relay.models.record(request.path_params["model"])
    url = relay.models.settings_url(record)
    if url is None:
        raise NoVendorToken(
            f"model '{record.id}' has no vendor token: set LOVENSE_DEVELOPER_TOKEN, then PUT /models/{record.id}"
        )
    return Json({"model": record.id, "settings_url": url}, headers=NO_STORE)


async def post_feed_ticket(request: Request) -> Response:
    """A reader's right to one model's feed, as `viewer` or `chat`; where to read it, and what shows it on a page."""
    relay = wiring(request)
    body, data = await read_object(request)
    relay.keys.check(request.headers, "feed", body)
    audience = data.get("audience", "viewer")
    if audience not in (Audience.VIEWER, Audience.CHAT):
        raise Invalid(f"'audience' must be viewer or chat, not {shown(audience)}", field="audience")
    record = await relay.models.record(request.path_params["model"])
    ticket, expires_at = relay.tickets.feed(record.id, Audience(audience))
    public_url = relay.public_url(request)
    return Json(
        {
            "ticket": ticket,
            "expires_at": iso(expires_at),
            "audience": audience,
            "url": f"{public_url}/feed/{record.id}?ticket={ticket}",
            "elements": elements_lines(public_url),
        },
        201,
        NO_STORE,
    )


routes = [
    Route("/models", list_models, methods=["GET"]),
    Route("/models/{model}", put_model, methods=["PUT"]),
    Route("/models/{model}", get_model, methods=["GET"]),
    Route("/models/{model}/hold", put_hold, methods=["PUT"]),
    Route("/models/{model}/hold", delete_hold, methods=["DELETE"]),
    Route("/models/{model}/stop", post_stop, methods=["POST"]),
    Route("/models/{model}/ticket", post_ticket, methods=["POST"]),
    Route("/models/{model}/settings-page", get_settings_page, methods=["GET"]),
    Route("/models/{model}/feed-ticket", post_feed_ticket, methods=["POST"]),
]
