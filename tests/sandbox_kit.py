"""Helpers for the sandbox's tests: clients that speak to it, without a network and over real HTTP."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import httpx2
import uvicorn
from starlette.applications import Starlette

from relay.clock import Clock
from relay.sandbox import create_app
from relay.web.server import listen_on

GET_TOKEN = "/api/cam/model/getToken"
FORM = {"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}


class Client(httpx2.AsyncClient):
    """A platform's backend, as far as the vendor sees it."""

    async def ask_token(self, body: str | bytes, headers: dict[str, str] = FORM) -> dict[str, Any]:
        answer = await self.post(GET_TOKEN, content=body, headers=headers)
        assert 200 == answer.status_code
        return answer.json()

    async def token(self, model_id: str = "coco", name: str = "Coco") -> str:
        answer = await self.ask_token(form(model_id, name))
        assert 200 == answer["code"], answer
        return answer["data"]["mToken"]


def form(model_id: Any = "coco", name: Any = "Coco", developer_token: str = "d") -> str:
    return urlencode({"dToken": developer_token, "mInfo": json.dumps({"mId": model_id, "mName": name})})


@asynccontextmanager
async def sandbox(**options: Any) -> AsyncIterator[Client]:
    """A sandbox in this process; `client.app` is the application."""
    app = create_app(**options)
    async with Client(transport=httpx2.ASGITransport(app=app), base_url="http://sandbox") as client:
        client.app = app
        yield client


# -- The vendor's servers over real HTTP ------------------------------------------------------------------------------

DEVELOPER = {"developerToken": "dev+/=token"}
APP_ID, APP_SECRET = "8b037229f05d4846a780f94c01217c86", "test-app-secret"


def signature(code: str, secret: str = APP_SECRET) -> str:
    """What the document's text asks for: base64 of HMAC-SHA256."""
    return base64.b64encode(hmac.new(secret.encode(), code.encode(), hashlib.sha256).digest()).decode()


def exchange_of(code: str, **changes: Any) -> dict[str, Any]:
    """The document's request for a code, with changes; None leaves a field out."""
    body = {"appId": APP_ID, "grantType": "authorizationCode", "authCode": code, "sign": signature(code)}
    body |= {"signType": "HmacSHA256"} | changes
    return {name: value for name, value in body.items() if value is not None}


class Gallery(Client):
    """A developer's server that speaks to the App Gallery, and the person who links an account."""

    app: Starlette

    async def code(self, name: str = "Jo", **more: Any) -> str:
        answer = await self.post("/sandbox/accounts/codes", json={"name": name} | more)
        assert 201 == answer.status_code, answer.text
        return answer.json()["authCode"]

    async def oauth(self, body: Any, headers: dict[str, str] = DEVELOPER) -> dict[str, Any]:
        answer = await self.post("/remote-dev-api/oauth", json=body, headers=headers)
        assert 200 == answer.status_code, answer.text
        return answer.json()

    async def exchange(self, code: str, **changes: Any) -> dict[str, Any]:
        return await self.oauth(exchange_of(code, **changes))

    async def refresh(self, token: str) -> dict[str, Any]:
        return await self.oauth({"appId": APP_ID, "grantType": "refreshToken", "refreshToken": token})

    async def link(self, name: str = "Jo", **more: Any) -> dict[str, Any]:
        answer = await self.exchange(await self.code(name, **more))
        assert answer["result"], answer
        return answer["data"]

    async def user_info(self, access: str, **how: Any) -> dict[str, Any]:
        headers = DEVELOPER | {"accessToken": access, "content-type": "application/json"}
        answer = await self.post("/remote-dev-api/user/info", headers=headers, **how)
        assert 200 == answer.status_code, answer.text
        return answer.json()

    async def cancel(self, user_id: str) -> None:
        assert 200 == (await self.post("/sandbox/accounts/cancel", json={"userId": user_id})).status_code

    async def order(self, **switches: Any) -> None:
        answer = await self.put("/sandbox/vendor/switches", json=switches)
        assert 200 == answer.status_code, answer.text

    async def calls(self) -> dict[str, Any]:
        return (await self.get("/sandbox/vendor/calls")).json()


class _Server(uvicorn.Server):
    """Says when it is up, and ends at once."""

    def __init__(self, app: Starlette) -> None:
        super().__init__(uvicorn.Config(app, lifespan="off", log_level="critical", timeout_graceful_shutdown=1))
        self.up, self.end = asyncio.Event(), asyncio.Event()

    async def main_loop(self) -> None:
        self.up.set()
        await self.end.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if tasks := list(self.server_state.tasks):
            await asyncio.wait(tasks, timeout=10)


@asynccontextmanager
async def gallery(clock: Clock | None = None, **options: Any) -> AsyncIterator[Gallery]:
    """The sandbox on a free port of 127.0.0.1, by the given clock; `.base_url` is where it is."""
    known = {"developer_token": DEVELOPER["developerToken"], "app_id": APP_ID, "app_secret": APP_SECRET}
    app = create_app(**(known | {"now": (clock or Clock()).now} | options))
    server = _Server(app)
    with await listen_on("127.0.0.1", 0) as listener:
        serves = asyncio.create_task(server._serve([listener]))  # without uvicorn's signal handlers
        try:
            async with asyncio.timeout(10):
                await server.up.wait()
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with Gallery(base_url=url, timeout=10, trust_env=False) as vendor:
                vendor.app = app
                yield vendor
        finally:
            server.end.set()
            async with asyncio.timeout(10):
                await serves
