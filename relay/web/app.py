"""The web application: every route, and what runs beside them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from relay.errors import BadSettings, Refusal, StoreUnavailable
from relay.web import accounts, api, captures, feed, health, keys, menus, models, scripts, sinks, tips
from relay.web.replies import on_bad_settings, on_http_exception, on_refusal
from relay.web.wiring import Wiring

log = structlog.get_logger()

SWEEP_SECONDS = 60.0
SWEPT_AT_ONCE = 100  # of tips and of entries each: a few milliseconds, for which the tips wait
SWEEP_REST, SWEEP_REST_SECONDS_MIN = 10.0, 0.005  # after a bite, as a multiple of the time it took
SWEEP_PATIENCE = 100  # bites, after which the rest is shorter by one: what falls due faster than that has to go too
DAY_SECONDS = 86400.0


def make_app(wiring: Wiring) -> Starlette:
    """The relay as an ASGI application; its lifespan opens and closes the store."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with running(wiring):
            yield

    app = Starlette(
        routes=[
            *tips.routes,
            *models.routes,
            *captures.routes,
            *menus.routes,
            *accounts.routes,
            *keys.routes,
            *feed.routes,
            *sinks.routes,
            *health.routes,
            *scripts.routes,
            *api.routes,
        ],
        exception_handlers={
            Refusal: on_refusal,
            BadSettings: on_bad_settings,
            HTTPException: on_http_exception,
        },
        lifespan=lifespan,
    )
    # A 307 for a slash too many would lose the body of clients that do not send it again.
    app.router.redirect_slashes = False
    app.state.wiring = wiring
    return app


@contextlib.asynccontextmanager
async def running(wiring: Wiring) -> AsyncIterator[None]:
    """The store open, time running, pages' hearts beating; all of it ends with the block."""
    await wiring.store.open()
    if not wiring.store.healthy:
        log.warning("store not open yet", why=wiring.store.trouble)
    loop = asyncio.get_running_loop()
    tasks = [
        asyncio.create_task(wiring.hub.run()),
        asyncio.create_task(wiring.pages.beat(loop.time, wiring.clock.now)),
        asyncio.create_task(wiring.followers.beat()),
        asyncio.create_task(sweep(wiring)),
        asyncio.create_task(wiring.hub.bring_back()),
        asyncio.create_task(find_absent(wiring)),
        asyncio.create_task(wiring.accounts.run()),
        asyncio.create_task(wiring.deliveries.run()),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        wiring.hub.last_words()
        await wiring.deliveries.close()
        await wiring.accounts.close()
        await wiring.vendor.close()
        await wiring.store.close()


async def find_absent(wiring: Wiring) -> None:
    """Once, when every page that meant to come back after a restart has."""
    found, pause = False, SWEEP_SECONDS
    while not found:
        await asyncio.sleep(pause)
        pause = 1.0
        with contextlib.suppress(StoreUnavailable):
            await wiring.hub.find_absent()
            found = True


async def sweep(wiring: Wiring) -> None:
    """Take away what is past its retention: small bites, each followed by a rest, so that no tip waits long for one."""
    settings = wiring.settings
    loop = asyncio.get_running_loop()
    while True:
        wiring.hub.forget_idle()
        now = wiring.clock.now()
        with contextlib.suppress(StoreUnavailable):
            began, bites = loop.time(), 0
            while await wiring.store.sweep(
                tips_before=now - settings.retention_days * DAY_SECONDS,
                entries_before=now - settings.history_days * DAY_SECONDS,
                entries_max=settings.history_entries,
                limit=SWEPT_AT_ONCE,
            ):
                bites += 1
                rest = max(1.0, SWEEP_REST - bites / SWEEP_PATIENCE)
                await asyncio.sleep(max(SWEEP_REST_SECONDS_MIN, rest * (loop.time() - began)))
                began = loop.time()
        await asyncio.sleep(SWEEP_SECONDS)
