"""Two thousand pages at once: how long a restart takes them, and what a drain does to their tips.

`python -m tests.chaos.crowd --pages 2000` prints both. The pages are small, but they say hello, come back and
acknowledge as the shim does, with its backoff.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.plain_http import Backend
from tests.chaos.plain_socket import connect
from tests.chaos.process import KEY, RelayProcess

BACKOFF_SECONDS = (0.5, 3.0)  # first and most, full jitter: as static/shim.js
CONNECTING = 64  # sockets being opened at the same time, by this process


@dataclass
class Crowd:
    """Many models, a page each, every one of them acknowledging what it is told to play."""

    relay: RelayProcess
    pages: int
    online: set[int] = field(default_factory=set)
    played: dict[str, list[float]] = field(default_factory=dict)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def gather(self) -> None:
        """Register the models and bring every page online."""
        backend = Backend(self.relay.port, KEY)
        self._tickets = []
        for number in range(self.pages):
            await backend.call("PUT", f"/models/m{number}", {"name": f"m{number}"})
            _, body = await backend.call("POST", f"/models/m{number}/ticket")
            self._tickets.append(body["ticket"])
        backend.close()
        self._gate = asyncio.Semaphore(CONNECTING)
        self._tasks = [asyncio.create_task(self._page(number)) for number in range(self.pages)]
        await self.all_online(60)

    async def all_online(self, within: float) -> None:
        async with asyncio.timeout(within):
            while len(self.online) < self.pages:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def _page(self, number: int) -> None:
        proof, tries = {"ticket": self._tickets[number]}, 0
        while True:
            code = None
            with contextlib.suppress(OSError, EOFError):
                async with self._gate:
                    socket = await connect(self.relay.port, "http://storm")
                try:
                    hello = {"type": "hello", "journal": f"j{number}", "vendor": {"ready": True}, **proof}
                    socket.send(json.dumps(hello))
                    while (text := await socket.receive()) is not None:
                        frame = json.loads(text)
                        if frame["type"] == "welcome":
                            proof, tries = {"resume": frame["resume"]}, 0
                            self.online.add(number)
                            if frame["ask"]:
                                said = {tip: "played" if tip in self.played else "unseen" for tip in frame["ask"]}
                                socket.send(json.dumps({"type": "answer", "tips": said}))
                        elif frame["type"] == "tip":
                            self.played.setdefault(frame["id"], []).append(time.time())
                            socket.send(json.dumps({"type": "ack", "id": frame["id"], "outcome": "played"}))
                        elif frame["type"] == "ping":
                            socket.send(json.dumps({"type": "pong", "n": frame["n"]}))
                    code = socket.code
                finally:
                    socket.end()
            self.online.discard(number)
            first, most = BACKOFF_SECONDS
            if not (code == 4301 and tries == 0):
                await asyncio.sleep(random.uniform(0, min(most, first * 2**tries)))
            tries += 1

    async def post(self, id: str, number: int, within: float = 2.0) -> float:
        """A backend's tip, tried again for `within` seconds; when it was first tried."""
        backend, began = Backend(self.relay.port, KEY), time.time()
        body = {"id": id, "model": f"m{number}", "tipper": f"n{id}", "amount": 5}
        try:
            while True:
                with contextlib.suppress(OSError):
                    status, _ = await backend.call("POST", "/tips", body)
                    if status in (200, 202):
                        return began
                if time.time() - began > within:
                    raise AssertionError(f"{id} was refused for {within} s")
                await asyncio.sleep(0.02)
        finally:
            backend.close()

    async def leave(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def restart(folder: Path, pages: int) -> dict[str, float]:
    """kill -9 with every page online and a tip waiting for each; from listening until all have theirs."""
    relay = RelayProcess(folder)
    await relay.start()
    crowd = Crowd(relay, pages)
    try:
        await crowd.gather()
        await relay.kill()
        crowd.online.clear()
        await relay.start()
        listening = time.time()
        await asyncio.gather(*(crowd.post(f"t{number}", number, within=30) for number in range(0, pages, 10)))
        await crowd.all_online(60)
        back = time.time() - listening
        async with asyncio.timeout(30):
            while len(crowd.played) < len(range(0, pages, 10)):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return {"all back, s": back, "all played, s": time.time() - listening}
    finally:
        await crowd.leave()
        await relay.kill()


async def drain(folder: Path, pages: int, seconds: float = 20.0, rate: float = 200.0) -> dict[str, float]:
    """SIGTERM under a load, with the next relay started beside; the longest any tip took from its post to its page."""
    old = RelayProcess(folder, RELAY_DRAIN_SECONDS=str(seconds))
    await old.start()
    crowd = Crowd(old, pages)
    posts: list[asyncio.Task[float]] = []

    async def load() -> None:
        for number in range(int(rate * (seconds + 6))):
            posts.append(asyncio.create_task(crowd.post(f"t{number}", number % pages)))
            await asyncio.sleep(1 / rate)

    new = RelayProcess(folder)
    try:
        await crowd.gather()
        loading = asyncio.create_task(load())
        await asyncio.sleep(1)
        new.port = old.port
        ending = asyncio.create_task(old.terminate(within=seconds + 15))
        await new.start(within=seconds + 30)
        code = await ending
        await loading
        began = dict(zip((f"t{number}" for number in range(len(posts))), await asyncio.gather(*posts), strict=True))
        async with asyncio.timeout(30):
            while len(crowd.played) < len(posts):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        late = sorted(crowd.played[id][0] - at for id, at in began.items())
        doubled = sum(len(times) > 1 for times in crowd.played.values())
        return {
            "exit code": code,
            "tips": len(posts),
            "lost": len(posts) - len(crowd.played),
            "doubled": doubled,
            "median delay, s": late[len(late) // 2],
            "longest delay, s": late[-1],
        }
    finally:
        await crowd.leave()
        await old.kill()
        await new.kill()


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pages", type=int, default=2000)
    options.add_argument("--seconds", type=float, default=20.0)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        print("restart", asyncio.run(restart(Path(one), given.pages)))
        print("drain  ", asyncio.run(drain(Path(two), given.pages, given.seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
