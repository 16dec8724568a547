"""Captures over HTTP: one model's broadcast, raw, as lines of JSON that do not end (docs/vendor.md, "Capture")."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from relay.captures import CAPTURE_SECONDS_MAX, Capture, Captures
from relay.errors import Invalid
from relay.tips import shown
from relay.web.tips import number
from relay.web.wiring import wiring

log = structlog.get_logger()

FLAGS = {"true": True, "1": True, "false": False, "0": False, "": False}


class Stream(StreamingResponse):
    """The lines of one capture; however the answer ends, the capture ends with it."""

    media_type = "application/x-ndjson"

    def __init__(self, captures: Captures, capture: Capture, seconds: float) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(limited(capture, seconds), headers=headers)
        self._captures = captures
        self._capture = capture

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._captures.close(self._capture)
            log.info("capture ended", model=self._capture.model, seconds=self._capture.t)


async def limited(capture: Capture, seconds: float) -> AsyncIterator[bytes]:
    """The lines, until they end or the time is over."""
    ends = asyncio.get_running_loop().call_later(seconds, capture.end, f"{seconds:g} seconds are over")
    try:
        async for lines in capture.lines():
            yield lines
    finally:
        ends.cancel()


async def get_capture(request: Request) -> Response:
    """`?names=true`: the tippers' own names; `?seconds=`: how long, at most a day."""
    relay = wiring(request)
    key = relay.keys.check(request.headers, "models")
    asked = request.query_params
    wanted = asked.get("names", "").lower()
    if wanted not in FLAGS:
        raise Invalid(f"'names' must be true or false, not {shown(wanted)}", field="names")
    seconds = number(asked["seconds"], "seconds", CAPTURE_SECONDS_MAX) if "seconds" in asked else CAPTURE_SECONDS_MAX
    room = await relay.hub.room(request.path_params["model"])
    names = FLAGS[wanted]
    secrets = [one.reveal() for one in relay.models.secrets(room.record)]  # to be looked for
    capture = relay.hub.captures.begin(room, kit=relay.vendor.kit, names=names, secrets=secrets)
    log.info("capture began", model=room.id, key=key.name, names=names, seconds=seconds)
    return Stream(relay.hub.captures, capture, seconds)


routes = [Route("/models/{model}/capture", get_capture, methods=["GET"])]
# Starlette would answer HEAD with a whole capture whose lines nobody sees.
routes[0].methods = {"GET"}
