"""Sinks over HTTP: the feed is posted to them. Created, looked at, tried out, enabled, forgotten."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.sinks import Sink, answer_as_json, sink_as_json
from relay.web.models import read_object
from relay.web.replies import Json
from relay.web.wiring import Wiring, wiring


async def post_sink(request: Request) -> Response:
    """A new sink. Its secret is in this answer and in no other."""
    relay = wiring(request)
    body, data = await read_object(request)
    relay.keys.check(request.headers, "feed", body)
    sink, secret = await relay.deliveries.create(data)
    return Json(await described(relay, sink) | {"secret": secret}, 201)


async def list_sinks(request: Request) -> Response:
    relay = wiring(request)
    relay.keys.check(request.headers, "feed")
    epoch, last = relay.store.epoch, await relay.store.last()
    return Json({"sinks": [sink_as_json(sink, epoch, last) for sink in await relay.deliveries.all()]})


async def get_sink(request: Request) -> Response:
    relay = wiring(request)
    relay.keys.check(request.headers, "feed")
    return Json(await described(relay, await relay.deliveries.find(request.path_params["id"])))


async def delete_sink(request: Request) -> Response:
    relay = wiring(request)
    relay.keys.check(request.headers, "feed")
    await relay.deliveries.remove(request.path_params["id"])
    return Response(status_code=204)


async def enable_sink(request: Request) -> Response:
    """A sink that failed or was disabled goes on where it was, at once."""
    relay = await allowed(request)
    return Json(await described(relay, await relay.deliveries.enable(request.path_params["id"])))


async def rotate_sink(request: Request) -> Response:
    """A new secret, shown once; the one before signs along for a day."""
    relay = await allowed(request)
    sink, secret = await relay.deliveries.rotate(request.path_params["id"])
    return Json(await described(relay, sink) | {"secret": secret})


async def test_sink(request: Request) -> Response:
    """A message of the type `test`, now, and what the receiver said."""
    relay = await allowed(request)
    return Json(answer_as_json(await relay.deliveries.test(request.path_params["id"])))


async def allowed(request: Request) -> Wiring:
    relay = wiring(request)
    body, _ = await read_object(request)
    relay.keys.check(request.headers, "feed", body)
    return relay


async def described(relay: Wiring, sink: Sink) -> dict[str, Any]:
    return sink_as_json(sink, relay.store.epoch, await relay.store.last())


routes = [
    Route("/sinks", post_sink, methods=["POST"]),
    Route("/sinks", list_sinks, methods=["GET"]),
    Route("/sinks/{id}", get_sink, methods=["GET"]),
    Route("/sinks/{id}", delete_sink, methods=["DELETE"]),
    Route("/sinks/{id}/enable", enable_sink, methods=["POST"]),
    Route("/sinks/{id}/rotate", rotate_sink, methods=["POST"]),
    Route("/sinks/{id}/test", test_sink, methods=["POST"]),
]
