"""HTTP as the relay speaks it: uvicorn's own, with doors that lead past ASGI for what there is very much of.

Sockets of pages, readers of the feed, and the platform's tips are answered on the event loop itself: no ASGI task,
queue or scope. Everything else, and whatever a door does not take, goes the plain way through the application.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import httptools
import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from websockets.exceptions import InvalidHandshake

from relay.errors import Refusal
from relay.intake import Delivered
from relay.messages import Close
from relay.settings import TIP_BODY_BYTES_MAX
from relay.web import feed, page, tips
from relay.web.bodies import decode
from relay.web.feed_sse import EventStream
from relay.web.feed_websocket import FeedSocket
from relay.web.heads import END_OF_HEAD
from relay.web.replies import problem
from relay.web.websocket import handshake
from relay.web.wiring import Wiring

log = structlog.get_logger()

# A browser reads neither the status nor the answer of a socket that was refused: the close code says it.
CLOSES = {
    "ticket_expired": Close.TICKET_EXPIRED,
    "ticket_refused": Close.TICKET_REFUSED,
    "unauthenticated": Close.TICKET_REFUSED,
    "unknown_model": Close.UNKNOWN_MODEL,
    "store_unavailable": Close.STORE_UNAVAILABLE,
}
IDLE_LOOK_SECONDS = 1.0  # until a request under way when its connection's idle time would be over is looked at again
REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


class Exchange:
    """One request that is answered past ASGI; uvicorn's protocol sees it as a cycle of its own."""

    __slots__ = ("body", "disconnected", "headers", "keep_alive", "more_body", "response_complete")

    message_event = asyncio.Event()  # nobody waits for it

    def __init__(self, keep_alive: bool, headers: Mapping[str, str] | None) -> None:
        self.body = b""
        self.headers = headers  # of a request whose body is waited for
        self.keep_alive = keep_alive
        self.disconnected = False
        self.more_body = True
        self.response_complete = False


class RelayProtocol(HttpToolsProtocol):
    """One connection, until it becomes a socket or a stream, or ends."""

    def __init__(self, relay: Wiring, **given: Any) -> None:
        super().__init__(**given)
        self._relay = relay
        self._reading: asyncio.Task[None] | None = None  # of a reader's wish
        self._answered: Any = None  # the request that is on the plain way, or was the last there
        self._between = True  # two requests: the parser waits for the first byte of one
        self._came = b""  # what the parser is being fed, where a request begins with it
        self._idle_since = 0.0  # of the event loop's clock

    # -- sockets ----------------------------------------------------------

    def handle_websocket_upgrade(self) -> None:
        path, query = self._target()
        headers = self._all_headers()
        try:
            if not self._is_free():  # nobody waits for a socket behind an answer: it asks again for both
                self.transport.close()
            elif path == "/page":
                self._hand_over(page.open_page(self._relay, self.transport, headers))
            elif is_feed(path):
                answer = handshake(headers)
                self._begin(self._open_feed_socket(answer, path, query, headers))
            else:
                super().handle_websocket_upgrade()
        except InvalidHandshake as error:
            self._write(400, str(error).encode(), b"text/plain", b"Sec-WebSocket-Version: 13\r\nConnection: close\r\n")
            self.transport.close()

    async def _open_feed_socket(self, answer: bytes, path: str, query: str, headers: Mapping[str, str]) -> None:
        """Refusals are said in a close code, which a browser can read, and that only after the handshake."""
        try:
            wish: feed.Wish | Refusal = await feed.read_wish(self._relay, feed.model_of(path), query, headers)
        except Refusal as refusal:
            wish = refusal
        if self.transport.is_closing():
            return
        self.transport.write(answer)
        socket = FeedSocket(self.transport)
        self._hand_over(socket)
        if isinstance(wish, feed.Wish):
            socket.follow(self._relay, wish)
        else:
            socket.close(CLOSES.get(wish.code, Close.PROTOCOL), wish.detail)

    # -- requests ----------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._between:
            end = data.find(END_OF_HEAD) + len(END_OF_HEAD)
            if self._relay.heads.get(data[:end]) == len(data) - end and self._is_free():
                exchange: Any = Exchange(True, None)
                self.cycle = exchange
                self._take_tip(exchange, data[end:])
                return
        self._came = data if self._between else b""
        super().data_received(data)

    def on_message_begin(self) -> None:
        self._between = False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        parser = self.parser
        if self._is_free() and not parser.should_upgrade() and not self.expect_100_continue:
            method = parser.get_method()
            if method == b"POST" and self.url == b"/tips":
                headers = self._all_headers()
                size = headers.get("content-length", "")
                if size.isdigit() and int(size) <= TIP_BODY_BYTES_MAX:
                    self.cycle = Exchange(parser.should_keep_alive(), headers)  # type: ignore[assignment]
                    return
            elif method == b"GET" and self.url.startswith(b"/feed"):
                path, query = self._target()
                if is_feed(path):
                    exchange: Any = Exchange(parser.should_keep_alive(), None)
                    exchange.more_body = False  # what comes behind the head is not kept
                    self.cycle = exchange
                    self._begin(self._open_feed_stream(exchange, path, query, self._all_headers()))
                    return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        cycle: Any = self.cycle
        if not isinstance(cycle, Exchange):
            super().on_body(body)
        elif cycle.more_body:
            cycle.body += body

    def on_message_complete(self) -> None:
        self._between = True
        cycle: Any = self.cycle
        if not isinstance(cycle, Exchange):
            super().on_message_complete()
        elif cycle.headers is not None and cycle.more_body:  # else it is a socket's request, which has no cycle
            cycle.more_body = False
            self._post_tip(cycle, cycle.headers, cycle.body)

    def _post_tip(self, exchange: Exchange, headers: Mapping[str, str], body: bytes) -> None:
        try:
            self._relay.keys.check(headers, "tips", body)
        except Refusal as refusal:
            self._refuse(exchange, refusal)
            return
        if exchange.keep_alive:
            self._relay.heads.learn(self._came, headers, body)
        self._take_tip(exchange, body, headers.get("idempotency-key"))

    def _take_tip(self, exchange: Exchange, body: bytes, key: str | None = None) -> None:
        try:
            tips.order(self._relay, decode(body), key, partial(self._answer_tip, exchange))
        except Refusal as refusal:
            self._refuse(exchange, refusal)

    def _answer_tip(self, exchange: Exchange, told: Delivered | Exception) -> None:
        if isinstance(told, Delivered):
            status, more = tips.status_of(told)
            head = b"".join([f"{name}: {value}\r\n".encode() for name, value in more.items()]) if more else b""
            self._reply(exchange, status, tips.answer_bytes(told), b"application/json", head)
        elif isinstance(told, Refusal):
            self._refuse(exchange, told)
        else:
            log.error("request failed", exc_info=told)
            self._reply(exchange, 500, b"Internal Server Error", b"text/plain")

    async def _open_feed_stream(self, exchange: Exchange, path: str, query: str, headers: Mapping[str, str]) -> None:
        try:
            wish = await feed.read_wish(self._relay, feed.model_of(path), query, headers)
        except Refusal as refusal:
            self._refuse(exchange, refusal, b"Access-Control-Allow-Origin: *\r\n")  # a page has to read it
            return
        if not self.transport.is_closing():
            self._hand_over(EventStream(self._relay, self.transport, wish))

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None:  # uvicorn tells the newest request only, which may wait behind this one
            self._answered.disconnected = True
            self._answered.message_event.set()
        super().connection_lost(exc)

    # -- one exchange ----------------------------------------------------------

    def _refuse(self, exchange: Exchange, refusal: Refusal, more: bytes = b"") -> None:
        answer = problem(refusal)
        more += b"".join(b"%b: %b\r\n" % one for one in answer.raw_headers if not one[0].startswith(b"content-"))
        self._reply(exchange, answer.status_code, bytes(answer.body), b"application/problem+json", more)

    def _is_free(self) -> bool:
        """Nothing is being answered on this connection; what comes too early takes the plain way, which has a queue."""
        return self.cycle is None or self.cycle.response_complete

    def _reply(self, exchange: Exchange, status: int, body: bytes, kind: bytes, more: bytes = b"") -> None:
        if exchange.disconnected or self.transport.is_closing():
            return
        if not exchange.keep_alive:
            more += b"Connection: close\r\n"
        self._write(status, body, kind, more)
        exchange.response_complete = True
        if not exchange.keep_alive:
            self.transport.close()
        if self.pipeline:
            self.on_response_complete()
        else:
            self._rest()

    def _rest(self) -> None:
        """Until the next request, which as a rule comes soon: the timer stands, and looks when it is due."""
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.is_closing():
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time() if self._is_free() else IDLE_LOOK_SECONDS
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _write(self, status: int, body: bytes, kind: bytes, more: bytes = b"") -> None:
        self.transport.write(
            b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nContent-Length: %d\r\n%b\r\n%b"
            % (status, REASONS.get(status, b""), kind, len(body), more, body)
        )

    def _begin(self, work: Any) -> None:
        self._reading = asyncio.get_running_loop().create_task(work)
        self.tasks.add(self._reading)
        self._reading.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self._reading = None
        if not task.cancelled() and task.exception() is not None:
            log.error("request failed", exc_info=task.exception())
            self.transport.close()

    def _hand_over(self, to: asyncio.Protocol) -> None:
        """The connection is somebody else's from here on, and nothing of this object is needed any more."""
        self.connections.discard(self)
        self._unset_keepalive_if_required()
        self.transport.set_protocol(to)
        self.pipeline.clear()  # what was asked behind it is not answered: the connection ends with the stream
        self.flow.resume_reading()
        if self.flow.write_paused:  # earlier answers wait to be taken, and the transport does not say so twice
            to.pause_writing()
        self._answered = None
        self.parser = self.cycle = self.scope = None  # type: ignore[assignment]  # they hold this object, and it them

    # -- the request ----------------------------------------------------------

    def _target(self) -> tuple[str, str]:
        url = httptools.parse_url(self.url)
        path = url.path.decode("ascii", "replace")
        return unquote(path) if "%" in path else path, (url.query or b"").decode("latin-1")

    def _all_headers(self) -> dict[str, str]:
        """By name in small letters; a name that comes again is a list (RFC 9110, 5.3)."""
        headers: dict[str, str] = {}
        for name, value in self.headers:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        return headers


def is_feed(path: str) -> bool:
    return path == "/feed" or (path.startswith("/feed/") and "/" not in path[6:] and len(path) > 6)
