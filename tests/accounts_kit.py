"""A platform that links accounts: a relay beside the sandbox's account servers, over real HTTP, by one clock."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from kit import ENCRYPTION_KEY, Platform, serving, with_settings
from sandbox_kit import APP_ID, APP_SECRET, DEVELOPER, Gallery, gallery

from relay.caretaker import LOOK_SECONDS
from relay.clock import Clock, TickingClock
from relay.secret import Secret
from relay.stores import Store
from relay.web.wiring import Wiring


class Desk:
    """The platform's backend, the person at the vendor's, and the time of day."""

    def __init__(self, platform: Platform, vendor: Gallery, wiring: Wiring, clock: TickingClock) -> None:
        self.platform, self.vendor, self.wiring, self.clock = platform, vendor, wiring, clock

    async def post(self, code: Any, **more: Any) -> Any:
        return await self.platform.http.post("/accounts", json={"authCode": code} | more)

    async def linked(self, name: str = "Jo", **more: Any) -> dict[str, Any]:
        answer = await self.post(await self.vendor.code(name), **more)
        assert 201 == answer.status_code, answer.text
        return answer.json()

    async def account(self, user: str) -> dict[str, Any]:
        answer = await self.platform.http.get(f"/accounts/{quoted(user)}")
        assert 200 == answer.status_code, answer.text
        return answer.json()

    async def pass_time(self, seconds: float) -> None:
        """Time passes, and what is due is done when it is due, as far as the relay looks: every 30 s."""
        ledger, end = self.wiring.accounts._ledger, self.clock.now() + seconds
        await ledger.load()
        while ledger._due and (due := min(ledger._due.values())) < end:
            self.clock.tick(max(due - self.clock.now(), LOOK_SECONDS))
            await self.look()
        if self.clock.now() < end:
            self.clock.tick(end - self.clock.now())
            await self.look()

    async def look(self) -> None:
        """What the relay does every 30 s."""
        await self.wiring.accounts._ledger.load()
        await self.wiring.accounts._caretaker.tend()

    async def granted(self, kind: str) -> int:
        """How many calls of this kind the vendor has granted."""
        return sum(one["granted"] for one in (await self.vendor.calls())[kind].values())

    async def came(self, kind: str) -> int:
        return sum(one["calls"] for one in (await self.vendor.calls())[kind].values())


def quoted(user: str) -> str:
    return quote(user, safe="")


def settings_for(vendor: Gallery, **changes: Any) -> Any:
    url = str(vendor.base_url).rstrip("/")
    return with_settings(
        lovense_api_url=url,
        lovense_app_gallery_url=url,
        developer_token=Secret(DEVELOPER["developerToken"]),
        app_id=APP_ID,
        app_secret=Secret(APP_SECRET),
        encryption_keys=(Secret(ENCRYPTION_KEY),),
        **changes,
    )


@asynccontextmanager
async def open_desk(
    at: float = 1_700_000_000.0, *, store: Store | None = None, vendor_clock: Clock | None = None, **changes: Any
) -> AsyncIterator[Desk]:
    clock = TickingClock(at)
    async with (
        gallery(vendor_clock or clock) as vendor,
        serving(settings_for(vendor, **changes), clock, store=store) as relay,
    ):
        yield Desk(relay.platform, vendor, relay.wiring, clock)
