"""What goes over the wire to the App Gallery server, row by row of facts.md 3.2; the vendor is the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
from sandbox_kit import APP_ID, APP_SECRET, DEVELOPER, Gallery, gallery, signature

from relay.clock import TickingClock
from relay.errors import Refusal, VendorRefused, VendorUnavailable, VendorUntouched
from relay.secret import Secret
from relay.settings import Settings
from relay.vendors.lovense.app_gallery import AppGalleryClient, read_deadline
from relay.vendors.lovense.calls import number_of

NOW = 1_700_000_000.0
DAY = 86_400.0
FAILURES = ("timeout_before", "timeout_after", "error_before", "error_after", "rate_limited", "html", "garbage")


class Tap:
    """Stands before the sandbox: notes each request as it came, and relabels the answers as the Java sample would."""

    def __init__(self, app: Any, seen: list[tuple[str, dict[str, str], bytes]], charset: str) -> None:
        self.app, self.seen, self.charset = app, seen, charset

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        if scope["path"].startswith("/remote-dev-api"):
            self.seen.append((scope["path"], headers, body))
        given = [{"type": "http.request", "body": body}]

        async def replay() -> Any:
            return given.pop() if given else await receive()

        async def relabelled(message: Any) -> None:
            if "http.response.start" == message["type"]:
                kind = [(b"content-type", f"application/json{self.charset}".encode())]
                rest = [pair for pair in message["headers"] if b"content-type" != pair[0]]
                message = message | {"headers": rest + kind}
            await send(message)

        await self.app(scope, replay, relabelled)


class Wire:
    """A client, the vendor it asks, and what the vendor has seen of it."""

    def __init__(self, client: AppGalleryClient, vendor: Gallery, seen: list[Any]) -> None:
        self.client, self.vendor, self.seen = client, vendor, seen

    async def pair(self) -> Any:
        return await self.client.exchange(await self.vendor.code())


@asynccontextmanager
async def open_wire(charset: str = "", **how: Any) -> AsyncIterator[Wire]:
    seen: list[Any] = []
    clock = TickingClock(NOW)
    async with gallery(clock) as vendor:
        vendor.app.add_middleware(Tap, seen=seen, charset=charset)
        settings = Settings(
            developer_token=Secret(DEVELOPER["developerToken"]),
            app_id=APP_ID,
            app_secret=Secret(APP_SECRET),
            lovense_app_gallery_url=str(vendor.base_url).rstrip("/"),
        )
        client = AppGalleryClient(settings, clock, **how)
        yield Wire(client, vendor, seen)
        await client.close()


async def test_an_exchange_is_what_the_table_asks_for():
    """Rows 1, 2, 8 and 9: a sign of 44 characters in one line, literal words, and nothing that is not needed."""
    async with open_wire() as wire:
        code = await wire.vendor.code()
        await wire.client.exchange(code)
        path, _, body = wire.seen[0]
        sent = orjson.loads(body)
        assert "/remote-dev-api/oauth" == path
        assert {
            "appId": APP_ID,
            "grantType": "authorizationCode",
            "authCode": code,
            "sign": signature(code),
            "signType": "HmacSHA256",
        } == sent
        assert (44, 1) == (len(sent["sign"]), len(sent["sign"].splitlines()))


async def test_a_refresh_names_its_token_as_the_table_does():
    """Rows 3 and 8: `refreshToken`, not the sample's `freshToken`."""
    async with open_wire() as wire:
        pair = await wire.pair()
        await wire.client.refresh(pair.refresh)
        sent = orjson.loads(wire.seen[1][2])
        assert {"appId": APP_ID, "grantType": "refreshToken", "refreshToken": pair.refresh.reveal()} == sent


@pytest.mark.parametrize("charset", ["", ";charset=utf8", "; charset=UTF-8", ";charset=nonsense"])
async def test_a_charset_is_neither_sent_nor_believed(charset):
    """Row 4: `application/json` goes out; whatever comes back is read as JSON."""
    async with open_wire(charset) as wire:
        pair = await wire.pair()
        assert "Jo" == await wire.client.user_name(pair.access)
        assert ["application/json"] * 2 == [headers["content-type"] for _, headers, _ in wire.seen]


async def test_who_somebody_is_is_asked_without_a_body():
    """Row 10: as the curl sample does."""
    async with open_wire() as wire:
        pair = await wire.pair()
        assert "Jo" == await wire.client.user_name(pair.access)
        path, headers, body = wire.seen[1]
        assert ("/remote-dev-api/user/info", b"", "0") == (path, body, headers.get("content-length", "0"))


async def test_tokens_travel_in_headers_of_the_vendors_own():
    """Row 11: with their `+`, `/` and `=`; no Authorization."""
    async with open_wire() as wire:
        pair = await wire.pair()
        await wire.client.user_name(pair.access)
        headers = wire.seen[1][1]
        sent = (DEVELOPER["developerToken"], pair.access.reveal())
        assert sent == (headers["developertoken"], headers["accesstoken"])
        assert "authorization" not in headers
        assert {"+", "/", "="} <= set(headers["developertoken"])


async def test_the_signer_can_be_another():
    """Row 1: should the vendor turn out to sign as its sample does and not as its text."""
    async with open_wire(sign=lambda code, secret: f"{secret}:{code}") as wire:
        with pytest.raises(VendorRefused):
            await wire.pair()
        assert orjson.loads(wire.seen[0][2])["sign"].startswith(APP_SECRET + ":")


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("call", ["exchange", "refresh", "user_info"])
async def test_a_failure_says_whether_the_vendor_can_have_acted_and_shows_no_secret(call, failure):
    """Each call asks once; only 429 says that nothing has happened."""
    async with open_wire() as wire:
        pair = await wire.pair()
        code = await wire.vendor.code()
        await wire.vendor.order(hang_seconds=0, **{call: failure})
        before = len(wire.seen)
        asked = {
            "exchange": lambda: wire.client.exchange(code),
            "refresh": lambda: wire.client.refresh(pair.refresh),
            "user_info": lambda: wire.client.user_name(pair.access),
        }
        with pytest.raises(VendorUnavailable) as caught:
            await asked[call]()
        assert (failure == "rate_limited") == isinstance(caught.value, VendorUntouched)
        assert 1 == len(wire.seen) - before
        assert not secrets_in(caught.value, code, pair.access.reveal(), pair.refresh.reveal())


async def test_a_vendor_that_is_silent_is_not_waited_for():
    """The call ends with its timeout, and nobody can tell what the vendor did."""
    async with open_wire(timeout=0.1) as wire:
        pair = await wire.pair()
        await wire.vendor.order(hang_seconds=60, refresh="timeout_after")
        with pytest.raises(VendorUnavailable) as caught:
            await wire.client.refresh(pair.refresh)
        assert not isinstance(caught.value, VendorUntouched)
        assert "within 0.1 s" in caught.value.detail


async def test_a_vendor_that_cannot_be_reached_has_done_nothing():
    """And the error names the setting to look at."""
    settings = Settings(
        developer_token=Secret("d"), app_id="a", app_secret=Secret("s"), lovense_app_gallery_url="http://127.0.0.1:1"
    )
    client = AppGalleryClient(settings, TickingClock(NOW))
    with pytest.raises(VendorUntouched) as caught:
        await client.refresh(Secret("r"))
    assert "LOVENSE_APP_GALLERY_URL" in caught.value.detail
    await client.close()


@pytest.mark.parametrize("status", [200, 400, 401, 403])
async def test_a_refusal_is_one_at_any_status(status):
    """`result: false` says no; the code is opaque, and passed on for support."""
    async with open_wire() as wire:
        await wire.vendor.order(refusal_status=status)
        with pytest.raises(VendorRefused) as caught:
            await wire.client.refresh(Secret("nobody's"))
        assert 40005 == caught.value.extra["vendor_code"]
        assert "nobody's" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "deadline"),
    [
        (1_698_390_847_916, None),  # the document's sample: long past
        (1_700_003_600_000, NOW + 3600),
        ("1700003600000", NOW + 3600),
        (1_700_003_600, NOW + 3600),
        (1_700_003_600.5, NOW + 3600.5),
        (31_536_000, NOW + 365 * DAY),
        ("31536000", NOW + 365 * DAY),
        (" 3600 ", NOW + 3600),
        (999_999_999, NOW + 400 * DAY),  # milliseconds cannot be told from seconds: capped
        (0, None),
        (-1, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        (True, None),
        (None, None),
        ([], None),
        (1e300, None),
        (10**400, None),
    ],
)
def test_a_deadline_is_what_it_must_be(value, deadline):
    """Row 7: milliseconds or seconds since 1970, or seconds from now; else unknown, good until refused."""
    assert deadline == read_deadline(value, NOW)


def secrets_in(error: Refusal, *secrets: str) -> list[str]:
    said = f"{error!r} {error.detail} {error.extra}"
    return [one for one in (*secrets, DEVELOPER["developerToken"], APP_SECRET) if one in said]


@pytest.mark.parametrize(
    ("code", "number"),
    [
        (0, 0),
        ("0", 0),
        (" 0 ", 0),
        ("-1", -1),
        (0.0, 0),
        ("--1", None),
        ("", None),
        (True, None),
        (0.5, None),
        ([], None),
    ],
)
def test_a_code_is_a_number_however_it_is_spelled(code, number):
    """Row 6: and what is none is none, without a crash after the vendor has acted."""
    assert number == number_of(code)
    assert type(number) is type(number_of(code))
