"""Our scripts as browsers fetch them: floating for five minutes, or exact and for ever with their integrity hash."""

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

# Folder of the exact addresses -> what is in it. Modules that import each other share a folder, and an order: what is
# imported goes first.
SCRIPTS = {
    "shim": ("shim.js",),
    "elements": (
        "feed_transports.js",
        "feed.js",
        "elements_words.js",
        "elements_look.js",
        "elements_base.js",
        "elements.js",
    ),
}


@cache
def static_folder() -> Path:
    """`static/`: inside the wheel as `relay/_static`, beside the package in a checkout."""
    package = Path(__file__).parents[1]
    beside = package.parent / "static"
    return beside if beside.is_dir() else package / "_static"


@cache
def source(file: str) -> bytes:
    return (static_folder() / file).read_bytes()


@cache
def integrity(file: str) -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384(source(file)).digest()).decode()


def script_line(public_url: str, ticket: str) -> str:
    """The ready `<script>` line for a model's page, pinned to this version."""
    return f'<script {_at(public_url, "shim", "shim.js", "src")} data-ticket="{escape(ticket)}" defer></script>'


def elements_lines(public_url: str) -> str:
    """The lines that bring `<relay-chat>` and `<relay-menu>` to a page, every module of them pinned to this version."""
    *imported, last = SCRIPTS["elements"]
    lines = [f'<link rel="modulepreload" {_at(public_url, "elements", file, "href")}>' for file in imported]
    return "\n".join([*lines, f'<script type="module" {_at(public_url, "elements", last, "src")}></script>'])


def _at(public_url: str, folder: str, file: str, attribute: str) -> str:
    address = f"{escape(public_url)}/{folder}/{__version__}/{file}"
    return f'{attribute}="{address}" integrity="{integrity(file)}" crossorigin="anonymous"'


def _answer(file: str, cache_control: str) -> Response:
    headers = {"Cache-Control": cache_control, "Access-Control-Allow-Origin": "*"}  # pages of other origins import it
    return Response(source(file), media_type="text/javascript", headers=headers)


def _floating(file: str) -> Route:
    async def answer(_: Request) -> Response:
        return _answer(file, "public, max-age=300")

    return Route(f"/{file}", answer, methods=["GET"])


def _pinned(folder: str, file: str) -> Route:
    async def answer(request: Request) -> Response:
        version = request.path_params["version"]
        if version != __version__:
            raise NotFound(f"this relay serves {file} in version {__version__}, not '{version:.20}'")
        return _answer(file, "public, max-age=31536000, immutable")

    return Route(f"/{folder}/{{version}}/{file}", answer, methods=["GET"])


floating = [_floating(file) for files in SCRIPTS.values() for file in files]
pinned = [_pinned(folder, file) for folder, files in SCRIPTS.items() for file in files]
routes = [*floating, *pinned]
