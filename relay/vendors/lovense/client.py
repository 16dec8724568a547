"""The vendor's Cam Kit server: one call, `getToken` (cam-kit-for-web.md step 2, facts.md 1.8)."""

from __future__ import annotations

from typing import Any

import orjson

from relay.errors import VendorRefused, VendorUnavailable
from relay.secret import Secret
from relay.settings import Settings
from relay.vendors.lovense.calls import RETRY_SECONDS, TIMEOUT_SECONDS, Call, Caller, number_of

GET_TOKEN = Call("getToken", "/api/cam/model/getToken")
REMEDIES = {
    401: "the vendor does not know this developer token: check LOVENSE_DEVELOPER_TOKEN in the vendor's dashboard",
    402: "the vendor refuses the model's id or name: register the model under another name",
}
BUSY = 505  # "Other errors": the vendor's own


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
    """The token out of getToken's answer: success is `result` true and a code of 200 or 0 (facts.md 1.8)."""
    code = number_of(body.get("code"))
    if status >= 500 or code == BUSY:
        raise VendorUnavailable(
            f"the vendor reports an error of its own for getToken (HTTP {status}, code {code}): try again later",
            retry_after=RETRY_SECONDS,
        )
    if body.get("result") is not True or code not in (200, 0):
        remedy = REMEDIES.get(code or 0, "see the vendor's dashboard, then try again")
        raise VendorRefused(f"getToken was refused (HTTP {status}, code {code}): {remedy}", vendor_code=code)
    data = body.get("data")
    token = data.get("mToken") if isinstance(data, dict) else None
    if not isinstance(token, str) or not token:
        raise VendorUnavailable(
            "the vendor answered getToken with success but without data.mToken: try again later",
            retry_after=RETRY_SECONDS,
        )
    return Secret(token)
