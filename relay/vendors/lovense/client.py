"""The vendor's Cam Kit server: one call, `getToken` (cam-kit-for-web.md step 2, facts.md 1.8)."""

from __future__ import annotations

from typing import Any

import orjson

from relay.errors import VendorRefused, VendorUnavailable
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

GET_TOKEN = Call("getToken", "/api/cam/model/getToken", remedy="PUT the model again, which does no harm")
REMEDIES = {
    401: "the vendor does not know this developer token: set LOVENSE_DEVELOPER_TOKEN as its dashboard shows it",
    402: "the vendor refuses the model's id or name: PUT the model with another name, or register her under another id",
}
OTHER_REMEDY = "look into the vendor's dashboard, then PUT the model again"
SUCCESS = (200, 0)  # the document says 200, the vendor's other servers say 0 (facts.md 1.8)


class CamKitClient:
    """Asks the vendor for model tokens. Tokens never appear in an error."""

    def __init__(self, settings: Settings, *, timeout: float = TIMEOUT_SECONDS, transport: Any | None = None) -> None:
        self._developer_token = settings.developer_token
        self._caller = Caller(settings.lovense_api_url, "LOVENSE_API_URL", timeout=timeout, transport=transport)

    async def get_token(self, model: str, name: str) -> Secret:
        """The model's token. Raises `VendorRefused` or `VendorUnavailable`."""
        info = orjson.dumps({"mId": model, "mName": name}).decode()
        form = {"dToken": self._developer_token.reveal(), "mInfo": info}
        return read_token_answer(*await self._caller.post(GET_TOKEN, data=form))

    async def close(self) -> None:
        await self._caller.close()


def read_token_answer(status: int, body: dict[str, Any]) -> Secret:
    """The token out of getToken's answer: success is `result` true and a code that says so (facts.md 1.8).

    Raises `VendorRefused` where the vendor says no, `VendorUnavailable` where it speaks of trouble of its own (505,
    "Other errors", included), or of nothing.
    """
    result, code = body.get("result"), number_of(body.get("code"))
    said = f"HTTP {status}, code {code}"
    if status >= 500 or code in VENDORS_OWN:
        raise _unavailable(
            f"the vendor reports an error of its own for getToken ({said}): wait, then {GET_TOKEN.remedy}"
        )
    if result is False or code not in (None, *SUCCESS):
        remedy = REMEDIES.get(code or 0, OTHER_REMEDY)
        raise VendorRefused(f"the vendor refused getToken ({said}): {remedy}", vendor_code=code)
    if result is not True or code is None or status >= 400:
        remedy = f"check LOVENSE_API_URL, then {GET_TOKEN.remedy}"
        raise _unavailable(f"the vendor answered getToken with neither yes nor no ({said}): {remedy}")
    token = text(data_of(body).get("mToken"))
    if token is None:
        raise _unavailable(f"the vendor answered getToken with success but without data.mToken: {GET_TOKEN.remedy}")
    return Secret(token)


def _unavailable(detail: str) -> VendorUnavailable:
    return VendorUnavailable(detail, retry_after=RETRY_SECONDS)
