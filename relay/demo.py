"""The demo: relay, simulated vendor and pages on one port of 127.0.0.1, with keys of its own. Never for production."""

from __future__ import annotations

import os
import secrets
import socket
import sys
import tempfile
from pathlib import Path

from cryptography.fernet import Fernet
from starlette.types import ASGIApp, Receive, Scope, Send

from relay.demo_platform import Platform, make_pages
from relay.sandbox import create_app
from relay.secret import Secret
from relay.settings import Settings
from relay.values import ApiKey
from relay.web.app import make_app
from relay.web.server import Server, listen_on, url_of, uvloop_run
from relay.web.wiring import Wiring, wire

HOST = "127.0.0.1"
SANDBOX = ("/api/cam/", "/remote-dev-api/", "/sandbox/")  # the vendor's own paths, and its stand-in's
DRAIN_SECONDS = 0.5
REACTION_GRACE_SECONDS = 15.0  # nobody watches a page for the minute that production allows


class Front:
    """One door for three applications: the path says which. The lifespan is the relay's."""

    def __init__(self, relay: ASGIApp, sandbox: ASGIApp, pages: ASGIApp) -> None:
        self._relay = relay
        self._sandbox = sandbox
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._behind(scope)(scope, receive, send)

    def _behind(self, scope: Scope) -> ASGIApp:
        path: str = scope.get("path", "")
        if path.startswith(SANDBOX):
            return self._sandbox
        if path == "/" or path.startswith("/demo/"):
            return self._pages
        return self._relay


class DemoServer(Server):
    """Says that it listens once the platform has registered its model: what is printed works at once."""

    def __init__(self, app: ASGIApp, wiring: Wiring, platform: Platform) -> None:
        super().__init__(app, [wiring], lambda url: f"demo: {url}/\n{platform.curl}")
        self._platform = platform

    async def greet(self, url: str) -> None:
        await self._platform.open()
        await super().greet(url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        await self._platform.close()


def run_demo(*, port: int, db: str | None, settings_delay: float, speed: float) -> None:
    """Serve the demo until a signal asks for the end.

    Args:
        port: 0 picks one.
        db: Where the relay's database is kept; None: in a folder that is thrown away.
        settings_delay: Seconds until settings edited on the vendor's page take effect.
        speed: How many times faster than life the toy's reactions run.
    """

    async def run(store: Path) -> None:
        listener = await listen_on(HOST, port)
        with listener:
            await demo_server(listener, store, settings_delay, speed).serve([listener])

    with tempfile.TemporaryDirectory(prefix="relay-demo-") as folder:
        store = Path(db or Path(folder, "relay.db"))
        try:
            uvloop_run(run(store))
        except (OSError, ValueError) as error:
            print(f"the demo cannot run: {error}", file=sys.stderr)  # noqa: T201
            raise SystemExit(1) from None
        except KeyboardInterrupt:
            pass


def demo_server(listener: socket.socket, store: Path, settings_delay: float, speed: float) -> DemoServer:
    """Everything, wired for the port that was picked."""
    url = url_of(listener)
    settings = make_settings(url, store)
    wiring = wire(settings)
    sandbox = create_app(
        settings_delay=settings_delay,
        speed=speed,
        developer_token=settings.developer_token.reveal(),
        app_id=settings.app_id,
        app_secret=settings.app_secret.reveal(),
    )
    platform = Platform(url, settings.api_keys[0].key.reveal(), proxied=any(os.environ.get(name) for name in PROXIES))
    return DemoServer(Front(make_app(wiring), sandbox, make_pages(platform)), wiring, platform)


PROXIES = ("http_proxy", "all_proxy", "ALL_PROXY")  # what curl reads for an http:// address


def make_settings(url: str, store: Path) -> Settings:
    """Settings with fresh keys; nothing of the environment reaches the demo."""
    return Settings(
        secrets=(Secret(secrets.token_urlsafe(32)),),
        encryption_keys=(Secret(Fernet.generate_key().decode()),),
        api_keys=(ApiKey("demo", Secret(f"demo_{secrets.token_hex(12)}")),),
        origins=(url, url.replace(HOST, "localhost")),
        store=f"sqlite:///{store}",
        reaction_grace=REACTION_GRACE_SECONDS,
        drain_seconds=DRAIN_SECONDS,
        log_level="warning",
        developer_token=Secret(secrets.token_urlsafe(24)),
        app_id=secrets.token_hex(16),
        app_secret=Secret(secrets.token_urlsafe(24)),
        lovense_api_url=url,
        lovense_app_gallery_url=url,
    )
