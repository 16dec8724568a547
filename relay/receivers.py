"""Receivers: one request to an address that a platform named, without being led into our own network.

The name is resolved here, every address it has is looked at, and the connection goes to one that was looked at: what
the name means a moment later does not matter. Redirects, proxies, cookies and answers' bodies mean nothing here.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Mapping
from functools import cache

import httpx2

from relay.addresses import is_public
from relay.errors import Invalid

SECONDS_MAX = 15.0  # for the whole request, from the name to the answer
CONNECT_SECONDS_MAX = 5.0
RESOLVE_SECONDS_MAX = 5.0
ANSWER_BYTES_MAX = 16 * 1024  # read so that the connection can be used again; more of it and it is closed
ADDRESSES_MAX = 4  # tried in one go
NOT_CONNECTED = (httpx2.ConnectError, httpx2.ConnectTimeout)


class Unreachable(Exception):
    """The request was not sent, and why."""


@cache
def tls() -> ssl.SSLContext:
    """Made once: reading all the certificates takes its time."""
    return httpx2.create_ssl_context()


class Receiver:
    """A sink's address, and the connection to it while it is in use. `private`: any network will do."""

    def __init__(self, url: str, *, private: bool, context: ssl.SSLContext | None = None) -> None:
        try:
            self._url = httpx2.URL(url)
        except httpx2.InvalidURL as error:
            raise Invalid(f"'url' is no address: {error}", field="url") from None
        self._private = private
        # One per sink: connections are kept by address, and two names at one address must not share one.
        self._transport = httpx2.AsyncHTTPTransport(
            verify=context or (tls() if self._url.scheme == "https" else False),
            trust_env=False,
            limits=httpx2.Limits(max_connections=2, max_keepalive_connections=1, keepalive_expiry=30.0),
        )

    async def addresses(self) -> list[str]:
        """Where the name leads, each looked at. Raises `Unreachable`."""
        host, port = self._url.host, self._url.port or 443
        try:
            async with asyncio.timeout(RESOLVE_SECONDS_MAX):
                found = await asyncio.get_running_loop().getaddrinfo(
                    self._url.raw_host.decode("ascii"), port, type=socket.SOCK_STREAM
                )
        except TimeoutError:
            raise Unreachable(f"the name {host:.80} was not resolved within {RESOLVE_SECONDS_MAX:g} s") from None
        except (OSError, UnicodeError):
            raise Unreachable(f"the name {host:.80} does not resolve") from None
        addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
        if not self._private and not all(is_public(address) for address in addresses):
            raise Unreachable(f"{host:.80} is not on the open internet, and RELAY_SINKS_PRIVATE is not allow")
        return addresses[:ADDRESSES_MAX]

    async def post(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str | None]:
        """The answer's status and its `Retry-After`.

        Raises `Unreachable`, or `TimeoutError` and `httpx2.HTTPError` where nobody knows what the receiver made of it.
        """
        async with asyncio.timeout(SECONDS_MAX) as end:
            response = await self._send(headers, body)
        with contextlib.suppress(TimeoutError, httpx2.HTTPError):  # it has answered: the rest does not matter
            async with asyncio.timeout_at(end.when()):
                await read_away(response)
        return response.status_code, response.headers.get("retry-after")

    async def _send(self, headers: Mapping[str, str], body: bytes) -> httpx2.Response:
        error: httpx2.HTTPError | None = None
        for address in await self.addresses():
            request = httpx2.Request(
                "POST",
                self._url.copy_with(host=address),
                headers={"Host": self._url.netloc.decode("ascii"), **headers},
                content=body,
                extensions={
                    "sni_hostname": self._url.raw_host.decode("ascii"),
                    "timeout": httpx2.Timeout(SECONDS_MAX, connect=CONNECT_SECONDS_MAX).as_dict(),
                },
            )
            try:
                response = await self._transport.handle_async_request(request)
            except NOT_CONNECTED as failure:
                error = failure
                continue
            response.request = request
            return response
        raise Unreachable(f"no connection: {reason(error)}") from None

    async def close(self) -> None:
        await self._transport.aclose()


async def read_away(response: httpx2.Response) -> None:
    """Where it is short, the connection can be used again."""
    size = 0
    try:
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > ANSWER_BYTES_MAX:
                break
    finally:
        await response.aclose()


def reason(error: BaseException | None) -> str:
    """What went wrong, in the words of the library that saw it; nothing of ours is in them."""
    seen = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted ({seen.verify_message})"
        seen = seen.__cause__ or seen.__context__
    return type(error).__name__
