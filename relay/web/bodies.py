"""Request bodies: read up to a limit, decoded once."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request

from relay.errors import NotJson, TooLarge
from relay.surrogates import half_an_emoji, mended

_decoder = msgspec.json.Decoder()


async def read_body(request: Request, bytes_max: int) -> bytes:
    """The raw body. Raises `TooLarge` before more than `bytes_max` is held in memory."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > bytes_max:
        raise TooLarge(f"the body has {declared} bytes, the limit is {bytes_max}: nothing of it was kept")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > bytes_max:
                raise TooLarge(f"the body is over the limit of {bytes_max} bytes: nothing of it was kept")
    except ClientDisconnect:
        raise NotJson("the body ended before it was complete: nothing of it was kept") from None
    return bytes(body)


async def skip_body(request: Request, bytes_max: int) -> None:
    """Let a body come, up to `bytes_max`, and keep nothing of it."""
    size = 0
    with suppress(ClientDisconnect):
        async for chunk in request.stream():
            size += len(chunk)
            if size > bytes_max:
                return


def decode(body: bytes) -> Any:
    """The JSON in a body. Raises `NotJson`."""
    try:
        try:
            return _decoder.decode(body)
        except msgspec.DecodeError as error:
            if not half_an_emoji(error):
                raise
            return _decoder.decode(mended(body))
    except (msgspec.DecodeError, ValueError) as error:
        raise NotJson(f"the body is not JSON: {str(error)[:120]}") from None
    except RecursionError:
        raise NotJson("the body is not usable JSON: it is nested too deep") from None
