"""The feed over a WebSocket: the same entries, one text message each."""

from __future__ import annotations

import asyncio

from relay.followers import Follower
from relay.messages import Close
from relay.web.feed import Wish
from relay.web.websocket import WebSocket, frame
from relay.web.wiring import Wiring


def framing(id: str, type: str, data: bytes) -> bytes:
    return frame(data)


class FeedSocket(WebSocket):
    """One reader's socket. Its words are ignored."""

    __slots__ = ("_follower", "write")

    bytes_max = 4096

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self.write = transport.write
        self._follower: Follower | None = None

    def follow(self, relay: Wiring, wish: Wish) -> None:
        """From here on it hears everything it wished for."""
        self._follower = relay.followers.follow(
            self, model=wish.model, audience=wish.audience, framing=framing, after=wish.after, last=wish.last
        )
        if self.full:  # it was before there was a follower to hear it
            self._follower.pause()

    # -- for the follower ----------------------------------------------------------

    def allow(self, size: int) -> None:
        if not self.transport.is_closing():
            self.transport.set_write_buffer_limits(size)

    def finish(self, code: int) -> None:
        self.close(code, REASONS.get(code, ""))

    def _say_goodbye(self, code: int, reason: str = "") -> None:
        if self._follower is not None:
            self._follower.leave()  # no entry comes after a goodbye
        super()._say_goodbye(code, reason)

    # -- asyncio ----------------------------------------------------------

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._follower is not None:
            self._follower.pause()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._follower is not None:
            self._follower.resume()

    def lost(self) -> None:
        if self._follower is not None:
            self._follower.gone()


REASONS = {
    Close.TOO_SLOW: "too slow: come back with the id of the last entry",
    Close.DRAINING: "draining",
    Close.STORE_UNAVAILABLE: "the store cannot be read right now",
}
