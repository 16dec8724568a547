"""What every door of the sandbox needs: the sandbox behind a request, and a body that is not too long."""

from __future__ import annotations

import orjson
from starlette.requests import HTTPConnection, Request

from relay.sandbox.models import Sandbox

JSON_BYTES_MAX = 64 * 1024


class BodyRefused(ValueError):
    """The body is too long, or not what it should be."""


def sandbox_of(connection: HTTPConnection) -> Sandbox:
    sandbox: Sandbox = connection.app.state.sandbox
    return sandbox


async def read_body(request: Request, bytes_max: int) -> bytes:
    """The body, as long as it is within its limit."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > bytes_max:
            raise BodyRefused(f"the body is longer than {bytes_max} bytes")
    return body


async def read_json(request: Request) -> object:
    """The body as JSON; an empty body is an empty object."""
    body = await read_body(request, JSON_BYTES_MAX)
    try:
        return orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as err:
        raise BodyRefused("the body is not JSON") from err
