"""The platform's tips: posted, asked for, taken back, settled."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay import metrics
from relay.errors import Invalid, NotJson, Refusal
from relay.intake import Delivered, Told
from relay.settings import BATCH_BODY_BYTES_MAX, BATCH_TIPS_MAX, PAGE_RECEIPTS_MAX, TIP_BODY_BYTES_MAX
from relay.stores import waiting, waiting_for_all
from relay.tips import Status, read_tip, receipt_as_json, shown
from relay.views import page_as_json, preview_as_json
from relay.web.bodies import decode, read_body, skip_body
from relay.web.replies import Json, problem_body
from relay.web.wiring import Wiring, wiring

LIST_PARAMETERS = ("model", "status", "after", "limit")
NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")
A_LINE_EACH = f"for a tip a line send Content-Type: {NDJSON[0]}"


def order(relay: Wiring, item: Any, key: str | None, told: Told) -> None:
    """Order a tip as it came, decoded; `told` hears later what became of it. Raises `Invalid`."""
    settings = relay.settings
    relay.intake.deliver(read_tip(item, anonymous_name=settings.anonymous_name, ttl=settings.tip_ttl, key=key), told)


async def post_tip(request: Request) -> Response:
    """Keep a tip: 202 with its receipt, 200 for a repeat. Most come past this, through `protocol`."""
    relay = wiring(request)
    body = await read_body(request, TIP_BODY_BYTES_MAX)
    relay.keys.check(request.headers, "tips", body)
    delivered = await waiting(partial(order, relay, decode(body), request.headers.get("idempotency-key")))
    return Response(answer_bytes(delivered), *status_of(delivered), media_type="application/json")


def status_of(delivered: Delivered) -> tuple[int, dict[str, str]]:
    if not delivered.replayed:
        return 202, {}
    metrics.REPLAYED.inc()
    return 200, {"Idempotent-Replayed": "true"}


def answer_bytes(delivered: Delivered) -> bytes:
    return orjson.dumps(answer(delivered))


async def post_batch(request: Request) -> Response:
    """Many tips in one request, as a JSON array or a line each (NDJSON), and answered alike: a result per item, in
    order. One bad item harms no other, and what comes together is kept in one commit."""
    relay = wiring(request)
    try:
        relay.keys.check_early(request.headers, "tips")  # megabytes are not kept for nobody
    except Refusal:
        await skip_body(request, BATCH_BODY_BYTES_MAX)  # who is still sending would not hear the answer
        raise
    body = await read_body(request, BATCH_BODY_BYTES_MAX)
    relay.keys.check(request.headers, "tips", body)
    as_lines = request.headers.get("content-type", "").partition(";")[0].strip().lower() in NDJSON
    items = read_lines(body) if as_lines else read_list(body)
    if not isinstance(items, list) or not 1 <= len(items) <= BATCH_TIPS_MAX:
        what = f"a list of {len(items)}" if isinstance(items, list) else shown(items)
        what += f" ({A_LINE_EACH})" if isinstance(items, dict) and not as_lines else ""
        raise Invalid(f"the body must be a list of 1 to {BATCH_TIPS_MAX} tips, not {what}")
    # Taken in order, and therefore kept in order; the store commits what comes together in one go.
    results = await waiting_for_all([partial(attempt, relay, item) for item in items])
    answers = [batch_result(result) for result in results]
    if as_lines:
        return Response(b"".join(orjson.dumps(one) + b"\n" for one in answers), media_type=NDJSON[0])
    return Json(answers)


def read_list(body: bytes) -> Any:
    try:
        return decode(body)
    except NotJson as refusal:
        if body.lstrip().startswith(b"{"):
            raise NotJson(f"{refusal.detail} ({A_LINE_EACH})") from None
        raise


def read_lines(body: bytes) -> list[Any]:
    """An item a line; of a line that is no JSON the refusal. Lines without anything on them do not count."""
    items: list[Any] = []
    for number, line in enumerate(body.splitlines(), 1):
        if not line.strip():
            continue
        try:
            items.append(decode(line))
        except NotJson as refusal:
            items.append(NotJson(f"line {number}: {refusal.detail}"))
    return items


def attempt(relay: Wiring, item: Any, told: Told) -> None:
    """One of many: its refusal is its own."""
    try:
        if isinstance(item, Refusal):
            raise item
        order(relay, item, None, told)
    except Refusal as refusal:
        told(refusal)


def batch_result(result: Delivered | Exception) -> dict[str, Any]:
    if isinstance(result, Refusal):
        return problem_body(result)
    if isinstance(result, Exception):
        raise result
    status, _ = status_of(result)
    return {"status_code": status, "replayed": result.replayed, **answer(result)}


def answer(delivered: Delivered) -> dict[str, Any]:
    """The receipt, and what the platform can tell its viewer at once."""
    body = receipt_as_json(delivered.receipt)
    body["page"] = page_as_json(delivered.room)
    body["preview"] = preview_as_json(delivered.preview)
    return body


async def get_tip(request: Request) -> Response:
    relay = wiring(request)
    relay.keys.check(request.headers, "tips")
    return Json(receipt_as_json(await relay.desk.receipt(request.path_params["id"])))


async def list_tips(request: Request) -> Response:
    """A page of receipts by rising age; `after` is the `next` of the page before."""
    relay = wiring(request)
    relay.keys.check(request.headers, "tips")
    query = request.query_params
    unknown = next((name for name in query if name not in LIST_PARAMETERS), None)
    if unknown is not None:  # a filter with a typing error would show everybody's
        known = ", ".join(LIST_PARAMETERS)
        raise Invalid(f"{shown(unknown)} is no parameter of this list: use {known}", field=unknown[:60])
    status = query.get("status")
    if status is not None and status not in set(Status):
        raise Invalid(f"'status' must be one of {', '.join(Status)}, not {shown(status)}", field="status")
    limit = number(query.get("limit", "100"), "limit", PAGE_RECEIPTS_MAX)
    after = number(query.get("after", "0"), "after", 2**62, low=0)
    receipts = await relay.store.receipts(
        model=query.get("model"), status=Status(status) if status else None, after=after, limit=limit
    )
    following = str(receipts[-1].seq) if len(receipts) == limit else None
    return Json({"tips": [receipt_as_json(one) for one in receipts], "next": following})


def number(text: str, field: str, high: int, low: int = 1) -> int:
    if text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high:
        return int(text)
    raise Invalid(f"'{field}' must be a whole number from {low} to {high}, not {shown(text)}", field=field)


async def delete_tip(request: Request) -> Response:
    """Take a tip back while it waits."""
    relay = wiring(request)
    relay.keys.check(request.headers, "tips")
    return Json(receipt_as_json(await relay.desk.cancel(request.path_params["id"])))


async def resolve_tip(request: Request) -> Response:
    """Settle an uncertain tip: `{"as": "played" | "replay" | "skip"}`."""
    relay = wiring(request)
    body = await read_body(request, TIP_BODY_BYTES_MAX)
    key = relay.keys.check(request.headers, "tips", body)
    data = decode(body)
    choice = data.get("as") if isinstance(data, dict) else None
    if not isinstance(choice, str):
        raise Invalid(f"'as' must be played, replay or skip, not {shown(choice)}", field="as")
    receipt = await relay.desk.resolve(request.path_params["id"], choice, f"the platform ({key.name})")
    return Json(receipt_as_json(receipt))


class TipId(Convertor[str]):
    """An id as the platform made it: it may hold slashes."""

    regex = ".+"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("tip", TipId())
routes = [
    Route("/tips", post_tip, methods=["POST"]),
    Route("/tips", list_tips, methods=["GET"]),
    Route("/tips/batch", post_batch, methods=["POST"]),
    Route("/tips/{id:tip}", get_tip, methods=["GET"]),
    Route("/tips/{id:tip}", delete_tip, methods=["DELETE"]),
    Route("/tips/{id:tip}/resolve", resolve_tip, methods=["POST"]),
]
