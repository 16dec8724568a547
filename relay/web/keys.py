"""Rotation of the keys for secrets at rest: over HTTP, and on a store that no relay is running on."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.errors import BadSettings, StoreUnavailable
from relay.settings import Settings
from relay.web.replies import Json
from relay.web.wiring import Wiring, wire, wiring


async def post_rotate(request: Request) -> Response:
    """Encrypt every kept secret with the newest key. The answer names no secret, and is for a key with both rights."""
    relay = wiring(request)
    body = await request.body()
    for right in ("models", "accounts"):
        relay.keys.check(request.headers, right, body)
    return Json(await rotate(relay))


async def rotate(relay: Wiring) -> dict[str, Any]:
    """`{models, accounts, sinks}`: how many secrets are encrypted with the newest key now; `unreadable`: those that no
    key opens, as `models/<id>`, `accounts/<userId>` or `sinks/<id>`; `newest`: the newest key's fingerprint.

    Raises `BadSettings` where there is no key, `StoreUnavailable`.
    """
    if relay.vault.newest is None:
        raise BadSettings(["RELAY_ENCRYPTION_KEYS is not set: there is no key to encrypt with; 'relay keys' makes one"])
    counts, unreadable = await relay.reseal()
    return {**counts, "unreadable": unreadable, "newest": relay.vault.newest}


async def rotate_store(settings: Settings) -> dict[str, Any] | None:
    """The same on the store itself; None where a running relay has it. Raises `BadSettings`, `StoreUnavailable`."""
    relay = wire(settings)
    await relay.store.open()
    await relay.deliveries.close()  # nothing is posted from here
    try:
        if relay.store.in_use:
            return None
        if not relay.store.healthy:
            raise StoreUnavailable(f"{settings.store} cannot be opened ({relay.store.trouble})")
        return await rotate(relay)
    finally:
        await relay.store.close()
        await relay.vendor.close()


routes = [Route("/keys/rotate", post_rotate, methods=["POST"])]
