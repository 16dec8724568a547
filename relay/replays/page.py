"""The page of a replay: a socket as the shim holds it, with the recording in the place of the vendor."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from relay.messages import Close
from relay.replays.stage import ReplayFailed
from relay.settings import FRAMES_PER_SECOND_MAX

PACE = 0.6 * FRAMES_PER_SECOND_MAX  # frames a second; the relay sends a page away that says more than it takes
FRAME_BYTES = 2048  # a frame counts once more for each of these
PATIENCE_SECONDS = 15.0  # for the relay to do what the recording has it do
REMEDIES = {
    Close.ORIGIN: "give --origin, one of its RELAY_ORIGINS",
    Close.SUPERSEDED: "another page of this model has come: give another --model",
}


class Page:
    """One socket as the shim holds it, from its hello."""

    def __init__(self, socket: ClientConnection, journal: str, known: dict[str, str], written: Counter[str]) -> None:
        self.journal = journal
        self.resume: str | None = None
        self.runs: dict[str, int] = {}  # of the tips that were written to it
        self._socket = socket
        self._known = known  # what its journal says of a tip
        self._written = written  # how often each tip was, to any page
        self._free_at = 0.0  # when the next frame may go
        self._news = asyncio.Event()
        self._reader = asyncio.create_task(self._read())
        self._reader.add_done_callback(lambda _: self._news.set())

    async def _read(self) -> None:
        async for text in self._socket:
            frame = orjson.loads(text)
            match frame["type"]:
                case "welcome":
                    self.resume = frame["resume"]
                    await self._answer(frame["ask"])
                case "ask":
                    await self._answer(frame["tips"])
                case "ping":
                    await self.say(type="pong", n=frame["n"])
                case "tip":
                    self._written[frame["id"]] += 1
                    self.runs[frame["id"]] = frame["run"]
                case _:
                    pass  # a recording has no buttons
            self._news.set()

    async def _answer(self, tips: list[str]) -> None:
        if tips:
            await self.say(type="answer", tips={tip: self._known.get(tip, "unseen") for tip in tips})

    async def say(self, **frame: Any) -> None:
        text, loop = orjson.dumps(frame).decode(), asyncio.get_running_loop()
        await asyncio.sleep(self._free_at - loop.time())
        self._free_at = max(self._free_at, loop.time() - 1.0) + (1 + len(text) / FRAME_BYTES) / PACE
        try:
            await self._socket.send(text)
        except ConnectionClosed:
            raise ReplayFailed(self._why_closed()) from None

    async def hello(self, **frame: Any) -> None:
        await self.say(type="hello", journal=self.journal, shim="replay", **frame)
        await self._until(lambda: self.resume is not None, "did not welcome the page")

    async def written(self, id: str, times: int) -> None:
        """Wait until a tip was written to the page so many times."""
        hint = "is the model held, or did the recording's page say that it is not ready?"
        await self._until(lambda: self._written[id] >= times, f"did not hand tip '{id}' to the page: {hint}")

    async def heard(self) -> None:
        """Wait until the relay has read all that was said: its pong comes behind that."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await (await self._socket.ping())
        except (ConnectionClosed, TimeoutError):
            raise ReplayFailed(self._why_closed()) from None

    async def _until(self, is_so: Callable[[], bool], otherwise: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not is_so():
                    if self._reader.done():
                        raise ReplayFailed(self._why_closed())
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise ReplayFailed(f"within {PATIENCE_SECONDS:g} s the relay {otherwise}") from None

    def _why_closed(self) -> str:
        code = self._socket.close_code
        remedy = REMEDIES.get(code or 0, "docs/protocol.md says what the code means")
        return f"the page's socket was closed with {code} ({self._socket.close_reason or 'without a reason'}): {remedy}"

    async def leave(self) -> None:
        await self._socket.close()
        await asyncio.wait([self._reader])
