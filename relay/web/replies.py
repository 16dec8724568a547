"""Answers: JSON, and refusals as problem documents (RFC 9457). One table turns codes into statuses."""

from __future__ import annotations

import math
from typing import Any

import orjson
import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from relay.errors import BadSettings, MethodNotAllowed, NotFound, Refusal

log = structlog.get_logger()

STATUSES = {
    "invalid": 400,
    "not_json": 400,
    "bad_cursor": 400,
    "unauthenticated": 401,
    "ticket_refused": 401,
    "ticket_expired": 401,
    "forbidden": 403,
    "unknown_model": 404,
    "unknown_tip": 404,
    "unknown_account": 404,
    "unknown_sink": 404,
    "not_found": 404,
    "method_not_allowed": 405,
    "already_sent": 409,
    "not_uncertain": 409,
    "auth_code_used": 409,
    "no_vendor_token": 409,
    "sinks_full": 409,
    "too_large": 413,
    "id_reused": 422,
    "line_full": 429,
    "too_many_captures": 429,
    "vendor_refused": 502,
    "store_unavailable": 503,
    "vendor_unavailable": 503,
    "misconfigured": 500,
    "no_accounts": 501,
}


class Json(Response):
    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


class Problem(Response):
    media_type = "application/problem+json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


def problem(refusal: Refusal) -> Problem:
    """The refusal as an answer."""
    status = STATUSES[refusal.code]
    headers = {}
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(refusal.retry_after))
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="relay"'
    return Problem(problem_body(refusal), status, headers)


def problem_body(refusal: Refusal) -> dict[str, Any]:
    return {
        "type": refusal.code,
        "title": (type(refusal).__doc__ or "").strip().rstrip("."),
        "status": STATUSES[refusal.code],
        "detail": refusal.detail,
        **refusal.extra,
    }


async def on_refusal(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return problem(error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own refusals, in our words."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        allowed = ", ".join(methods_of(request))
        answer = problem(MethodNotAllowed(f"{request.method} is not allowed on {request.url.path}: use {allowed}"))
        answer.headers["Allow"] = allowed
        return answer
    return problem(NotFound(f"there is nothing at {request.url.path}; /docs lists what there is"))


def methods_of(request: Request) -> list[str]:
    """What every route of this path takes together; Starlette names those of the first."""
    found: set[str] = set()
    for route in request.app.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            found |= route.methods or set()
    return sorted(found)


async def on_bad_settings(_: Request, error: Exception) -> Response:
    """A key that is missing shows only once something sealed is needed."""
    assert isinstance(error, BadSettings)
    log.error("misconfigured", problems=error.problems)
    body = {"type": "misconfigured", "title": "The relay lacks a setting", "status": 500, "detail": str(error)}
    return Problem(body, 500)
