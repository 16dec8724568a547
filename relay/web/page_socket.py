"""The relay's end of a page's socket, and the one heart that beats for all of them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from relay import messages, metrics
from relay.messages import Close
from relay.settings import FRAMES_PER_SECOND_MAX, HELLO_SECONDS_MAX, OUTBOX_BYTES_MAX
from relay.web.websocket import TEXT, WebSocket, frame

log = structlog.get_logger()

SILENT_HEARTBEATS_MAX = 2.5
FRAME_BYTES = 2048  # a frame counts once, and once more for each of these
NO_LISTENING = frozenset({Close.PROTOCOL, Close.TOO_MANY_FRAMES, Close.ORIGIN, Close.VERSION})
INTERNAL_ERROR = 1011


class Closed(Exception):
    """The socket is to be closed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class PageSocket(WebSocket):
    """One page's socket. What it says is read one frame after the other: while an order is carried out, the frames
    behind it wait. What it says after it was sent away still counts as evidence, until its connection ends.

    `hears` takes a frame; where it returns a coroutine, that is carried out first. `leaves` is called once, when the
    page is gone or sent away.
    """

    __slots__ = ("_allowance", "_at_work", "_left", "_waiting", "_wakes", "heard_at", "hears", "leaves", "pinged_at")

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        loop = asyncio.get_running_loop()
        self.hears: Callable[[messages.Frame | messages.BadFrame], Coroutine[Any, Any, None] | None] = lambda _: None
        self.leaves: Callable[[], None] = lambda: None
        self.heard_at = loop.time()  # any frame is a sign of life
        self.pinged_at = self.heard_at
        self._allowance = 2.0 * FRAMES_PER_SECOND_MAX
        self._at_work: asyncio.Task[None] | None = None
        self._waiting: deque[bytes] | None = None  # bounded by the allowance
        self._left = False
        self._wakes: asyncio.TimerHandle | None = loop.call_later(
            HELLO_SECONDS_MAX, self.close, Close.NO_HELLO, f"no hello within {HELLO_SECONDS_MAX} s"
        )

    # -- down ----------------------------------------------------------

    def tell(self, payload: bytes, answers: int = 0) -> None:
        if self.closing:
            return
        self._allowance += answers
        self.transport.write(frame(payload))
        if self.transport.get_write_buffer_size() > OUTBOX_BYTES_MAX:
            self.close(Close.TOO_SLOW, "the page does not read what it is told")

    def close(self, code: int, reason: str = "") -> None:
        if self.closing:
            return
        metrics.PAGES_CLOSED.labels(str(code)).inc()
        log.info("page closed", code=code, reason=reason)
        self._deaf = self._deaf or code in NO_LISTENING
        super().close(code, reason)
        asyncio.get_running_loop().call_soon(self._leave)  # whoever closes is in the middle of a decision

    # -- up ----------------------------------------------------------

    def greeted(self) -> None:
        """The page has introduced itself."""
        if self._wakes is not None:
            self._wakes.cancel()
            self._wakes = None

    def heard(self, opcode: int, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        self._allowance += (now - self.heard_at) * FRAMES_PER_SECOND_MAX
        self._allowance = min(self._allowance, 2.0 * FRAMES_PER_SECOND_MAX) - 1 - len(data) // FRAME_BYTES
        self.heard_at = now
        if self._allowance < 0:
            self.close(Close.TOO_MANY_FRAMES, f"more than {FRAMES_PER_SECOND_MAX} frames a second")
        elif opcode != TEXT:
            self.close(Close.PROTOCOL, "frames are text; this one was binary")
        elif self._at_work is None:
            self._hear(data)
        else:
            self._waiting = self._waiting or deque()
            self._waiting.append(data)

    def overheard(self) -> None:
        """It counts as a frame, but is no sign of life: the page itself may say nothing any more."""
        since = (asyncio.get_running_loop().time() - self.heard_at) * FRAMES_PER_SECOND_MAX
        self._allowance = min(self._allowance, 2.0 * FRAMES_PER_SECOND_MAX - since) - 1
        if self._allowance + since < 0:
            self.close(Close.TOO_MANY_FRAMES, f"more than {FRAMES_PER_SECOND_MAX} frames a second")

    def _hear(self, data: bytes) -> None:
        said: messages.Frame | messages.BadFrame
        try:
            said = messages.read_frame(data)
        except messages.BadFrame as error:
            metrics.FRAMES_IGNORED.inc()
            said = error
        try:
            work = self.hears(said)
        except Closed as closed:
            self.close(closed.code, closed.reason)
        except Exception:
            log.exception("frame failed", frame=type(said).__name__)
            self.close(INTERNAL_ERROR, "the relay failed over this frame; its log says how")
        else:
            if work is not None:
                self._at_work = asyncio.create_task(work)
                self._at_work.add_done_callback(self._worked)

    def _worked(self, task: asyncio.Task[None]) -> None:
        self._at_work = None
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Closed):
            self.close(error.code, error.reason)
        elif error is not None:
            log.error("frame failed", exc_info=error)
            self.close(INTERNAL_ERROR, "the relay failed over this frame; its log says how")
        if self.closing:
            self._leave()  # it may have taken its seat meanwhile
        while self._waiting and self._at_work is None:
            self._hear(self._waiting.popleft())
        if not self._waiting:
            self._waiting = None

    def lost(self) -> None:
        self.greeted()
        self._leave()

    def _leave(self) -> None:
        """Once, and not while it takes its seat."""
        if not self._left and self._at_work is None:
            self._left = True
            self.leaves()


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
