"""The vendor's own paths: model tokens, the settings page, and `model.js`."""

from __future__ import annotations

import asyncio
import hmac
import re
from functools import cache
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from relay.sandbox.bodies import BodyRefused, read_body, sandbox_of
from relay.sandbox.models import SandboxFull
from relay.sandbox.script import STATIC, broken_js, for_script, model_js, unknown_js
from relay.sandbox.weather import AFTER, BEFORE, REFUSALS, answered, fail

BODY_BYTES_MAX = 64 * 1024
NAME_CHARACTERS_MAX = 512
FORM = "application/x-www-form-urlencoded"
MESSAGES = {401: "Invalid token", 402: "Invalid user information", 505: "Other errors"}  # the document's own codes

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Refused(Exception):
    """The vendor says no: HTTP 200, and the code in the body."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


async def get_token(request: Request) -> Response:
    """`POST /api/cam/model/getToken`: the same model gets the same token, however often it asks."""
    sandbox = sandbox_of(request)
    try:
        form = await _read_form(request)
        expected, given = sandbox.developer_token, form.get("dToken", "")
        if not given or (expected is not None and not hmac.compare_digest(given.encode(), expected.encode())):
            raise Refused(401, "dToken is missing or not this developer's")
        model_id, name = _read_info(form.get("mInfo", ""))
        tally = sandbox.accounts.calls.count(sandbox.accounts.calls.get_token, model_id)
        how = sandbox.weather.next("get_token")
        if how in BEFORE:
            return await fail(request, how, sandbox.weather)
        if how in REFUSALS:
            raise Refused(REFUSALS[how], "as its switch says")
        model = sandbox.register(model_id, name, fresh=sandbox.weather.now.fresh_tokens)
        tally.granted += 1
    except Refused as no:
        message = f"{MESSAGES[no.code]}: {no}"
        return answered({"result": False, "message": message, "code": no.code, "data": None}, sandbox.weather.now)
    except SandboxFull:
        return _json({"result": False, "message": "Other errors: too many live models", "code": 505, "data": None})
    if how in AFTER:
        return await fail(request, how, sandbox.weather)
    data = {"mId": model_id, "mToken": model.token}
    await asyncio.sleep(sandbox.weather.now.answer_delay)
    return answered({"result": True, "message": "SuccessFully", "code": 200, "data": data}, sandbox.weather.now)


async def setting(request: Request) -> Response:
    """`GET /api/cam/model/v2/setting`: the page on which a model edits her rules."""
    token = request.query_params.get("mToken", "")
    model = sandbox_of(request).find(token)
    if model is None:
        return HTMLResponse(_page("unknown.html"), 404)
    shown = {"mToken": token, "delay": sandbox_of(request).settings_delay} | model.for_settings_page()
    page = _page("settings.html").replace('"__STATE__"', for_script(shown))
    return HTMLResponse(page, headers={"Cache-Control": "no-store"})


async def script(request: Request) -> Response:
    """`GET /api/cam/model/v2/model.js`: the script of one model, in the weather that its switches order."""
    sandbox, token = sandbox_of(request), request.query_params.get("mToken", "")
    model = sandbox.find(token)
    if model is None:
        return _javascript(unknown_js())
    if model.switches.script_delay:
        await asyncio.sleep(model.switches.script_delay)
    if model.switches.script_missing:
        return _javascript("// gone, as its switch says\n", 404)
    if model.switches.script_broken:
        return _javascript(broken_js())
    base = str(request.url).split("/api/cam/")[0]
    return _javascript(model_js({"mToken": token, "base": base, "speed": sandbox.speed} | model.state()))


async def _read_form(request: Request) -> dict[str, str]:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != FORM:
        raise Refused(505, f"the content type must be {FORM}")
    try:
        body = await read_body(request, BODY_BYTES_MAX)
    except BodyRefused as err:
        raise Refused(505, str(err)) from err
    if _BAD_ESCAPE.search(body):
        raise Refused(505, "a percent sign in the form is not followed by two hexadecimal digits")
    form: dict[str, str] = {}
    for pair in body.split(b"&"):
        name, _, value = (unquote_to_bytes(part.replace(b"+", b" ")) for part in pair.partition(b"="))
        try:
            field, text = name.decode(), value.decode()
        except UnicodeDecodeError as err:
            raise Refused(505, "the form is not UTF-8") from err
        if field in form:
            raise Refused(505, f"{field[:40]} stands twice in the form")
        form[field] = text
    return form


def _read_info(text: str) -> tuple[str, str]:
    try:
        info = orjson.loads(text)
    except orjson.JSONDecodeError as err:
        raise Refused(402, "mInfo is not JSON; percent-encode it in the form") from err
    if not isinstance(info, dict):
        raise Refused(402, "mInfo must be an object with mId and mName")
    for field in ("mId", "mName"):
        value = info.get(field)
        if not isinstance(value, str) or not value.strip() or len(value) > NAME_CHARACTERS_MAX:
            raise Refused(402, f"{field} must be a text of 1 to {NAME_CHARACTERS_MAX} characters")
    return info["mId"], info["mName"]


@cache
def _page(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json", headers={"Cache-Control": "no-store"})


def _javascript(text: str, status: int = 200) -> Response:
    return Response(text, status, {"Cache-Control": "no-store"}, media_type="text/javascript")
