"""The feed as Server-Sent Events: an answer that does not end, written straight to its connection."""

from __future__ import annotations

import asyncio

from relay.followers import Follower
from relay.messages import Close
from relay.web.feed import Wish
from relay.web.wiring import Wiring

RETRY_MS = 2000  # how long a browser waits before it comes back
DRAIN_RETRY_MS = 500
# No length and no chunks: the answer ends with its connection, also for proxies that speak HTTP/1.0.
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-store\r\n"
    b"X-Accel-Buffering: no\r\nAccess-Control-Allow-Origin: *\r\nConnection: close\r\n\r\nretry: %d\n\n" % RETRY_MS
)


def framing(id: str, type: str, data: bytes) -> bytes:
    if not id:
        return b"event: %b\ndata: %b\n\n" % (type.encode(), data)
    return b"id: %b\nevent: %b\ndata: %b\n\n" % (id.encode(), type.encode(), data)


class EventStream(asyncio.Protocol):
    """One reader's connection, after its request."""

    __slots__ = ("_follower", "_transport", "write")

    def __init__(self, relay: Wiring, transport: asyncio.Transport, wish: Wish) -> None:
        self._transport = transport
        self.write = transport.write
        transport.write(HEAD)
        self._follower: Follower = relay.followers.follow(
            self, model=wish.model, audience=wish.audience, framing=framing, after=wish.after, last=wish.last
        )

    # -- for the follower ----------------------------------------------------------

    def allow(self, size: int) -> None:
        if not self._transport.is_closing():
            self._transport.set_write_buffer_limits(size)

    def finish(self, code: int) -> None:
        self._follower.leave()
        if self._transport.is_closing():
            return
        if code == Close.TOO_SLOW:  # nothing can be said to it
            self._transport.abort()
        else:
            self._transport.write(b"retry: %d\n\n" % (DRAIN_RETRY_MS if code == Close.DRAINING else RETRY_MS))
            self._transport.close()

    # -- asyncio ----------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """A reader has nothing more to say."""

    def pause_writing(self) -> None:
        self._follower.pause()

    def resume_writing(self) -> None:
        self._follower.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        self._follower.gone()
