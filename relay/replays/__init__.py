"""Replays: a recorded broadcast played again, into a relay as her page and her platform, or into the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx2

from relay.recordings import Line
from relay.replays.relay import RelayStage
from relay.replays.sandbox import SandboxStage
from relay.replays.stage import ReplayFailed, Stage

CALL_SECONDS_MAX = 30

Lines = Sequence[tuple[int, Line]]  # with their numbers in the file


async def into_relay(lines: Lines, *, url: str, key: str, origin: str, model: str, speed: float) -> dict[str, Any]:
    """What came of it, once all is played. Raises `ReplayFailed`."""
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        httpx2.AsyncClient(base_url=url, headers=headers, timeout=CALL_SECONDS_MAX, trust_env=False) as http,
        RelayStage(http, model, origin, lines) as stage,
    ):
        return await play(lines, stage, speed)


async def into_sandbox(
    lines: Lines, *, url: str, developer_token: str, model: str, name: str = "", speed: float
) -> dict[str, Any]:
    """The same for the sandbox: only the vendor's events; tips are the platform's. `name`: the model's."""
    async with (
        httpx2.AsyncClient(base_url=url, timeout=CALL_SECONDS_MAX, trust_env=False) as http,
        SandboxStage(http, model, name, developer_token) as stage,
    ):
        return await play(lines, stage, speed)


async def play(lines: Lines, stage: Stage, speed: float) -> dict[str, Any]:
    """Play every line at its time, `speed` times as fast as it was; 0: as fast as it goes. Raises `ReplayFailed`."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    for number, line in lines:
        if speed:
            await asyncio.sleep(max(0.0, began + line.t / speed - loop.time()))
        try:
            await stage.play(line)
        except ReplayFailed as error:
            raise ReplayFailed(f"line {number}: {error}") from None
    return await stage.summary()
