"""HTTP as the relay speaks it: uvicorn's own, with doors that lead past ASGI for what there is very much of.

Sockets of pages and readers, and the platform's tips, are answered on the event loop itself: no task, queue or scope.
Everything else, and whatever a door does not take, goes the plain way through the application.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from websockets.exceptions import InvalidHandshake

from relay.web import page
from relay.web.wiring import Wiring

log = structlog.get_logger()

# Sockets by path: answers the handshake and hands back who takes the connection over.
Open = Callable[[Wiring, asyncio.Transport, Mapping[str, str]], asyncio.Protocol]
SOCKETS: dict[str, Open] = {"/page": page.open_page}


class RelayProtocol(HttpToolsProtocol):
    """One connection, until it becomes a socket or ends."""

    def __init__(self, relay: Wiring, **given: Any) -> None:
        super().__init__(**given)
        self._relay = relay

    def handle_websocket_upgrade(self) -> None:
        opens = SOCKETS.get(self._path())
        if opens is None:
            super().handle_websocket_upgrade()
            return
        try:
            taken = opens(self._relay, self.transport, self._headers())
        except InvalidHandshake as error:
            self._refuse_upgrade(str(error))
            return
        self._hand_over(taken)

    def _hand_over(self, to: asyncio.Protocol) -> None:
        """The connection is somebody else's from here on, and nothing of this object is needed any more."""
        self.connections.discard(self)
        self.transport.set_protocol(to)
        self.parser = self.cycle = None  # type: ignore[assignment]  # they hold this object, and it them

    def _refuse_upgrade(self, why: str) -> None:
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\nSec-WebSocket-Version: 13\r\nContent-Type: text/plain\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(why), why.encode())
        )
        self.transport.close()

    def _path(self) -> str:
        path = httptools.parse_url(self.url).path.decode("ascii", "replace")
        return unquote(path) if "%" in path else path

    def _headers(self) -> dict[str, str]:
        """By name in small letters; a name that comes again is a list (RFC 9110, 5.3)."""
        headers: dict[str, str] = {}
        for name, value in self.headers:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        return headers
