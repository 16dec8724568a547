"""A platform's receiver: a real HTTP server on loopback that answers as a test says and checks signatures."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from kit import ENCRYPTION_KEY, PATIENCE, Platform, eventually, with_settings

from relay.secret import Secret
from relay.sinks import SCHEDULE

SINK_SETTINGS = with_settings(encryption_keys=(Secret(ENCRYPTION_KEY),), sinks_private="allow")
Reply = tuple[int, dict[str, str]]


@dataclass
class Came:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def envelope(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def data(self) -> dict[str, Any]:
        return self.envelope["data"]

    def signed_with(self, secret: str) -> bool:
        """By the specification's words, without the relay's code or any library's."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        content = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        mac = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        return f"v1,{mac}" in self.headers["webhook-signature"].split(" ")


class Receiver:
    """It says what is next in `answers`, then 204 for ever. `hanging`: it takes and never says anything."""

    def __init__(self) -> None:
        self.came: list[Came] = []
        self.answers: list[int | Reply] = []
        self.hanging = False
        self.slow = False  # it answers once it is let go
        self.tail = b""  # behind the answer's head
        self.connections = 0
        self.port = 0
        self.scheme = "http"
        self.host = "127.0.0.1"
        self._release = asyncio.Event()

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}/hook?x=1"

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.came]

    @property
    def texts(self) -> list[str]:
        return [one.data["text"] for one in self.came]

    async def until(self, count: int) -> list[Came]:
        await eventually(lambda: len(self.came) >= count, f"request {count} of {len(self.came)}")
        return self.came

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {
                    name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
                }
                body = await reader.readexactly(int(headers["content-length"]))
                self.came.append(Came(head[0].split()[1], headers, body))
                if self.hanging:
                    await self._release.wait()
                    return
                if self.slow:
                    await self._release.wait()
                answer = self.answers.pop(0) if self.answers else 204
                status, more = (answer, {}) if isinstance(answer, int) else answer
                lines = [f"HTTP/1.1 {status} Word", *(f"{name}: {value}" for name, value in more.items())]
                if "Content-Length" not in more:
                    lines.append("Content-Length: 0")
                writer.write("\r\n".join([*lines, "", ""]).encode() + self.tail)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def let_go(self) -> None:
        self._release.set()


@asynccontextmanager
async def receiving(context: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=context)
    receiver.port = server.sockets[0].getsockname()[1]
    receiver.scheme = "https" if context else "http"
    try:
        yield receiver
    finally:
        receiver.let_go()
        server.close()


class Sink:
    """One sink, as its platform handles it."""

    def __init__(self, platform: Platform, made: dict[str, Any]) -> None:
        self._platform = platform
        self.id, self.secret = made["id"], made["secret"]

    async def shows(self) -> dict[str, Any]:
        answer = await self._platform.http.get(f"/sinks/{self.id}")
        assert 200 == answer.status_code, answer.text
        return answer.json()

    async def until(self, is_so: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        seen: dict[str, Any] = {}

        async def look() -> Any:
            seen.update(await self.shows())
            return is_so(seen)

        await eventually(look, f"the sink's state, last {seen}", PATIENCE)
        return seen

    async def order(self, what: str) -> dict[str, Any]:
        answer = await self._platform.http.post(f"/sinks/{self.id}/{what}")
        assert 200 == answer.status_code, answer.text
        return answer.json()


async def make_sink(platform: Platform, url: str, **wish: Any) -> Sink:
    answer = await platform.http.post("/sinks", json={"url": url} | wish)
    assert 201 == answer.status_code, answer.text
    return Sink(platform, answer.json())


def longest_wait(tries: int) -> float:
    """Seconds after so many failed tries, jitter included."""
    return SCHEDULE[tries] * 1.1
