"""The weather over the vendor's servers: how their calls fail, and in which of its shapes an answer comes."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import orjson
from msgspec import Struct
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from relay.sandbox.switches import Kind, check_switches, choices, flags, numbers

SECONDS_MAX = 400 * 86_400.0
HANG_SECONDS_MAX = 600.0
FAILURES_MAX = 1_000_000
OVERSIZE_BYTES = 400_000
DRIP_SECONDS = 0.02

# How a call fails. What has happened on the vendor's side by then, the asker cannot see.
BEFORE = ("timeout_before", "error_before", "rate_limited", "html")  # nothing has happened
AFTER = ("timeout_after", "error_after", "garbage", "truncated", "oversize", "drip")  # it has, and the answer is lost
FAILURES = (*BEFORE, *AFTER)
DICE = (*BEFORE, "timeout_after", "error_after", "garbage")  # at random: the rest tells the asker nothing else
REFUSALS = {"refuse_401": 401, "refuse_402": 402, "refuse_505": 505}  # what getToken's document lists
CALLS = ("get_token", "exchange", "refresh", "user_info")

TIMES = (
    "milliseconds",  # epoch, as the document's sample of expiresIn
    "seconds",  # epoch
    "relative",  # seconds from now, as the document's sample of reExpiresIn
    "milliseconds_text",
    "seconds_text",
    "relative_text",
    "zero",
    "negative",
    "past",  # epoch milliseconds of yesterday
    "null",
    "missing",
)

FIELDS = ("nothing", "mToken", "accessToken", "refreshToken", "userId", "name", "data", "result", "code")


class Weather(Struct, frozen=True):
    """How the vendor's servers behave; the defaults are a fine day."""

    get_token: str = "ok"  # noqa: S105 - no password: how the call fails
    exchange: str = "ok"
    refresh: str = "ok"
    user_info: str = "ok"
    failures: int | None = None  # after so many ordered failures every call is "ok" again; None: they go on
    random_failures: float = 0.0  # probability for every call that has no failure ordered
    random_seed: int = 0
    hang_seconds: float = 60.0  # how long a timeout keeps silent before it cuts the connection
    answer_delay: float = 0.0  # seconds from the effect to a good answer
    data: str = "nested"  # where an answer's fields stand; "flat" is the table of the document, "text" JSON in `data`
    code: str = "number"
    message: str = "null"
    refusal_status: int = 200  # HTTP status beside `result: false`
    expires_in: str = "milliseconds"
    re_expires_in: str = "relative"
    re_expires_renewed: bool = True  # a refresh names the whole time again (facts.md 3.3, A1); the deadline stays
    missing: str = "nothing"  # a field that answers lack
    empty: str = "nothing"  # a field that is an empty text
    fresh_tokens: bool = False  # getToken gives another token each time
    access_seconds: float = 3600.0  # how long the next access tokens live
    refresh_seconds: float = 31_536_000.0  # how long the next grants last


CHOICES: dict[str, tuple[Any, ...]] = {
    "get_token": ("ok", *FAILURES, *REFUSALS),
    "exchange": ("ok", *FAILURES),
    "refresh": ("ok", *FAILURES),
    "user_info": ("ok", *FAILURES),
    "data": ("nested", "flat", "text"),
    "code": ("number", "text"),
    "message": ("null", "success"),
    "refusal_status": (200, 400, 401, 403),
    "expires_in": TIMES,
    "re_expires_in": TIMES,
    "missing": FIELDS,
    "empty": FIELDS,
}


def _is_failures(_: str, value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= FAILURES_MAX)


def _is_seed(_: str, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


KINDS: tuple[Kind, ...] = (
    choices(CHOICES),
    (("failures",), _is_failures, lambda _: f"must be a whole number from 1 to {FAILURES_MAX}, or null"),
    (("random_seed",), _is_seed, lambda _: "must be a whole number"),
    numbers(("random_failures",), 0, 1, "a probability"),
    numbers(("hang_seconds", "answer_delay"), 0, HANG_SECONDS_MAX, "seconds"),
    numbers(("access_seconds", "refresh_seconds"), 1, SECONDS_MAX, "seconds"),
    flags(("re_expires_renewed", "fresh_tokens")),
)


class Sky:
    """The weather as it is now, and the dice for random failures."""

    def __init__(self) -> None:
        self.now = Weather()
        self.failed = 0  # calls that failed because the weather said so
        self._dice = random.Random(0)  # noqa: S311 - dice, to be thrown again alike

    def order(self, body: object) -> Weather:
        """Some switches; the rest stay. Naming the seed starts the same row of dice anew. Raises SwitchesRefused."""
        ordered = check_switches(body, KINDS)
        self.now = replace(self.now, **ordered)
        if "random_seed" in ordered:
            self._dice.seed(self.now.random_seed)
        return self.now

    def next(self, call: str) -> str:
        """What happens to the call that came just now: "ok", or how it fails."""
        ordered: str = getattr(self.now, call)
        if ordered == "ok":
            if not self._dice.random() < self.now.random_failures:
                return "ok"
            ordered = self._dice.choice(DICE)
        elif self.now.failures is not None:
            left = self.now.failures - 1
            calm = dict.fromkeys(CALLS, "ok") | {"failures": None}
            self.now = replace(self.now, **({"failures": left} if left else calm))
        self.failed += 1
        return ordered


async def fail(request: Request, how: str, sky: Sky) -> Response:
    """The failure itself, as far as the asker sees it."""
    match how:
        case "timeout_before" | "timeout_after":
            await _silence(request, sky.now.hang_seconds)
            return Cut()
        case "error_before" | "error_after":
            return Response("Bad Gateway", 502, media_type="text/plain")
        case "rate_limited":
            return Response("Too Many Requests", 429, {"Retry-After": "1"}, media_type="text/plain")
        case "html":
            return HTMLResponse("<!doctype html><title>Maintenance</title><h1>We will be back soon</h1>")
        case "truncated":
            return Response(
                b'{"result": true, "code": 0, "message": "success", "data": {', media_type="application/json"
            )
        case "oversize":
            return Response(b'{"result": true, "x": "' + b"x" * OVERSIZE_BYTES + b'"}', media_type="application/json")
        case "drip":
            return StreamingResponse(_drip(sky.now.hang_seconds), media_type="application/json")
        case _:
            return Response(b'{"result": true, "code": 0, "da\xff', media_type="application/json")


async def _silence(request: Request, seconds: float) -> None:
    """Says nothing until the time is over or the asker has gone; the body was read before."""
    try:
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        pass


async def _drip(seconds: float) -> AsyncIterator[bytes]:
    """White space, a little at a time: JSON that never begins."""
    ends = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < ends:
        yield b" "
        await asyncio.sleep(DRIP_SECONDS)


class Cut(Response):
    """An answer that never comes whole: the server closes the connection in the middle of it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
        await send({"type": "http.response.body", "body": b"{", "more_body": True})


def answered(body: dict[str, Any], weather: Weather, status: int = 200) -> Response:
    """A documented answer, `{result, code, message, data}`, in the shape that the weather orders."""
    if isinstance(body.get("data"), dict):
        body = body | {"data": {name: value for name, value in body["data"].items() if name != weather.missing}}
    body = {name: value for name, value in body.items() if name != weather.missing}
    for fields in (body, body.get("data")):
        if isinstance(fields, dict) and weather.empty in fields:
            fields[weather.empty] = ""
    if weather.code == "text" and "code" in body:
        body["code"] = str(body["code"])
    data = body.get("data")
    if isinstance(data, dict) and weather.data != "nested":
        del body["data"]
        body |= data if weather.data == "flat" else {"data": orjson.dumps(data).decode()}
    return Response(orjson.dumps(body), status, {"Cache-Control": "no-store"}, media_type="application/json")


def timed(name: str, form: str, now: float, ends: float) -> dict[str, Any]:
    """`{name: ends}` in one of the forms that the vendor might mean; empty when the field is missing."""
    values: dict[str, Any] = {
        "milliseconds": int(ends * 1000),
        "seconds": int(ends),
        "relative": int(ends - now),
        "zero": 0,
        "negative": -1,
        "past": int((now - 86_400) * 1000),
        "null": None,
    }
    if form == "missing":
        return {}
    return {name: str(values[form.removesuffix("_text")]) if form.endswith("_text") else values[form]}
