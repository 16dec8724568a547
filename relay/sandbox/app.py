"""The sandbox as an application: the vendor's paths at the root, its own under `/sandbox/`, open to every origin."""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles

from relay.sandbox import appgallery, backstage, camkit, linking
from relay.sandbox.accounts import Accounts
from relay.sandbox.live import live
from relay.sandbox.models import Sandbox
from relay.sandbox.script import STATIC
from relay.sandbox.switches import Switches, read_switches
from relay.sandbox.weather import Sky

CAMKIT = "/api/cam/model"
GALLERY = "/remote-dev-api"
APP_SECRET = "sandbox-app-secret"  # noqa: S105 - what a platform signs with when it rehearses
MODEL = "/sandbox/models/{token}"


def create_app(
    *,
    settings_delay: float = 10.0,
    speed: float = 1.0,
    developer_token: str | None = None,
    listeners: str = "append",
    app_id: str | None = None,
    app_secret: str = APP_SECRET,
    now: Callable[[], float] = time.time,
) -> Starlette:
    """The simulated vendor.

    Args:
        settings_delay: Seconds until edited rules take effect; the vendor needs about ten.
        speed: How many times faster than life reactions run; what they say about themselves stays nominal.
        developer_token: The only one that the servers take; None takes any that is not empty.
        listeners: What a second `addMessageListener` does to the first: "append" or "replace".
        app_id: The only application that the App Gallery servers know; None takes any that is not empty.
        app_secret: What auth codes are signed with.
        now: The clock of codes and tokens, in epoch seconds; a test simulates a month with its own.

    Raises:
        ValueError: A number out of range, or an unknown habit.
    """
    if settings_delay < 0 or speed <= 0:
        raise ValueError(f"settings_delay must not be negative and speed must be above 0: {settings_delay}, {speed}")
    app = Starlette(
        routes=_routes(),
        middleware=[Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_private_network=True)],
    )
    switches = read_switches({"listeners": listeners}, Switches())
    accounts = Accounts(now, app_id, app_secret)
    app.state.sandbox = Sandbox(settings_delay, speed, developer_token, switches, accounts, Sky())
    return app


def _routes() -> list[BaseRoute]:
    return [
        Route(f"{CAMKIT}/getToken", camkit.get_token, methods=["POST"]),
        Route(f"{CAMKIT}/v2/setting", camkit.setting),
        Route(f"{CAMKIT}/v2/model.js", camkit.script),
        Route(f"{GALLERY}/oauth", appgallery.oauth, methods=["POST"]),
        Route(f"{GALLERY}/user/info", appgallery.user_info, methods=["POST"]),
        Route("/sandbox/accounts", linking.page),
        Route("/sandbox/accounts.json", linking.listed),
        Route("/sandbox/accounts/codes", linking.authorize, methods=["POST"]),
        Route("/sandbox/accounts/cancel", linking.cancel, methods=["POST"]),
        Route("/sandbox/vendor/switches", linking.read_weather),
        Route("/sandbox/vendor/switches", linking.order_weather, methods=["PUT"]),
        Route("/sandbox/vendor/calls", linking.read_calls),
        Route("/sandbox/vendor/calls", linking.forget_calls, methods=["DELETE"]),
        Route(MODEL, backstage.state),
        Route(f"{MODEL}/settings", backstage.save_settings, methods=["PUT"]),
        Route(f"{MODEL}/toys", backstage.turn_toys, methods=["PUT"]),
        Route(f"{MODEL}/clear", backstage.clear, methods=["POST"]),
        Route(f"{MODEL}/pause", backstage.pause, methods=["POST"]),
        Route(f"{MODEL}/resume", backstage.resume, methods=["POST"]),
        Route(f"{MODEL}/tip", backstage.manual_tip, methods=["POST"]),
        Route(f"{MODEL}/event", backstage.say, methods=["POST"]),
        Route(f"{MODEL}/switches", backstage.read_switch),
        Route(f"{MODEL}/switches", backstage.set_switches, methods=["PUT"]),
        Route(f"{MODEL}/calls", backstage.read_calls),
        Route(f"{MODEL}/calls", backstage.report_call, methods=["POST"]),
        Route(f"{MODEL}/calls", backstage.forget_calls, methods=["DELETE"]),
        WebSocketRoute("/sandbox/live", live),
        Mount("/sandbox/static", StaticFiles(directory=STATIC)),
    ]
