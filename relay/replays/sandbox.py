"""A replay into the sandbox: its `model.js` says the recorded events on the model's live pages."""

from __future__ import annotations

from typing import Any

import httpx2
import orjson

from relay.recordings import EventLine, Line
from relay.replays.stage import ReplayFailed, ask


class SandboxStage:
    """The sandbox's script, which keeps silent of its own accord meanwhile. Use as a context."""

    def __init__(self, http: httpx2.AsyncClient, model: str, name: str, developer_token: str) -> None:
        self._http = http
        self._model = model
        self._name = name
        self._developer_token = developer_token
        self._path = ""
        self._before: dict[str, Any] = {}
        self._events = self._pages = 0

    async def __aenter__(self) -> SandboxStage:
        info = orjson.dumps({"mId": self._model, "mName": self._name or self._model}).decode()
        form = {"dToken": self._developer_token, "mInfo": info}
        answer = await ask(self._http, "POST", "/api/cam/model/getToken", data=form)
        if not answer or not isinstance(answer.get("data"), dict):
            raise ReplayFailed(f"{self._http.base_url} gave no token: {answer and answer.get('message')}")
        self._path = f"/sandbox/models/{answer['data']['mToken']}"
        switches = await ask(self._http, "GET", f"{self._path}/switches") or {}
        self._before = {name: switches[name] for name in ("announce", "queue_events")}
        await ask(self._http, "PUT", f"{self._path}/switches", json=dict.fromkeys(self._before, False))
        return self

    async def __aexit__(self, *_: object) -> None:
        await ask(self._http, "PUT", f"{self._path}/switches", json=self._before)

    async def play(self, line: Line) -> None:
        if isinstance(line, EventLine):
            answer = await ask(self._http, "POST", f"{self._path}/event", json={"event": line.event})
            pages = answer["pages"] if answer else 0
            if not pages:
                raise ReplayFailed(f"no live page of model '{self._model}' has this sandbox's model.js: open one first")
            self._events, self._pages = self._events + 1, max(self._pages, pages)

    async def summary(self) -> dict[str, Any]:
        return {"model": self._model, "events": self._events, "pages": self._pages}
