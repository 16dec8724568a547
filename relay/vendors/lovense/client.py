"""The vendor's Cam Kit server: one call, `getToken` (cam-kit-for-web.md step 2, facts.md 1.8)."""

from __future__ import annotations

from typing import Any

import httpx2
import msgspec
import orjson

from relay.errors import VendorRefused, VendorUnavailable
from relay.settings import Settings

TIMEOUT_SECONDS = 10.0
# Every vendor sample sends a browser's; default library agents may be filtered (facts.md 1.8).
USER_AGENT = "Mozilla/5.0 (compatible; tip-relay)"
REMEDIES = {
    401: "the vendor does not know this developer token: check LOVENSE_DEVELOPER_TOKEN in the vendor's dashboard",
    402: "the vendor refuses the model's id or name: register the model under another name",
    505: "the vendor reports an error of its own: try again later",
}


class CamKitClient:
    """Asks the vendor for model tokens. Tokens never appear in an error."""

    def __init__(self, settings: Settings, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._developer_token = settings.developer_token
        self._url = settings.lovense_api_url + "/api/cam/model/getToken"
        self._http = httpx2.AsyncClient(
            timeout=TIMEOUT_SECONDS,
            transport=transport,
            trust_env="//127.0.0.1" not in self._url and "//localhost" not in self._url,
            headers={"User-Agent": USER_AGENT},
        )

    async def get_token(self, model: str, name: str) -> str:
        """The model's token. Raises `VendorRefused` or `VendorUnavailable`."""
        info = orjson.dumps({"mId": model, "mName": name}).decode()
        try:
            answer = await self._http.post(self._url, data={"dToken": self._developer_token, "mInfo": info})
        except httpx2.TimeoutException:
            raise VendorUnavailable(
                f"the vendor did not answer getToken within {TIMEOUT_SECONDS:g} s: try again", retry_after=30
            ) from None
        except httpx2.HTTPError as error:
            raise VendorUnavailable(
                f"the vendor's server cannot be reached ({type(error).__name__}): check LOVENSE_API_URL and try again",
                retry_after=30,
            ) from None
        return read_token_answer(answer.status_code, answer.content)

    async def close(self) -> None:
        await self._http.aclose()


def read_token_answer(status: int, content: bytes) -> str:
    """The token out of getToken's answer: success is `result` true and a code of 200 or 0 (facts.md 1.8)."""
    try:
        body: Any = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise VendorUnavailable(
            f"the vendor answered getToken with HTTP {status} and no JSON: try again later", retry_after=30
        ) from None
    if not isinstance(body, dict):
        raise VendorUnavailable(f"the vendor answered getToken with HTTP {status} and no object", retry_after=30)
    code = body.get("code")
    code = int(code) if isinstance(code, str) and code.isdigit() else code
    if body.get("result") is not True or code not in (200, 0):
        remedy = REMEDIES.get(code if isinstance(code, int) else 0, "see the vendor's dashboard, then try again")
        raise VendorRefused(f"getToken was refused (HTTP {status}, code {code!r:.20}): {remedy}", vendor_code=code)
    data = body.get("data")
    token = data.get("mToken") if isinstance(data, dict) else None
    if not isinstance(token, str) or not token:
        raise VendorUnavailable("the vendor answered getToken with success but without data.mToken: try again later")
    return token
