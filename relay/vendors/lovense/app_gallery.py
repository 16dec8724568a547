"""The vendor's App Gallery server: users who link their accounts (app-gallery-server-api.md, facts.md 3).

The document contradicts itself in a dozen places; facts.md 3.2 numbers them, and the rows are cited here.
"""

from __future__ import annotations

import base64
import hmac
import math
from collections.abc import Callable
from typing import Any

import orjson

from relay.clock import Clock
from relay.errors import VendorRefused, VendorUnavailable
from relay.grants import Grant
from relay.names import clean_name
from relay.secret import Secret
from relay.settings import Settings
from relay.vendors.lovense.calls import (
    RETRY_SECONDS,
    TIMEOUT_SECONDS,
    VENDORS_OWN,
    Call,
    Caller,
    data_of,
    number_of,
    text,
)

SIGN_TYPE = "HmacSHA256"
RELATIVE_SECONDS_MAX = 400 * 86400.0  # milliseconds cannot be told from seconds (row 7)
AHEAD_SECONDS_MAX = 100 * 365 * 86400.0  # a deadline beyond that is a slip, not a date
OAUTH = "/remote-dev-api/oauth"
REFUSED = "the user cancelled, or the tokens are past their time: ask for a new authorization"
EXCHANGE = Call(
    "the exchange of the auth code",
    OAUTH,
    remedy="get a new auth code (getAuthCode), since this one is not tried again",
    refused="get a new auth code (getAuthCode, good for 3 minutes and one use); where every code is refused, check "
    "LOVENSE_DEVELOPER_TOKEN, LOVENSE_APP_ID and LOVENSE_APP_SECRET in the App Gallery Console",
)
REFRESH = Call("the refresh", OAUTH, refused=REFUSED)
INFO = Call("user/info", "/remote-dev-api/user/info", refused=REFUSED)

Sign = Callable[[str, str], str]


def sign(code: str, secret: str) -> str:
    """base64(HMAC-SHA256(secret, code)): 44 characters and no line break, whatever the samples show (rows 1 and 2)."""
    return base64.b64encode(hmac.digest(secret.encode(), code.encode(), "sha256")).decode("ascii")


class AppGalleryClient:
    """Keeps the `AccountServer` contract. Codes and tokens never appear in an error."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        timeout: float = TIMEOUT_SECONDS,
        transport: Any | None = None,
        sign: Sign = sign,
    ) -> None:
        self._app_id = settings.app_id
        self._app_secret = settings.app_secret
        self._developer_token = settings.developer_token
        self._clock = clock
        self._sign = sign
        self._caller = Caller(
            settings.lovense_app_gallery_url, "LOVENSE_APP_GALLERY_URL", timeout=timeout, transport=transport
        )

    async def exchange(self, code: str) -> Grant:
        signed = {"authCode": code, "sign": self._sign(code, self._app_secret.reveal()), "signType": SIGN_TYPE}
        grant = await self._oauth(EXCHANGE, grantType="authorizationCode", **signed)
        if grant.user is None:
            raise VendorUnavailable(f"the vendor answered {EXCHANGE.name} without userId: {EXCHANGE.remedy}")
        return grant

    async def refresh(self, token: Secret) -> Grant:
        return await self._oauth(REFRESH, grantType="refreshToken", refreshToken=token.reveal())

    async def user_name(self, token: Secret) -> str | None:
        # POST without a body, as the document's curl sample does (row 10).
        status, body = await self._caller.post(INFO, headers=self._headers(accessToken=token.reveal()))
        name = field(succeeded(INFO, status, body), "name")
        return clean_name(name) or None if isinstance(name, str) else None

    async def _oauth(self, call: Call, **fields: str) -> Grant:
        # What a grant type does not need is left out, not sent empty (row 9).
        content = orjson.dumps({"appId": self._app_id, **fields})
        status, body = await self._caller.post(call, headers=self._headers(), content=content)
        return read_grant(call, succeeded(call, status, body), self._clock.now())

    def _headers(self, **more: str) -> dict[str, str]:
        # Not `Authorization: Bearer`: names of the vendor's own (row 11), and JSON without a charset (row 4).
        return {"Content-Type": "application/json", "developerToken": self._developer_token.reveal(), **more}

    async def close(self) -> None:
        await self._caller.close()


# -- Reading -----------------------------------------------------------------------------------------------------------


def succeeded(call: Call, status: int, body: dict[str, Any]) -> dict[str, Any]:
    """The answer, where it says yes: `result` is true and `code` is 0. `message` says nothing reliable (row 6).

    Raises `VendorRefused` where it says no, `VendorUnavailable` where it speaks of trouble of its own, or of nothing.
    """
    result, code = body.get("result"), number_of(body.get("code"))
    if result is True and code == 0 and status < 400:
        return body
    no = result is False or (result is None and code not in (None, 0))
    if no and status < 500 and code not in VENDORS_OWN:
        raise VendorRefused(
            f"the vendor refused {call.name} (HTTP {status}, code {code}): {call.refused}", vendor_code=code
        )
    raise VendorUnavailable(
        f"the vendor answered {call.name} with neither yes nor no (HTTP {status}, code {code}): {call.remedy}",
        retry_after=RETRY_SECONDS,
    )


def field(body: dict[str, Any], name: str) -> Any:
    """`data.name`, else `name` at the top; `data` may be JSON text (row 5)."""
    found = data_of(body).get(name)
    return body.get(name) if found is None else found


def read_grant(call: Call, body: dict[str, Any], now: float) -> Grant:
    """The pair in an answer. Raises `VendorUnavailable` where a token is missing."""
    access, refresh, user = (text(field(body, name)) for name in ("accessToken", "refreshToken", "userId"))
    if access is None or refresh is None:
        missing = "accessToken" if access is None else "refreshToken"
        raise VendorUnavailable(f"the vendor answered {call.name} with success but without {missing}: {call.remedy}")
    return Grant(
        Secret(access),
        Secret(refresh),
        read_deadline(field(body, "expiresIn"), now),
        read_deadline(field(body, "reExpiresIn"), now),
        user,
    )


def read_deadline(value: Any, now: float) -> float | None:
    """A deadline in seconds since 1970, or None where none can be told (row 7): the same two fields of one sample hold
    milliseconds since 1970 and seconds from now."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        value = float(value)
    except (ValueError, OverflowError):
        return None
    if not math.isfinite(value):
        return None
    if value >= 1e12:
        at = value / 1000
    elif value >= 1e9:
        at = value
    else:
        at = now + min(value, RELATIVE_SECONDS_MAX)
    return at if now < at < now + AHEAD_SECONDS_MAX else None
