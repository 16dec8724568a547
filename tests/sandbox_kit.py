"""Helpers for the sandbox's tests: a client that speaks to it without a network, and a model to speak about."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import httpx2

from relay.sandbox import create_app

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
