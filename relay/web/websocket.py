"""The server's end of a WebSocket (RFC 6455): whole messages in, bytes out, at the price of one small object.

There is no task, no queue and no ASGI scope behind it: what a page or a reader costs is its transport and the slots
below. Extensions are not offered; whoever breaks the protocol is closed with the code that names the rule.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from websockets.exceptions import InvalidHandshake
from websockets.speedups import apply_mask
from websockets.utils import accept_key

CLOSING_SECONDS_MAX = 2  # for the peer to take what is left, before the connection is dropped
CONTROL_BYTES_MAX = 125

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
FINAL, RESERVED, OPCODE, MASKED = 0x80, 0x70, 0x0F, 0x80

PROTOCOL_ERROR = 1002
TOO_BIG = 1009


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """One whole message as a server sends it."""
    size = len(payload)
    if size < 126:
        return b"%c%c%b" % (FINAL | opcode, size, payload)
    if size < 65536:
        return bytes((FINAL | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((FINAL | opcode, 127)) + size.to_bytes(8, "big") + payload


def handshake(headers: Mapping[str, str], subprotocol: str | None = None) -> bytes:
    """The answer that opens a WebSocket. Raises `InvalidHandshake` with what the request lacks."""
    if headers.get("sec-websocket-version") != "13":
        raise InvalidHandshake("Sec-WebSocket-Version must be 13")
    key = headers.get("sec-websocket-key", "")
    if len(key) != 24:
        raise InvalidHandshake("Sec-WebSocket-Key must be 16 bytes in base64")
    answer = (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_key(key)}\r\n"
    )
    return (answer + (f"Sec-WebSocket-Protocol: {subprotocol}\r\n\r\n" if subprotocol else "\r\n")).encode()


class WebSocket(asyncio.Protocol):
    """One peer. A subclass hears `heard` (a text or binary message), `overheard` (a frame that is none) and `lost`
    (once, when nothing more will come)."""

    __slots__ = ("__weakref__", "_deaf", "_end", "_owed", "_partial", "_unread", "closing", "full", "transport")

    bytes_max = 64 * 1024  # of one message

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.closing = False  # a close frame was written
        self.full = False  # the peer does not take what was written
        self._deaf = False  # what comes is not read any more
        self._unread: bytearray | None = None  # the beginning of a frame whose end has not come yet
        self._partial: tuple[int, bytearray] | None = None  # a message in several frames: its opcode, what there is
        self._owed: bytes | None = None  # the newest ping that came while it was full
        self._end: asyncio.TimerHandle | None = None

    # -- for subclasses ----------------------------------------------------------

    def heard(self, opcode: int, data: bytes) -> None:
        """A whole message."""

    def overheard(self) -> None:
        """A frame that is no message: a ping, a pong, or a piece of a message that goes on."""

    def lost(self) -> None:
        """The connection is gone."""

    # -- out ----------------------------------------------------------

    def send(self, payload: bytes) -> None:
        """Write a text message; nothing once the socket is closing."""
        if not self.closing:
            self.transport.write(frame(payload))

    def close(self, code: int, reason: str = "") -> None:
        """Say why, let the peer take what is left, and drop it where it does not. Returns at once."""
        self._say_goodbye(code, reason)

    def _say_goodbye(self, code: int, reason: str = "") -> None:
        if self.closing:
            return
        self.closing = True
        words = reason.encode()[: CONTROL_BYTES_MAX - 2].decode("utf-8", "ignore").encode()
        self.transport.write(frame(code.to_bytes(2, "big") + words, CLOSE))
        self._end = asyncio.get_running_loop().call_later(CLOSING_SECONDS_MAX, self.transport.abort)

    # -- in ----------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        unread = self._unread
        if unread is None:
            taken = self._read(data)
            if taken < len(data):
                self._unread = bytearray(data[taken:])
        else:
            unread += data
            del unread[: self._read(unread)]
            if not unread:
                self._unread = None

    def _read(self, data: bytes | bytearray) -> int:
        """Hear every whole frame in `data`; how many bytes they took."""
        at, end = 0, len(data)
        while end - at >= 6:
            first, second = data[at], data[at + 1]
            size, head = second & 0x7F, 6
            if size == 126:
                size, head = int.from_bytes(data[at + 2 : at + 4], "big"), 8
            elif size == 127:
                size, head = int.from_bytes(data[at + 2 : at + 10], "big"), 14
            start = at + head
            if not second & MASKED or first & RESERVED:
                self._refuse(PROTOCOL_ERROR, "frames of a client are masked, and have no extensions here")
            elif end < start:
                break
            elif size > self.bytes_max:
                self._refuse(TOO_BIG, f"messages have at most {self.bytes_max} bytes")
            elif end < start + size:
                break
            else:
                at = start + size
                self._take(first, apply_mask(data[start:at], data[start - 4 : start]))
            if self._deaf:
                return end
        return at

    def _take(self, first: int, payload: bytes) -> None:
        """One frame."""
        opcode, final = first & OPCODE, first & FINAL
        if opcode >= CLOSE:
            self._control(opcode, bool(final), payload)
        elif final and 0 < opcode <= BINARY and self._partial is None:
            self.heard(opcode, payload)
        elif (opcode == 0) is (self._partial is None) or opcode > BINARY:
            self._refuse(PROTOCOL_ERROR, "a continuation without a beginning, or a beginning inside a message")
        elif self._partial is None:
            self._partial = opcode, bytearray(payload)
            self.overheard()
        else:
            opcode, parts = self._partial
            parts += payload
            if len(parts) > self.bytes_max:
                self._refuse(TOO_BIG, f"messages have at most {self.bytes_max} bytes")
            elif final:
                self._partial = None
                self.heard(opcode, bytes(parts))
            else:
                self.overheard()

    def _control(self, opcode: int, final: bool, payload: bytes) -> None:
        if not final or len(payload) > CONTROL_BYTES_MAX or opcode > PONG:
            self._refuse(PROTOCOL_ERROR, "this is no control frame")
        elif opcode != CLOSE:
            self.overheard()
            if opcode == PING:
                self._answer(payload)
        else:
            code = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1000
            self._deaf = True
            self._say_goodbye(code if 1000 <= code <= 4999 and code not in (1005, 1006) else PROTOCOL_ERROR)
            self.transport.close()

    def _answer(self, ping: bytes) -> None:
        """Only the newest ping needs a pong (RFC 6455, 5.5.3): who does not read cannot fill our memory with them."""
        if self.full:
            self._owed = ping
        elif not self.closing:
            self.transport.write(frame(ping, PONG))

    def _refuse(self, code: int, why: str = "") -> None:
        """Close, and listen no more."""
        self._deaf = True
        self.close(code, why)

    # -- asyncio ----------------------------------------------------------

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        if self._owed is not None:
            ping, self._owed = self._owed, None
            self._answer(ping)

    def eof_received(self) -> bool:
        return False  # the transport closes itself

    def connection_lost(self, exc: Exception | None) -> None:
        self.closing = True
        if self._end is not None:
            self._end.cancel()
        self.lost()
