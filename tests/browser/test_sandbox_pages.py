"""What people see of the sandbox, in a real Chromium: the widget with its moving picture, and the settings page."""

from __future__ import annotations

import pytest
from sandbox_kit import signature
from sandbox_stage import open_stage

from relay.sandbox.app import APP_SECRET

pytestmark = pytest.mark.browser

SHOWN = "document.querySelector('[data-toy-view]').shadowRoot"
INK = """() => {
  const canvas = document.querySelector('[data-toy-view]').shadowRoot.querySelector('canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  return data.filter((value, at) => at % 4 === 3 && value > 0).length;
}"""


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def stage(anyio_backend):
    """Twice as fast as life."""
    async with open_stage(speed=2, settings_delay=1) as stage:
        yield stage


async def test_the_widget_tells_what_the_toy_does(stage):
    """In the page's own place: name, strength, tipper, queue; the wave grows while the toy works."""
    async with stage.broadcast(place="<div data-toy-view></div>") as model:
        await model.until(f"{SHOWN}.textContent.includes('Waiting for a tip')")
        flat = await model.page.evaluate(INK)
        await model.page.evaluate("lovense.receiveTip('mary <b>', 120); lovense.receiveTip('john', 5)")
        await model.until(f"{SHOWN}.querySelector('.by').textContent.includes('mary <b> · 120 tokens')")
        await model.until(f"{SHOWN}.querySelector('.by').textContent.includes('1 in the queue')")
        assert "20/20" == await model.page.evaluate(f"{SHOWN}.querySelector('.power').textContent")
        await model.until(f"({INK})() > {flat} * 3")
        await model.do("PUT", "/toys", {"on": False})
        await model.until(f"{SHOWN}.querySelector('.pill').textContent === 'Off'")


async def test_a_page_without_a_place_gets_a_card_in_the_corner(stage):
    """One card, in its own shadow, that moves into a place as soon as there is one."""
    async with stage.broadcast() as model:
        cards = "[...document.body.children].filter((element) => element.shadowRoot)"
        assert ["corner"] == await model.page.evaluate(f"{cards}.map((card) => card.className)")
        await model.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<div data-toy-view></div>')")
        await model.tip("john", 5)
        await model.until(f"{SHOWN}?.textContent.includes('john')")
        assert [""] == await model.page.evaluate(f"{cards}.map((card) => card.className)")


async def test_who_wants_no_motion_gets_none(stage):
    """Bars stand still, and no frame is asked for while they do."""
    async with stage.broadcast(place="<div data-toy-view></div>", reduced_motion="reduce") as model:
        await model.tip("john", 100)
        await model.until(f"{SHOWN}.querySelector('.power').textContent === '20/20'")
        frames = await model.page.evaluate("""() => new Promise((resolve) => {
          const ask = window.requestAnimationFrame.bind(window);
          let asked = 0;
          window.requestAnimationFrame = (draw) => { asked += 1; return ask(draw) };
          const wait = (left) => left ? ask(() => wait(left - 1)) : resolve(asked);
          wait(10);
        })""")
        assert frames <= 1


async def test_settings_are_saved_on_the_page(stage):
    """She edits, saves, reads when it takes effect, and it does."""
    async with stage.broadcast() as model:
        page = await open_settings(stage, model)
        await page.fill('[data-name="levels.0.time"]', "4")
        await page.get_by_label("Wave", exact=True).uncheck()
        await page.get_by_role("button", name="Save settings").click()
        await page.get_by_text("Takes effect in 1 s.").wait_for()
        await model.until("seen.filter((e) => e.type === 'settings').length === 2")
        settings = (await model.seen("settings"))[1]["detail"]
        assert ("4", "") == (settings["levels"]["level1"]["time"], settings["special"]["wave"]["token"])
        await page.get_by_text("In effect.").wait_for()


async def test_a_wrong_setting_is_shown_where_it_stands(stage):
    """The field is marked and focused, the words say what it may hold, and nothing is saved."""
    async with stage.broadcast() as model:
        page = await open_settings(stage, model)
        await page.get_by_role("button", name="Add a level").click()
        await page.fill('[data-name="levels.4.vLevel"]', "strong")
        await page.get_by_role("button", name="Save settings").click()
        await page.get_by_text("Vibration must be a whole number from 0 to 20, not 'strong'.").wait_for()
        assert "levels.4.vLevel" == await page.evaluate("document.activeElement.dataset.name")
        await page.get_by_role("button", name="Remove level 5").click()
        await page.get_by_role("button", name="Save settings").click()
        await page.get_by_text("Saved. Takes effect").wait_for()
        assert 4 == await page.locator("#levels li").count()


async def test_the_buttons_reach_the_live_page(stage):
    """Test tip, pause, clear, toy and switches, each at once."""
    async with stage.broadcast() as model:
        page = await open_settings(stage, model)
        await page.get_by_role("button", name="Pause queue").click()
        await page.get_by_role("button", name="Resume queue").wait_for()
        await page.get_by_role("button", name="Send test tip").click()
        await page.get_by_text("One live page heard it.").wait_for()
        await model.until("seen.at(-1).detail.waiting?.[0]?.tipperName === 'Test tip'")
        await page.get_by_role("button", name="Clear queue").click()
        await model.until("seen.at(-1).detail.waiting?.length === 0")
        await page.get_by_label("Lush").uncheck()
        await model.until("seen.at(-1).status === 'off'")
        await page.get_by_text("Sandbox switches").click()
        await page.get_by_label("getToys returns").select_option("json")
        await model.until("typeof lovense.getToys() === 'string'")
        assert [] == model.errors


@pytest.mark.parametrize("width", [320, 390, 1000])
async def test_the_settings_page_fits_its_window(stage, width):
    """No sideways scrolling, on a phone neither."""
    async with stage.broadcast() as model:
        page = await open_settings(stage, model)
        await page.set_viewport_size({"width": width, "height": 800})
        assert width == await page.evaluate("document.documentElement.scrollWidth")


async def open_settings(stage, model):
    """The settings page, in a tab of its own."""
    page = await model.page.context.new_page()
    page.on("pageerror", lambda error: model.errors.append(str(error)))
    await page.goto(f"http://127.0.0.1:{stage.port}/api/cam/model/v2/setting?mToken={model.token}")
    await page.get_by_role("button", name="Remove level 1").wait_for()
    return page


async def test_a_person_authorizes_and_takes_it_back(stage):
    """A code to copy, good for three minutes; the person is listed; her name stays a text."""
    context = await stage.browser.new_context()
    page = await context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    await page.goto(f"http://127.0.0.1:{stage.port}/sandbox/accounts")
    await page.get_by_role("textbox", name="Name").fill("Jo <b>")
    await page.get_by_role("button", name="Get a code").click()
    await page.get_by_text("For Jo <b>. Good once, for 180 s.").wait_for()
    code = await page.locator("#code").text_content()
    stage.app.state.sandbox.accounts.exchange(code, signature(code, APP_SECRET))
    await page.get_by_text("Linked · 0 refreshes").wait_for()
    await page.get_by_role("button", name="Cancel authorization").click()
    await page.get_by_text("Authorization cancelled").wait_for()
    await page.locator("summary").click()
    await page.get_by_label("Code exchange").select_option("timeout_after")
    await page.get_by_text("Switched.").wait_for()
    assert "timeout_after" == stage.app.state.sandbox.weather.now.exchange
    assert [] == errors
    await context.close()


@pytest.mark.parametrize("width", [360, 1280])
async def test_the_accounts_page_fits_its_window(stage, width):
    """Nothing has to be scrolled sideways, with an account listed and the switches open."""
    stage.app.state.sandbox.accounts.authorize("x" * 200, "authUser")
    context = await stage.browser.new_context(viewport={"width": width, "height": 800})
    page = await context.new_page()
    await page.goto(f"http://127.0.0.1:{stage.port}/sandbox/accounts")
    await page.get_by_role("button", name="Get a code").click()
    await page.get_by_text("Good once").wait_for()
    await page.locator("summary").click()
    assert width >= await page.evaluate("document.documentElement.scrollWidth")
    await context.close()
