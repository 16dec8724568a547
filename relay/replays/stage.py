"""Where a recording is played, and how a replay fails."""

from __future__ import annotations

from typing import Any, Protocol

import httpx2
import orjson

from relay.recordings import Line


class ReplayFailed(Exception):
    """The replay could not go on; the words say where, why, and what to do."""


class Stage(Protocol):
    """Where a recording is played."""

    async def play(self, line: Line) -> None:
        """Do what the line says. Raises `ReplayFailed`."""

    async def summary(self) -> dict[str, Any]:
        """What came of it."""


async def ask(http: httpx2.AsyncClient, method: str, path: str, *missing: int, **given: Any) -> dict[str, Any] | None:
    """The answer's JSON; None where its status is among `missing`. Raises `ReplayFailed`."""
    try:
        answer = await http.request(method, path, **given)
    except httpx2.HTTPError as error:
        raise ReplayFailed(f"{http.base_url} does not answer {method} {path}: {type(error).__name__}") from None
    if answer.status_code in missing:
        return None
    try:
        body = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        found = f"HTTP {answer.status_code} and no JSON"
        raise ReplayFailed(f"{http.base_url} answered {method} {path} with {found}: is it the right address?") from None
    if answer.is_error or not isinstance(body, dict):
        why = body.get("detail") or body.get("error") if isinstance(body, dict) else body
        raise ReplayFailed(f"{http.base_url} refused {method} {path}: {why}")
    return body
