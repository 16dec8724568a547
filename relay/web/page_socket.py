"""The relay's end of a page's socket, and the one heart that beats for all of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable

from starlette.websockets import WebSocket

from relay import messages, metrics
from relay.messages import Close
from relay.settings import FRAMES_PER_SECOND_MAX

OUTBOX_FRAMES_MAX = 256
SILENT_HEARTBEATS_MAX = 2.5
CLOSING_SECONDS_MAX = 2  # for the peer to take what is left, before the connection is dropped


class Closed(Exception):
    """The socket is to be closed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class PageSocket:
    """The relay's end of one page's socket: `tell` and `close` return at once, a writer task does the waiting."""

    def __init__(self, websocket: WebSocket, now: Callable[[], float]) -> None:
        self._websocket = websocket
        self._now = now
        self._outbox: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._closing: Closed | None = None
        self.cut: asyncio.Future[None] = asyncio.get_running_loop().create_future()  # the writer cannot say `Closed`
        self._allowance = 2.0 * FRAMES_PER_SECOND_MAX
        self.heard_at = now()  # any frame is a sign of life
        self.pinged_at = now()

    def tell(self, frame: bytes) -> None:
        if len(self._outbox) >= OUTBOX_FRAMES_MAX:
            self.close(Close.TOO_SLOW, "the page does not read what it is told")
            return
        self._outbox.append(frame)
        self._wake.set()

    def close(self, code: int, reason: str) -> None:
        if self._closing is None:
            self._closing = Closed(code, reason)
            asyncio.get_running_loop().call_later(CLOSING_SECONDS_MAX, self._cut_off, self._closing)
        self._wake.set()

    def _cut_off(self, closing: Closed) -> None:
        """A page that does not read keeps the writer waiting for ever."""
        if not self.cut.done():
            self.cut.set_exception(closing)

    async def write(self) -> None:
        """Write what is told, until it is time to close: that ends with `Closed`."""
        while True:
            while self._outbox:
                await self._websocket.send_text(self._outbox.popleft().decode())
            if self._closing is not None:
                raise self._closing
            await self._wake.wait()
            self._wake.clear()

    async def frames(self) -> AsyncIterator[messages.Frame | messages.BadFrame]:
        """The page's frames. Ends when the page is gone; raises `Closed` where it breaks the rules."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            now = self._now()
            self._allowance += (now - self.heard_at) * FRAMES_PER_SECOND_MAX
            self._allowance = min(self._allowance, 2.0 * FRAMES_PER_SECOND_MAX) - 1
            self.heard_at = now
            if self._allowance < 0:
                raise Closed(Close.TOO_MANY_FRAMES, f"more than {FRAMES_PER_SECOND_MAX} frames a second")
            text = message.get("text")
            if text is None:
                raise Closed(Close.PROTOCOL, "frames are text; this one was binary")
            try:
                yield messages.read_frame(text)
            except messages.BadFrame as error:
                metrics.FRAMES_IGNORED.inc()
                yield error


class Pages:
    """Every page's socket, and the one heart that beats for all of them."""

    def __init__(self, heartbeat: float) -> None:
        self.heartbeat = heartbeat
        self.sockets: set[PageSocket] = set()

    async def beat(self, now: Callable[[], float], clock: Callable[[], float]) -> None:
        """Ping whoever is due, give up whoever is silent, until cancelled."""
        n = 0
        while True:
            await asyncio.sleep(min(1.0, self.heartbeat / 4))
            n, at = n + 1, now()
            ping = messages.ping(n, clock())
            for socket in list(self.sockets):
                if at - socket.heard_at > self.heartbeat * SILENT_HEARTBEATS_MAX:
                    socket.close(Close.HEARTBEAT_LOST, "no sign of life")
                elif at - socket.pinged_at >= self.heartbeat:
                    socket.pinged_at = at
                    socket.tell(ping)
