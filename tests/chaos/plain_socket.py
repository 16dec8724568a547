"""A page's WebSocket with nothing around it: thousands of them in one process leave the processor to the relay."""

from __future__ import annotations

import asyncio

CLOSE = 0x88
REQUEST = (
    "GET /page HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2l4dGVlbiBieXRlcyEhIQ==\r\n"
    "Sec-WebSocket-Protocol: relay.v1\r\nOrigin: {origin}\r\n\r\n"
)


class PlainSocket:
    """Text both ways. Masks with zeros, which is allowed and changes nothing."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.code: int | None = None  # that the relay closed with

    def send(self, text: str) -> None:
        data = text.encode()
        size = bytes((0x80 | len(data),)) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
        self._writer.write(b"\x81" + size + b"\0\0\0\0" + data)

    async def receive(self) -> bytes | None:
        """The next message; None at the end."""
        first, size = await self._reader.readexactly(2)
        if size > 125:
            size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8), "big")
        data = await self._reader.readexactly(size)
        if first != CLOSE:
            return data
        self.code = int.from_bytes(data[:2], "big")
        return None

    def end(self) -> None:
        self._writer.close()


async def connect(port: int, origin: str) -> PlainSocket:
    """Raises `OSError` or `EOFError` where nobody opens."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(REQUEST.format(port=port, origin=origin).encode())
        answer = await reader.readuntil(b"\r\n\r\n")
        if not answer.startswith(b"HTTP/1.1 101 "):
            raise ConnectionRefusedError(answer.decode())
    except BaseException:
        writer.close()
        raise
    return PlainSocket(reader, writer)
