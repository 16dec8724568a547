"""A reader of the feed with nothing around it: it keeps the numbers it heard and the gaps it was told, and comes back
with its cursor. Over Server-Sent Events or a WebSocket; only whole entries count."""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import random
import re
from collections.abc import Awaitable, Callable

BACKOFF_SECONDS = 0.5  # at most, full jitter
CONNECTING = asyncio.Semaphore(128)  # at the same time, from one process

HEAD = "GET {path} HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer {key}\r\n"
UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: c2l4dGVlbiBieXRlcyEhIQ==\r\n"
)
SSE_ENTRY = re.compile(rb"id: ([a-z0-9]+)-([0-9]+)\nevent: ([a-z]+)\ndata: (.*)\n\n")
WEBSOCKET_ENTRY = re.compile(rb'\{"id":"([a-z0-9]+)-([0-9]+)","type":"([a-z]+)"')
CLOSE = 0x88


def number_of(cursor: str) -> int:
    return int(cursor.partition("-")[2])


class Reader:
    """One reader and all of its connections. `start` is its first wish; after that it has a cursor."""

    def __init__(self, name: str, model: str | None, *, websocket: bool, start: str, forgets: bool = False) -> None:
        self.name = name
        self.model = model
        self.start = start
        self.websocket = websocket
        self.ids = array.array("Q")
        self.gaps: list[tuple[int, int]] = []  # what it was told is missing: after, until
        self.cursor: str | None = None
        self.codes: list[int] = []
        self.connections = 0
        self.connection: Connection | None = None
        self._forgets = forgets  # negative control

    @property
    def reached(self) -> int:
        return number_of(self.cursor) if self.cursor else 0

    def path(self) -> str:
        place = f"after={self.cursor}" if self.cursor and not self._forgets else self.start
        feed = "/feed" if self.model is None else f"/feed/{self.model}"
        return f"{feed}?audience={'platform' if self.model is None else 'viewer'}&{place}"

    def hear(self, epoch: bytes, n: bytes, kind: bytes, body: bytes) -> None:
        self.cursor = f"{epoch.decode()}-{n.decode()}"
        if kind == b"gap":
            gap = json.loads(body)
            self.gaps.append((number_of(gap["after"]), number_of(gap["until"])))
        else:
            self.ids.append(int(n))

    async def read(self, door: Callable[[], Awaitable[int]], key: str) -> None:
        """Come back for ever. `door`: waits until one may come, and gives the port."""
        loop = asyncio.get_running_loop()
        while True:
            connection = Connection(self)
            with contextlib.suppress(OSError):
                port = await door()
                async with CONNECTING:
                    transport, _ = await loop.create_connection(lambda made=connection: made, "127.0.0.1", port)
                self.connection = connection
                try:
                    head = HEAD.format(path=self.path(), key=key) + (UPGRADE if self.websocket else "")
                    transport.write(f"{head}\r\n".encode())
                    await connection.ended
                finally:
                    self.connection = None
                    self.connections += 1
                    transport.abort()
            await asyncio.sleep(random.uniform(0, BACKOFF_SECONDS))


class Connection(asyncio.Protocol):
    """One connection of a reader."""

    def __init__(self, reader: Reader) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.opened = False
        self._reader = reader
        self._unread = b""

    def data_received(self, data: bytes) -> None:
        data = self._unread + data
        if not self.opened:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._unread = head
                return
            if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 101")):
                self.connection_lost(None)
                return
            self.opened = True
        taken = self._frames(data) if self._reader.websocket else self._events(data)
        self._unread = data[taken:]

    def _events(self, data: bytes) -> int:
        end = data.rfind(b"\n\n") + 2 if b"\n\n" in data else 0
        for entry in SSE_ENTRY.findall(data, 0, end):
            self._reader.hear(*entry)
        return end

    def _frames(self, data: bytes) -> int:
        at = 0
        while len(data) - at >= 2:
            size, start = data[at + 1], at + 2
            if size > 125:
                start += 2 if size == 126 else 8
                size = int.from_bytes(data[at + 2 : start], "big")
            if len(data) < start + size:
                break
            payload = data[start : start + size]
            if data[at] == CLOSE:
                self._reader.codes.append(int.from_bytes(payload[:2], "big"))
                self.connection_lost(None)
            elif found := WEBSOCKET_ENTRY.match(payload):
                self._reader.hear(*found.groups(), payload)
            at = start + size
        return at

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)
