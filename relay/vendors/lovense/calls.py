"""How the vendor's servers are asked: one client's habits, and what can go wrong on the way there and back.

What went wrong is told apart by one question: can the vendor have done what was asked?
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx2
import msgspec

from relay.errors import VendorUnavailable, VendorUntouched
from relay.surrogates import half_an_emoji, mended

TIMEOUT_SECONDS = 10.0
ANSWER_BYTES_MAX = 256 * 1024
RETRY_SECONDS = 30.0
RETRY_SECONDS_MAX = 3600.0  # whatever the vendor asks for
VENDORS_OWN = (429, *range(500, 600))  # codes for trouble of its own, which say nothing about what was asked
TOKEN_LENGTH_MAX = 8192
# Every vendor sample sends a browser's; default library agents may be filtered (facts.md 1.8).
USER_AGENT = "Mozilla/5.0 (compatible; tip-relay)"
# Nothing of the request can have reached the vendor.
NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


class Call(NamedTuple):
    """One of the vendor's calls, and what to do where it goes wrong."""

    name: str
    path: str
    remedy: str = "try again"  # no usable answer came
    refused: str = ""  # the answer is no


class Caller:
    """Asks one of the vendor's servers. `variable` names the setting that says where it is."""

    def __init__(
        self, base: str, variable: str, *, timeout: float = TIMEOUT_SECONDS, transport: Any | None = None
    ) -> None:
        self._base = base
        self._variable = variable
        self._timeout = timeout
        self._http = httpx2.AsyncClient(
            timeout=timeout,
            transport=transport,
            trust_env="//127.0.0.1" not in base and "//localhost" not in base,
            headers={"User-Agent": USER_AGENT},
        )

    async def post(
        self, call: Call, *, headers: Mapping[str, str] | None = None, **body: Any
    ) -> tuple[int, dict[str, Any]]:
        """The answer's HTTP status and the JSON object in it. Nothing that was sent or received shows in an error.

        Raises `VendorUntouched` where the vendor cannot have acted, else `VendorUnavailable`.
        """
        try:
            # httpx2 measures each step; the whole has an end too, however slowly the vendor drips.
            async with asyncio.timeout(2 * self._timeout):
                status, wait, content = await self._exchange(call.path, headers, body)
        except NOT_SENT as error:
            raise VendorUntouched(
                f"the vendor's server cannot be reached for {call.name} ({cause_of(error)}): "
                f"check {self._variable} and {call.remedy}",
                retry_after=RETRY_SECONDS,
            ) from None
        except (httpx2.TimeoutException, TimeoutError):
            raise VendorUnavailable(
                f"the vendor did not answer {call.name} within {self._timeout:g} s: {call.remedy}",
                retry_after=RETRY_SECONDS,
            ) from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise VendorUnavailable(
                f"the connection to the vendor broke during {call.name} ({type(error).__name__}): {call.remedy}",
                retry_after=RETRY_SECONDS,
            ) from None
        if status == 429:
            raise VendorUntouched(
                f"the vendor has had too many calls (HTTP 429 to {call.name}): wait, then {call.remedy}",
                retry_after=wait,
            )
        too_long = len(content) > ANSWER_BYTES_MAX
        body_read = None if too_long else opened(content)
        if isinstance(body_read, dict):
            return status, body_read
        kind = "too much" if too_long else "no JSON" if body_read is None else "no object"
        raise VendorUnavailable(
            f"the vendor answered {call.name} with HTTP {status} and {kind}: {call.remedy}", retry_after=wait
        )

    async def _exchange(
        self, path: str, headers: Mapping[str, str] | None, body: dict[str, Any]
    ) -> tuple[int, float, bytes]:
        content = bytearray()
        async with self._http.stream("POST", self._base + path, headers=headers, **body) as answer:
            async for chunk in answer.aiter_bytes():
                content += chunk
                if len(content) > ANSWER_BYTES_MAX:
                    break  # whatever it is, it is not an answer
            return answer.status_code, retry_after(answer.headers.get("retry-after", "")), bytes(content)

    async def close(self) -> None:
        await self._http.aclose()


def cause_of(error: BaseException) -> str:
    """What kept us from the vendor: TLS in its own words, which name certificates and hosts, else the error's kind."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {getattr(cause, 'verify_message', '') or cause.reason or 'failed'}"
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def retry_after(header: str) -> float:
    """Seconds; the header may also hold a date, which nobody has seen this vendor send."""
    return min(float(header), RETRY_SECONDS_MAX) if header.isdecimal() and float(header) else RETRY_SECONDS


def opened(content: bytes) -> Any:
    """The JSON in an answer; None where there is none, such as in a page of HTML."""
    try:
        try:
            return msgspec.json.decode(content)
        except msgspec.DecodeError as error:
            if not half_an_emoji(error):
                raise
            return msgspec.json.decode(mended(content))
    except (ValueError, RecursionError):
        return None


def number_of(code: Any) -> int | None:
    """A `code` as a number, however it is spelled; None where it is none."""
    if isinstance(code, str) and len(code) <= 12 and code.strip().removeprefix("-").isdecimal():
        return int(code)
    if isinstance(code, float) and code.is_integer():
        return int(code)
    return code if isinstance(code, int) and not isinstance(code, bool) else None


def data_of(body: dict[str, Any]) -> dict[str, Any]:
    """An answer's `data`, which may be JSON text (facts.md 3.2, row 5); empty where there is none."""
    data = body.get("data")
    if isinstance(data, str):
        data = opened(data.encode("utf-8", "replace"))
    return data if isinstance(data, dict) else {}


def text(value: Any) -> str | None:
    """A token or an id: one that can travel in a header or a URL, or None."""
    fits = isinstance(value, str) and 0 < len(value) <= TOKEN_LENGTH_MAX and value.isascii() and value.isprintable()
    return value if fits else None
