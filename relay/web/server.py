"""The server: says where it listens, and drains before it ends.

uvicorn closes every socket before the lifespan ends, and one open event stream would keep it alive for ever; so the
drain comes first, in `shutdown`, bounded.
"""

from __future__ import annotations

import asyncio
import gc
import random
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp

from relay import messages
from relay.web.protocol import RelayProtocol
from relay.web.wiring import Wiring

log = structlog.get_logger()

KEEP_ALIVE_SECONDS = 95  # above what cloud routers use, so that they end idle connections and not we
SEND_BUFFER_BYTES = 64 * 1024  # a peer that stops reading shows after little, not after megabytes
STUCK_SECONDS = 30  # for a peer to take what was written, before the kernel gives its connection up
SHUTDOWN_SECONDS = 2
HANDOVER_SECONDS = 0.1  # for the next relay to listen, so that nobody who is sent away finds a closed door
DISMISS_SECONDS = 1  # for pages, readers and running requests to end once the listener is closed
PORT_PATIENCE_SECONDS = 60.0  # an older relay on the same port may still be draining
BACKLOG = 2048
SWITCH_SECONDS = 0.0005
GARBAGE_OBJECTS = 20_000  # made and not freed again, between two looks for garbage


class Server(uvicorn.Server):
    """uvicorn with a word on standard output once it listens, and a drain."""

    def __init__(self, app: ASGIApp, wirings: list[Wiring], says: Callable[[str], str]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=http_of(wirings),
                ws="websockets-sansio",  # for sockets that are none of ours: they are refused
                access_log=False,
                log_config=None,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
                server_header=False,
                date_header=False,
                lifespan="on",
            )
        )
        self._wirings = wirings
        self._says = says

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            await self.greet(url_of(sockets[0]))

    async def greet(self, url: str) -> None:
        print(self._says(url), flush=True)  # noqa: T201  # the one line on standard output

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.gather(*(drain(wiring) for wiring in self._wirings))
        # The next relay listens as soon as this one does not, and waits for the file: let go of both together. Pages
        # and readers are sent away only now, so that they come back to the next one.
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        await asyncio.sleep(HANDOVER_SECONDS)
        await asyncio.gather(*(dismiss(wiring) for wiring in self._wirings))
        deadline = asyncio.get_running_loop().time() + DISMISS_SECONDS
        await until_empty(lambda: len(self.server_state.tasks), deadline)
        for wiring in self._wirings:
            wiring.hub.last_words()
        await asyncio.gather(*(wiring.store.close() for wiring in self._wirings))
        await super().shutdown(sockets)
        self._captured_signals.clear()  # a drained end is a clean end: exit code 0


def http_of(wirings: list[Wiring]) -> Any:
    """The relay's own protocol; a sandbox alone speaks plain HTTP."""
    return partial(RelayProtocol, wirings[0]) if wirings else "httptools"


async def drain(wiring: Wiring) -> None:
    """Not ready; pages are told to return, spread over the drain time. Tips are taken and played all the while.

    Sinks are served until the pages have left; what is under way then has the rest of the time."""
    wiring.draining = True
    seconds = wiring.settings.drain_seconds
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    pages = list(wiring.pages.sockets)
    log.info("draining", pages=len(pages), seconds=seconds)
    for page in pages:
        page.tell(messages.drain(random.uniform(0, seconds)))  # noqa: S311  # spreads load, hides nothing
    await until_empty(lambda: len(wiring.pages.sockets), until)
    await wiring.deliveries.close(max(until - loop.time(), DISMISS_SECONDS))


async def dismiss(wiring: Wiring) -> None:
    """Whoever is still here is sent away with a word about how to come back."""
    for page in list(wiring.pages.sockets):
        page.close(messages.Close.DRAINING, "draining")
    wiring.followers.end()
    wiring.hub.captures.end("the relay is draining: come back")
    deadline = asyncio.get_running_loop().time() + DISMISS_SECONDS
    await until_empty(lambda: len(wiring.pages.sockets) + len(wiring.followers), deadline)


async def until_empty(count: Callable[[], int], deadline: float) -> None:
    """Until nobody is left, or the deadline (of the event loop's clock)."""
    while count() and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110  # a drain may look up now and then
        await asyncio.sleep(0.005)


async def listen_on(host: str, port: int) -> socket.socket:
    """A listening socket. Where the port is taken, waits for an older relay to let go of it, up to a minute."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    loop = asyncio.get_running_loop()
    until = loop.time() + PORT_PATIENCE_SECONDS
    told = False
    while True:
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # asyncio sets no TCP_NODELAY else
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STUCK_SECONDS * 1000)
        try:
            listener.bind((host, port))
            listener.listen(BACKLOG)  # also where the port is taken: bind alone succeeds beside a closing socket
        except OSError as error:
            listener.close()
            if loop.time() >= until or error.errno != 98:  # EADDRINUSE
                raise
            if not told:
                log.warning("port taken, waiting for it", host=host, port=port, seconds=PORT_PATIENCE_SECONDS)
                told = True
            await asyncio.sleep(0.02)
            continue
        listener.setblocking(False)
        return listener


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: ASGIApp, wirings: list[Wiring], *, host: str, port: int, says: Callable[[str], str]) -> None:
    """Serve until a signal asks for the end. `says` makes the one line that names the address."""

    async def run() -> None:
        listener = await listen_on(host, port)
        await Server(app, wirings, says).serve([listener])

    try:
        uvloop_run(run())
    except OSError as error:
        print(f"cannot listen on {host}:{port}: {error.strerror}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        pass


def uvloop_run(main: object) -> None:
    import uvloop

    # What was imported stays; and thousands of pages that come back at once are no garbage to look for.
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS)
    # The store's thread has its commit from the disk and wants the interpreter back: 5 ms, the default, is a long wait.
    sys.setswitchinterval(SWITCH_SECONDS)
    uvloop.run(main)  # type: ignore[arg-type]
