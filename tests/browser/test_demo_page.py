"""The demo in a real Chromium: the broadcaster's page in its frame, the viewer beside it, the receipt that moves."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from demo_kit import demo
from playwright.async_api import async_playwright, expect
from shim_kit import CHROMIUM
from websockets.asyncio.client import connect

pytestmark = pytest.mark.browser
SENTENCE = "My LOVENSE Lush is now reacting to {}'s tip. It will stop after {} sec!"


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def browser(anyio_backend):
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**CHROMIUM)
        yield browser
        await browser.close()


@pytest.fixture(scope="module")
async def running(anyio_backend, tmp_path_factory):
    """One demo for the file, ten times faster than life; every test leaves it with nothing held."""
    async with demo(tmp_path_factory.mktemp("demo"), "--speed", "10", "--settings-delay", "0.2") as running:
        yield running


class Stage:
    """The demo's page, and the broadcaster's page in its frame."""

    def __init__(self, page, errors):
        self.page, self.errors = page, errors
        self.broadcaster = page.frame_locator("#frame")

    async def live(self):
        await expect(self.broadcaster.locator("#state b")).to_have_text("Live")
        await expect(self.page.locator("#badges")).to_contain_text("Script ready")
        await expect(self.page.locator("#levels button")).to_have_count(4)

    async def tip(self, name, words):
        await self.page.fill("#tipper", name)
        await self.page.get_by_role("button", name=words).click()

    async def receipt(self, status):
        await expect(self.page.locator("#receipt .pill")).to_have_text(status)

    def said(self, name, seconds):
        return self.page.locator("#chat .vendor", has_text=SENTENCE.format(name, seconds))


@pytest.fixture
async def stage(browser, running):
    async with open_stage(browser, running) as stage:
        await stage.live()
        yield stage


@asynccontextmanager
async def open_stage(browser, running, **options):
    context = await browser.new_context(**{"viewport": {"width": 1440, "height": 900}} | options)
    context.set_default_timeout(15_000)
    page, errors = await context.new_page(), []
    context.on("console", lambda said: said.type in ("error", "warning") and errors.append(said.text))
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.on("request", lambda asked: asked.url.startswith((running.url, "data:")) or errors.append(asked.url))
    await page.goto(running.url)
    try:
        yield Stage(page, errors)
    finally:
        await context.close()
    assert [] == errors


async def test_the_printed_line_reaches_the_toy(stage, running):
    """The curl line as it stands: done with the vendor's evidence, and the room read the vendor's sentence once."""
    before = await stage.said("john", 6).count()
    tip = (await running.paste())["id"]
    await expect(stage.page.locator("#receipt code")).to_have_text(tip)
    await stage.receipt("done")
    receipt = await running.receipt(tip)
    evidence = {step["status"]: step["evidence"] for step in receipt["timeline"]}
    assert ["accepted", "sent", "played", "running", "done"] == [status for status in evidence if status != "queued"]
    assert {"tipper": "john", "amount": 20, "level": 2, "special": None, "seconds": 6} == evidence["running"]
    await expect(stage.said("john", 6)).to_have_count(before + 1)
    await expect(stage.page.locator(".steps li").last).to_contain_text("the vendor says so")


async def test_the_receipt_moves(stage):
    """A viewer's button: the receipt goes from station to station while one looks at it."""
    await stage.page.evaluate(
        """() => {
          window.seen = [];
          new MutationObserver(() => {
            const now = document.querySelector("#receipt .pill")?.textContent;
            if (now && now !== seen.at(-1)) seen.push(now);
          }).observe(document.querySelector("#receipt"), { childList: true, subtree: true, characterData: true });
        }"""
    )
    await stage.tip("nora", "75 tokens level 3 · 15 s")
    await stage.receipt("running")
    await expect(stage.broadcaster.locator("#queue .running")).to_contain_text("nora")
    await expect(stage.broadcaster.locator("[data-toy-view] .power b")).to_have_text("15")
    await stage.receipt("done")
    assert ["running", "done"] == (await stage.page.evaluate("seen"))[-2:]
    await expect(stage.page.locator(".rail .past")).to_have_count(5)
    await expect(stage.page.locator("#chat .tip", has_text="nora").locator(".mark")).to_have_text("done")
    await expect(stage.page.locator("#news")).to_have_text("Tip of 75 tokens: done")


async def test_stop_stops_and_resume_goes_on(stage, running):
    """The big button takes the vendor's script down at once; a tip then waits, and plays after Resume."""
    await stage.tip("olga", "150 tokens level 4 · 30 s")
    await stage.receipt("running")
    await stage.broadcaster.get_by_role("button", name="Stop").click()
    await expect(stage.broadcaster.locator("#state b")).to_have_text("Stopped")
    await stage.receipt("cleared")
    await expect(stage.broadcaster.locator("[data-toy-view] .power b")).to_have_text("0")
    await expect(stage.page.locator("#badges")).to_contain_text("Tips on hold")
    await stage.tip("pia", "5 tokens level 1 · 2 s")
    await stage.receipt("accepted")
    assert (await running.state())["stopped"]
    await stage.broadcaster.get_by_role("button", name="Resume").click()
    await stage.receipt("done")
    await expect(stage.said("pia", 2)).to_have_count(1)
    await expect(stage.broadcaster.locator("#state b")).to_have_text("Live")


async def test_the_room_hears_nothing_of_a_private_tip(stage, running):
    """Its receipt reaches done before the viewer who sent it; the feed of the room has no line of it."""
    await stage.page.get_by_text("Private").click()
    await stage.tip("quinn", "5 tokens level 1 · 2 s")
    await stage.receipt("done")
    await expect(stage.page.locator("#receipt .about")).to_contain_text("not shown to the room")
    await stage.page.get_by_text("Private").click()
    await stage.tip("rosa", "5 tokens level 1 · 2 s")
    await expect(stage.said("rosa", 2)).to_have_count(1)
    await expect(stage.page.locator("#chat .log")).not_to_contain_text("quinn")


async def test_an_anonymous_tipper_has_an_alias(stage):
    """The platform's receipt knows the name; the room and the vendor read the alias."""
    await stage.page.get_by_text("Anonymous", exact=True).click()
    await stage.tip("selma", "5 tokens level 1 · 2 s")
    await expect(stage.said("Anonymous", 2)).to_have_count(1)
    await expect(stage.page.locator("#receipt .about")).to_contain_text("the room sees Anonymous")
    await expect(stage.page.locator("#chat .log")).not_to_contain_text("selma")


async def test_the_menu_follows_the_models_settings(stage, running):
    """Saved on the vendor's page, on the viewer's buttons some moments later."""
    link = await stage.broadcaster.get_by_role("link", name="Levels and patterns").get_attribute("href")
    path = f"/sandbox/models/{link.split('mToken=')[1]}/settings"
    before = (await running.http.get(path.removesuffix("/settings"))).json()["rules"]
    level = {"min": 1, "max": None, "time": 3, "vLevel": 7, "rLevel": 0}
    await running.http.put(path, json={"levels": [level]})
    await expect(stage.page.locator("#levels button")).to_have_count(1)
    await expect(stage.page.locator("#levels span")).to_have_text("level 1 · 3 s")
    await stage.page.fill("#amount", "120")
    await expect(stage.page.locator("#effect")).to_have_text("earthquake · 22 s")
    await running.http.put(path, json={"levels": before["levels"]})
    await expect(stage.page.locator("#levels button")).to_have_count(4)


async def test_a_refusal_is_told_where_the_viewer_looks(browser, running):
    """The relay's sentence, in words."""
    async with open_stage(browser, running) as stage:
        await stage.live()
        await stage.tip("\u200b", "5 tokens level 1 · 2 s")
        await expect(stage.page.get_by_role("alert")).to_contain_text("'tipper' must be a name")
        assert 1 == len(stage.errors)  # Chromium's own line about the 400
        stage.errors.clear()


async def test_a_second_tab_stands_by_until_it_is_asked(stage, running):
    """One tab acts; the other says so, and takes over on request."""
    other = await stage.page.context.new_page()
    await other.goto(f"{running.url}/demo/broadcaster")
    await expect(other.locator("#notice")).to_contain_text("Another tab of this browser is the live one.")
    await other.get_by_role("button", name="Take over here").click()
    await expect(other.locator("#state b")).to_have_text("Live")
    await expect(stage.broadcaster.locator("#state b")).to_have_text("Standing by")
    await stage.broadcaster.get_by_role("button", name="Take over here").click()
    await stage.live()


async def test_a_broadcaster_settles_what_nobody_can_tell(browser, running):
    """A tip given to a page that vanished: the next page asks, and her word settles it."""
    ticket = (await running.http.get("/demo/api/page-ticket")).json()["ticket"]
    hello = {"type": "hello", "ticket": ticket, "journal": "j_gone", "vendor": {"ready": True}}
    origin, url = running.url, running.url.replace("http", "ws")
    async with connect(f"{url}/page", subprotocols=["relay.v1"], origin=origin, proxy=None) as page:
        await page.send(json.dumps(hello))
        assert "welcome" == json.loads(await page.recv())["type"]
        tip = (await running.http.post("/demo/api/tips", json={"tipper": "tara", "amount": 20})).json()["id"]
        async with asyncio.timeout(5):
            while json.loads(await page.recv())["type"] != "tip":
                pass
    async with open_stage(browser, running) as stage:
        await expect(stage.broadcaster.locator(".question")).to_have_text("Did tara's tip of 20 play?PlayedPlay itSkip")
        await stage.receipt("uncertain")
        await stage.broadcaster.get_by_role("button", name="Skip").click()
        await stage.receipt("cancelled")
        await expect(stage.broadcaster.locator(".question")).to_have_count(0)
    assert "the broadcaster says: skip" == (await running.receipt(tip))["timeline"][-1]["why"]


@pytest.mark.parametrize("path", ["/", "/demo/broadcaster", "/docs"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_phone_scrolls_one_way_only(browser, running, path, scheme):
    """390 pixels wide, no page is wider."""
    options = {"viewport": {"width": 390, "height": 844}, "color_scheme": scheme}
    async with open_stage(browser, running, **options) as stage:
        page = stage.page
        if path == "/":
            await stage.live()
            await stage.tip("a-name-without-an-end-" * 9, "5 tokens level 1 · 2 s")
            await stage.receipt("done")
        else:
            await page.goto(running.url + path)
            await expect(page.locator("#get-metrics" if path == "/docs" else "#state.live")).to_be_visible()
        assert 390 == await page.evaluate("document.documentElement.scrollWidth")
