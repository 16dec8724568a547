"""The API, described: `/openapi.json` from one table, `/docs` for people."""

from __future__ import annotations

from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from relay import __version__
from relay.feeds import SHOW, Audience
from relay.settings import AMOUNT_MAX, BATCH_TIPS_MAX, TIP_ID_LENGTH_MAX
from relay.tips import MODEL_ID, Status
from relay.values import EXPIRES_IN_SECONDS_MAX
from relay.web.replies import STATUSES, Json
from relay.web.scripts import floating, pinned, static_folder
from relay.wordings import KINDS

TIP = {
    "type": "object",
    "required": ["model", "amount"],
    "properties": {
        "id": {
            "type": "string",
            "minLength": 1,
            "maxLength": TIP_ID_LENGTH_MAX,
            "description": "The platform's own id; may come as Idempotency-Key instead",
        },
        "model": {"type": "string", "pattern": f"^{MODEL_ID.pattern}$", "maxLength": 128},
        "tipper": {"type": "string", "description": "The name to show; not needed when anonymous"},
        "amount": {"type": "integer", "minimum": 1, "maximum": AMOUNT_MAX, "description": "Tokens"},
        "anonymous": {"type": "boolean", "default": False},
        "private": {"type": "boolean", "default": False},
        "expires_in": {"type": "number", "exclusiveMinimum": 0, "maximum": EXPIRES_IN_SECONDS_MAX},
    },
}
STEP = {
    "type": "object",
    "properties": {
        "status": {"$ref": "#/components/schemas/Status"},
        "at": {"type": "string", "format": "date-time"},
        "why": {"type": "string"},
        "evidence": {"type": ["object", "null"]},
    },
}
RECEIPT = {
    "type": "object",
    "required": ["id", "model", "status", "timeline"],
    "properties": {
        "id": {"type": "string"},
        "model": {"type": "string"},
        "status": {"$ref": "#/components/schemas/Status"},
        "tipper": {"type": "string"},
        "shown_as": {"type": "string"},
        "amount": {"type": "integer"},
        "anonymous": {"type": "boolean"},
        "private": {"type": "boolean"},
        "accepted_at": {"type": "string", "format": "date-time"},
        "expires_at": {"type": "string", "format": "date-time"},
        "generation": {"type": ["integer", "null"]},
        "timeline": {"type": "array", "items": {"$ref": "#/components/schemas/Step"}},
        "page": {"type": "object", "description": "POST only: online, ready, toys"},
        "preview": {"type": "object", "description": "POST only: reacts, level, special, seconds"},
    },
}
PROBLEM = {
    "type": "object",
    "required": ["type", "status", "detail"],
    "properties": {
        "type": {"type": "string", "enum": sorted(STATUSES)},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
FEED = "The feed as Server-Sent Events; a WebSocket on the same path carries the same entries"
AUDIENCES = {"type": "string", "enum": [Audience.VIEWER.value, Audience.CHAT.value]}
SINK = {
    "type": "object",
    "required": ["url"],
    "properties": {
        "url": {"type": "string", "format": "uri", "description": "https, on the open internet"},
        "types": {"type": "array", "items": {"enum": list(SHOW)}, "description": "all by default"},
        "models": {"type": "array", "items": {"type": "string"}, "description": "all by default"},
        "audience": {"type": "string", "enum": list(Audience), "default": Audience.PLATFORM},
    },
}

# method, path, summary, statuses, request schema
CALLS: list[tuple[str, str, str, tuple[int, ...], Any]] = [
    ("post", "/tips", "Keep a tip", (202, 200, 400, 401, 403, 404, 413, 422, 429, 503), "Tip"),
    ("get", "/tips", "A page of receipts (model, status, after, limit)", (200, 400, 401, 403, 503), None),
    (
        "post",
        "/tips/batch",
        f"Keep up to {BATCH_TIPS_MAX} tips",
        (200, 400, 401, 403, 413, 503),
        {"type": "array", "maxItems": BATCH_TIPS_MAX, "items": {"$ref": "#/components/schemas/Tip"}},
    ),
    ("get", "/tips/{id}", "A tip's receipt", (200, 401, 403, 404, 503), None),
    ("delete", "/tips/{id}", "Take an accepted tip back", (200, 401, 403, 404, 409, 503), None),
    (
        "post",
        "/tips/{id}/resolve",
        "Settle an uncertain tip",
        (200, 400, 401, 403, 404, 409, 503),
        {"type": "object", "required": ["as"], "properties": {"as": {"enum": ["played", "replay", "skip"]}}},
    ),
    ("get", "/models", "Every model, and who is live", (200, 401, 403, 503), None),
    (
        "put",
        "/models/{model}",
        "Register a model",
        (200, 201, 400, 401, 403, 502, 503),
        {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "language": {"type": ["string", "null"], "description": "Of announcements; null: the default"},
                "announcements": {
                    "type": "object",
                    "propertyNames": {"enum": list(KINDS)},
                    "additionalProperties": {"type": "boolean"},
                },
            },
        },
    ),
    ("get", "/models/{model}", "A model's state", (200, 401, 403, 404, 503), None),
    ("get", "/models/{model}/menu", "What each amount does", (200, 401, 403, 404, 503), None),
    ("put", "/models/{model}/hold", "Hold tips", (200, 401, 403, 404, 503), None),
    ("delete", "/models/{model}/hold", "Release tips", (200, 401, 403, 404, 503), None),
    (
        "post",
        "/models/{model}/stop",
        "Stop the toy now",
        (200, 400, 401, 403, 404, 503),
        {"type": "object", "properties": {"waiting": {"enum": ["hold", "cancel"]}}},
    ),
    ("post", "/models/{model}/ticket", "A ticket for the model's page", (201, 401, 403, 404, 503), None),
    (
        "get",
        "/models/{model}/settings-page",
        "The vendor's settings page, for the model's eyes",
        (200, 401, 403, 404, 409, 503),
        None,
    ),
    (
        "get",
        "/models/{model}/capture",
        "The vendor's events and the tips of a live broadcast, raw, as JSON lines (names, seconds)",
        (200, 400, 401, 403, 404, 429, 503),
        None,
    ),
    (
        "post",
        "/models/{model}/feed-ticket",
        "A ticket for a reader of the feed",
        (201, 400, 401, 403, 404, 503),
        {"type": "object", "properties": {"audience": AUDIENCES}},
    ),
    ("get", "/feed", FEED, (200, 400, 401, 403, 503), None),
    ("get", "/feed/{model}", FEED, (200, 400, 401, 403, 404, 503), None),
    (
        "post",
        "/accounts",
        "Link a vendor account with an auth code, once",
        (201, 400, 401, 403, 404, 409, 501, 502, 503),
        {
            "type": "object",
            "required": ["authCode"],
            "properties": {"authCode": {"type": "string"}, "model": {"type": "string"}},
        },
    ),
    ("get", "/accounts", "Every linked account, or the one of a model", (200, 401, 403, 503), None),
    ("get", "/accounts/{userId}", "How a linked account stands", (200, 401, 403, 404, 503), None),
    ("delete", "/accounts/{userId}", "Forget an account and its tokens", (204, 401, 403, 404, 503), None),
    (
        "post",
        "/keys/rotate",
        "Encrypt every kept secret with the newest key (rights `models` and `accounts`)",
        (200, 401, 403, 500, 503),
        None,
    ),
    ("post", "/sinks", "Post the feed to an address", (201, 400, 401, 403, 404, 409, 503), SINK),
    ("get", "/sinks", "Every sink, and how it stands", (200, 401, 403, 503), None),
    ("get", "/sinks/{id}", "How a sink stands", (200, 401, 403, 404, 503), None),
    ("delete", "/sinks/{id}", "Forget a sink", (204, 401, 403, 404, 503), None),
    ("post", "/sinks/{id}/enable", "Try a sink again now", (200, 400, 401, 403, 404, 503), None),
    (
        "post",
        "/sinks/{id}/rotate",
        "A new secret; the old one signs for a day",
        (200, 400, 401, 403, 404, 503),
        None,
    ),
    ("post", "/sinks/{id}/test", "Post a test message now", (200, 400, 401, 403, 404, 503), None),
    ("get", "/healthz", "The process answers", (200,), None),
    ("get", "/readyz", "Tips can be taken", (200, 503), None),
    ("get", "/metrics", "Prometheus metrics", (200,), None),
    *(("get", route.path, "A script, exact and for ever", (200, 404), None) for route in pinned),
    *(("get", route.path, "A script, floating", (200,), None) for route in floating),
]

FEED_PARAMETERS = {
    "after": ("query", "resume behind this entry's id"),
    "last": ("query", "begin with so many entries of history"),
    "audience": ("query", "viewer, chat or platform (the default), with an API key"),
    "Last-Event-ID": ("header", "as `after`; what browsers send when they come back"),
}
# method and path -> name -> where it stands, and what it is for
PARAMETERS: dict[tuple[str, str], dict[str, tuple[str, str]]] = {
    ("post", "/tips"): {"Idempotency-Key": ("header", "the tip's id, instead of `id` in the body")},
    ("get", "/tips"): {
        "model": ("query", "only this model's"),
        "status": ("query", "only those that stand here"),
        "after": ("query", "`next` of the page before"),
        "limit": ("query", "at most so many, 1 to 1000; 100 by default"),
    },
    ("put", "/models/{model}"): {"renew": ("query", "true: ask the vendor for a new token")},
    ("get", "/models/{model}/menu"): {"ticket": ("query", "a feed ticket, instead of an API key")},
    ("get", "/accounts"): {"model": ("query", "only the account that was linked with this model last")},
    ("get", "/feed"): FEED_PARAMETERS,
    ("get", "/feed/{model}"): {"ticket": ("query", "a feed ticket, instead of an API key")} | FEED_PARAMETERS,
}
RECEIPTS = {("post", "/tips"), ("get", "/tips/{id}"), ("delete", "/tips/{id}"), ("post", "/tips/{id}/resolve")}
OPEN = {"/healthz", "/readyz", "/metrics", *(route.path for route in floating + pinned)}


@cache
def openapi() -> dict[str, Any]:
    """The API as an OpenAPI 3.1 document."""
    paths: dict[str, dict[str, Any]] = {}
    for method, path, summary, statuses, body in CALLS:
        result = "Receipt" if (method, path) in RECEIPTS else None
        operation: dict[str, Any] = {
            "summary": summary,
            "responses": {str(one): response(one, result) for one in statuses},
        }
        names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ] + [
            {"name": name, "in": place, "description": doc, "schema": {"type": "string"}}
            for name, (place, doc) in PARAMETERS.get((method, path), {}).items()
        ]
        if body is not None:
            schema = {"$ref": f"#/components/schemas/{body}"} if isinstance(body, str) else body
            operation["requestBody"] = {"content": {"application/json": {"schema": schema}}}
        if path in OPEN:
            operation["security"] = []
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "relay", "version": __version__},
        "paths": paths,
        "security": [{"key": []}],
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": {
                "Tip": TIP,
                "Receipt": RECEIPT,
                "Step": STEP,
                "Status": {"type": "string", "enum": [status.value for status in Status]},
                "Problem": PROBLEM,
            },
        },
    }


def response(status: int, result: str | None = None) -> dict[str, Any]:
    if status < 400:
        done: dict[str, Any] = {"description": {200: "OK", 201: "Made", 202: "Kept", 204: "Gone"}[status]}
        if result is not None:
            done["content"] = {"application/json": {"schema": {"$ref": f"#/components/schemas/{result}"}}}
        return done
    codes = ", ".join(code for code, number in STATUSES.items() if number == status)
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": codes, "content": {"application/problem+json": {"schema": schema}}}


async def openapi_json(_: Request) -> Response:
    return Json(openapi())


async def docs(_: Request) -> Response:
    return FileResponse(static_folder() / "docs.html")


routes = [
    Route("/openapi.json", openapi_json, methods=["GET"]),
    Route("/docs", docs, methods=["GET"]),
]
