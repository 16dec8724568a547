"""The shim as browsers fetch it: floating for five minutes, or exact and for ever with its integrity hash."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay import __version__
from relay.errors import NotFound


@cache
def static_folder() -> Path:
    """`static/`: inside the wheel as `relay/_static`, beside the package in a checkout."""
    package = Path(__file__).parents[1]
    beside = package.parent / "static"
    return beside if beside.is_dir() else package / "_static"


@cache
def shim_source() -> bytes:
    return (static_folder() / "shim.js").read_bytes()


@cache
def integrity() -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384(shim_source()).digest()).decode()


def script_line(public_url: str, ticket: str) -> str:
    """The ready `<script>` line for a model's page, pinned to this version."""
    return (
        f'<script src="{escape(public_url)}/shim/{__version__}/shim.js" integrity="{integrity()}"'
        f' crossorigin="anonymous" data-ticket="{escape(ticket)}" defer></script>'
    )


async def floating(_: Request) -> Response:
    return _script("public, max-age=300")


async def exact(request: Request) -> Response:
    version = request.path_params["version"]
    if version != __version__:
        raise NotFound(f"this relay serves the shim in version {__version__}, not '{version:.20}'")
    return _script("public, max-age=31536000, immutable")


def _script(cache_control: str) -> Response:
    headers = {"Cache-Control": cache_control, "Access-Control-Allow-Origin": "*"}
    return Response(shim_source(), media_type="text/javascript; charset=utf-8", headers=headers)


routes = [
    Route("/shim.js", floating, methods=["GET"]),
    Route("/shim/{version}/shim.js", exact, methods=["GET"]),
]
