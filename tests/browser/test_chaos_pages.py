"""Whatever happens to a broadcaster's page, receipts and the vendor's ledger tell one story, and nothing plays twice."""

from __future__ import annotations

import pytest
from chaos_kit import open_stage

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def stage(anyio_backend):
    async with open_stage() as stage:
        yield stage


@pytest.fixture(scope="module")
async def relay(stage):
    async with stage.relay() as platform:
        yield platform


@pytest.fixture
async def show(stage, relay):
    async with stage.show(relay) as show:
        yield show


async def test_first(show):
    tab = await show.tab()
    await show.tip("t1", "t2")
    await show.played("t1", "t2")


async def test_crash(show):
    tab = await show.tab()
    await tab.arm("after calling of t1")
    await show.tip("t1")
    await show.gate.wait()
    await tab.crash()
    back = await show.tab()
    await show.until("t1", "uncertain")


async def test_freeze(show):
    tab = await show.tab()
    cdp = await tab.page.context.new_cdp_session(tab.page)
    await cdp.send("Page.setWebLifecycleState", {"state": "frozen"})
    await show.tip("t1")
    import asyncio
    await asyncio.sleep(1)
    print(await show.status("t1"), await show.called())
    try:
        async with asyncio.timeout(2):
            print("evaluate", await tab.do("[heard, document.visibilityState]"))
    except TimeoutError:
        print("no evaluate")
    await cdp.send("Page.setWebLifecycleState", {"state": "active"})
    await show.played("t1")


async def test_offline(show):
    tab = await show.tab()
    import asyncio
    await tab.page.context.set_offline(True)
    await show.tip("t1")
    await asyncio.sleep(1)
    print(await show.status("t1"), await tab.do("relay.state"), await tab.do("performance.now()"))
    await tab.page.context.set_offline(False)
    await show.played("t1")
