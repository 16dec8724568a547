"""The demo's platform: a small backend that treats the relay as any platform does, over HTTP and with an API key."""

from __future__ import annotations

import secrets
from html import escape
from typing import Any

import httpx2
import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Route

from relay.web.scripts import static_folder

MODEL = "coco"
NAME = "Coco"
TIMEOUT_SECONDS = 10.0
BODY_BYTES_MAX = 4096
FRESH = {"Cache-Control": "no-cache"}


class Platform:
    """Knows one relay and one model, and never touches the relay but by its API."""

    def __init__(self, url: str, key: str, *, proxied: bool = False) -> None:
        self._url = url
        self._key = key
        self._proxied = proxied
        self._http = httpx2.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )

    async def open(self) -> None:
        """Register the model. A kept database holds her token sealed with a key of the past: hence a new one."""
        answer = await self._http.put(f"/models/{MODEL}", params={"renew": "true"}, json={"name": NAME})
        if answer.is_error:
            raise OSError(f"the model was not registered: {answer.text}")

    async def close(self) -> None:
        await self._http.aclose()

    @property
    def curl(self) -> str:
        """A tip from a terminal, with an id of its own each time."""
        tip = {"id": "@", "model": MODEL, "tipper": "john", "amount": 20}
        body = orjson.dumps(tip).decode().replace("@", "demo-'$(date +%s%N)'")
        proxy = "--noproxy '*' " if self._proxied else ""
        return (
            f"curl -sS {proxy}{self._url}/tips -H 'Authorization: Bearer {self._key}'"
            f" -H 'Content-Type: application/json' -d '{body}'"
        )

    async def call(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        """One call to the relay. Raises `HTTPException` when it does not answer."""
        try:
            return await self._http.request(method, path, json=body)
        except httpx2.HTTPError as error:
            raise HTTPException(503, f"the relay does not answer: {error}") from None

    async def page_ticket(self) -> dict[str, Any]:
        answer = await self.call("POST", f"/models/{MODEL}/ticket")
        if answer.is_error:
            raise HTTPException(answer.status_code, answer.text)
        ticket: dict[str, Any] = answer.json()
        return ticket


def make_pages(platform: Platform) -> Starlette:
    """The demo's pages, and what they ask their platform."""
    folder = static_folder() / "demo"

    def page(file: str, **words: str) -> Response:
        text = (folder / file).read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(f"__{word.upper()}__", value)
        return HTMLResponse(text, headers={"Cache-Control": "no-store"})

    async def home(_: Request) -> Response:
        return page("index.html", model=MODEL, name=NAME, curl=escape(platform.curl))

    async def broadcaster(_: Request) -> Response:
        """A real broadcaster's page: the relay's script line as it came, and where it gets a fresh ticket."""
        ticket = await platform.page_ticket()
        script = ticket["script"].replace("<script ", '<script data-ticket-url="/demo/api/page-ticket" ', 1)
        return page("broadcaster.html", name=NAME, script=script, settings=escape(ticket["settings_url"] or "#"))

    async def asset(request: Request) -> Response:
        file = folder / request.path_params["file"]
        if file.parent != folder or file.suffix not in (".js", ".css") or not file.is_file():
            raise HTTPException(404)
        return FileResponse(file, headers=FRESH)

    async def page_ticket(_: Request) -> Response:
        return passed_on(await platform.call("POST", f"/models/{MODEL}/ticket"))

    async def feed_ticket(_: Request) -> Response:
        return passed_on(await platform.call("POST", f"/models/{MODEL}/feed-ticket", {"audience": "viewer"}))

    async def model(_: Request) -> Response:
        return passed_on(await platform.call("GET", f"/models/{MODEL}"))

    async def post_tip(request: Request) -> Response:
        """The viewer's button. The platform knows who tips and gives the tip its id."""
        order = await read_order(request)
        tip = {"id": f"demo-{secrets.token_hex(8)}", "model": MODEL, **order}
        return passed_on(await platform.call("POST", "/tips", tip))

    async def get_tip(request: Request) -> Response:
        return passed_on(await platform.call("GET", f"/tips/{request.path_params['id']}"))

    return Starlette(
        routes=[
            Route("/", home),
            Route("/demo/broadcaster", broadcaster),
            Route("/demo/static/{file}", asset),
            Route("/demo/api/page-ticket", page_ticket),
            Route("/demo/api/feed-ticket", feed_ticket),
            Route("/demo/api/model", model),
            Route("/demo/api/tips", post_tip, methods=["POST"]),
            Route("/demo/api/tips/{id}", get_tip),
        ]
    )


async def read_order(request: Request) -> dict[str, Any]:
    """What a viewer may say about a tip. Whether it is well said, the relay decides."""
    if request.headers.get("content-type") != "application/json":  # pages of other origins cannot send this unasked
        raise HTTPException(415, "the body must be application/json")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_BYTES_MAX:
            raise HTTPException(413, f"the body is longer than {BODY_BYTES_MAX} bytes")
    try:
        order = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise HTTPException(400, "the body is not JSON") from None
    if not isinstance(order, dict):
        raise HTTPException(400, "the body must be a JSON object")
    return {name: order[name] for name in ("tipper", "amount", "anonymous", "private") if name in order}


def passed_on(answer: httpx2.Response) -> Response:
    """The relay's answer, refusals too, as it came."""
    return Response(
        answer.content,
        answer.status_code,
        {"Cache-Control": "no-store"},
        media_type=answer.headers.get("content-type", "application/json"),
    )
