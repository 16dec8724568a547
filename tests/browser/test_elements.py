"""`<relay-chat>` and `<relay-menu>` in a real Chromium: what they show, to whom, and how little they ask of a page."""

from __future__ import annotations

import json

import pytest
from feed_kit import entry, open_viewer, paper_feed
from kit import live_page, serving_coco
from playwright.async_api import async_playwright, expect
from shim_kit import CHROMIUM

pytestmark = pytest.mark.browser
SCRIPT = '<script type="module" src="/elements.js"></script>'
CHAT = f'<relay-chat src="/feed/coco" ticket="t1"></relay-chat>{SCRIPT}'
MENU = f'<relay-menu src="/feed/coco" ticket="t1"></relay-menu>{SCRIPT}'
# What is fetched, and is answered when the test says so: with nothing but promises, so that it has arrived at once.
PAPER_FETCH = """<script>window.asked = [];
  window.fetch = ({ pathname: path }) => new Promise((done) => {
    asked.push({ path, answer: (menu) => done({ ok: true, json: async () => menu }) });
  });</script>"""
BOTH = "document.querySelectorAll('relay-chat, relay-menu')"
SETTINGS = {
    "levels": [
        {"level": 1, "min": 1, "max": 9, "seconds": 2, "vibrate": 5, "rotate": 0},
        {"level": 2, "min": 10, "max": None, "seconds": 6, "vibrate": 10, "rotate": 0},
    ],
    "specials": {
        "earthquake": {"tokens": 120, "seconds": 22},
        "giveControl": {"tokens": 1000, "tokens_max": 2000, "seconds": None},
        "pulse": {"tokens": 60, "seconds": 5, "enabled": False},
    },
}


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def browser(anyio_backend):
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**CHROMIUM)
        yield browser
        await browser.close()


def tip(n, status="accepted", **fields):
    usual = {"type": "tip", "tip": f"t{n}", "status": status, "tipper": "john", "amount": 20, "at": f"{n} {status}"}
    return entry(n, **usual | {"level": 2, "special": None, "seconds": 6} | fields)


@pytest.fixture
async def chat(browser):
    async with open_viewer(browser, CHAT) as viewer:
        viewer.chat = viewer.page.locator("relay-chat")
        viewer.log = viewer.page.get_by_role("log")
        viewer.newest = viewer.page.get_by_role("button", name="Newest")
        viewer.lines = viewer.page.locator("relay-chat p.line")
        yield viewer


# -- The chat -------------------------------------------------------------


async def test_the_room_is_told_in_lines(chat):
    """The vendor's words, the relay's, a tip with what became of it, and that something is missing."""
    line = await chat.line()
    assert {"ticket": "t1", "last": "50"} == line.query
    await line.say(
        {"id": "e-0", "type": "gap", "at": "x", "after": "y", "why": "z"},
        entry(1, text="The toy is reacting", source="vendor"),
        entry(2, text="Coco has paused tips.", source="relay"),
        tip(3),
        tip(4, tip="t3", status="done"),
        entry(5, type="queue", running=[]),
        {"type": "heartbeat", "at": "x"},
    )
    texts = ["Some messages are missing here.", "The toy is reacting", "Coco has paused tips."]
    await expect(chat.lines).to_have_text([*texts, "john tipped 20 tokens level 2 · 6 sdone"])
    kinds = await chat.lines.evaluate_all("(lines) => lines.map((line) => line.part.value)")
    assert ["line gap", "line vendor", "line relay", "line tip"] == kinds


async def test_the_relays_words_about_a_tip_stand_in_its_line(chat):
    """Told once, in the platform's own words, whichever comes first; a fold takes the place of all it folds."""
    line = await chat.line()
    await line.say(tip(1), entry(2, text="john gibt 20", source="relay", tip="t1"))
    await expect(chat.lines).to_have_text(["john gibt 20accepted"])
    await line.say(entry(3, text="nora gibt 5", source="relay", tip="t4"), tip(4, tipper="nora", amount=5))
    await expect(chat.lines).to_have_text(["john gibt 20accepted", "nora gibt 5accepted"])
    await line.say(tip(5), tip(6), entry(7, text="2 tips from john", source="relay", tips=["t5", "t6"]))
    await line.say(tip(8, tip="t6", status="running"), entry(9, text="reacting", source="vendor", tip="t6"))
    expected = ["john gibt 20accepted", "nora gibt 5accepted", "2 tips from johnrunning", "reacting"]
    await expect(chat.lines).to_have_text(expected)


async def test_there_are_only_so_many_lines(chat):
    """The newest 200, or as many as the page says; a flood in one breath too, and one that nobody looks at."""
    line = await chat.line()
    await line.say(*(tip(n) for n in range(450)))
    await expect(chat.lines.last).to_contain_text("tipped")
    await chat.until("document.querySelector('relay-chat').shadowRoot.querySelectorAll('p').length === 200")
    await chat.chat.evaluate("(chat) => chat.setAttribute('lines', '3')")
    await chat.do("window.requestAnimationFrame = (fn) => { window.frame = fn }")  # a tab in the background
    await line.say(*(entry(n) for n in range(1000, 1400)))
    await chat.until("document.querySelector('relay-chat').feed.cursor === 'e-1399'")
    await chat.do("frame()")
    await expect(chat.lines).to_have_text(["n1397", "n1398", "n1399"])


@pytest.mark.parametrize(("given", "lines"), [("0", 1), ("-1", 200), ("many", 200), ("99999", 1000), ("7", 7)])
async def test_a_bound_stays_one_whatever_the_page_says(browser, given, lines):
    """Between 1 and 1000."""
    async with open_viewer(browser, CHAT.replace("ticket=", f'lines="{given}" ticket=')) as viewer:
        await viewer.line()
        assert lines == await viewer.do("document.querySelector('relay-chat').lines")


async def test_a_reader_who_looks_back_is_left_in_peace(chat):
    """The end is followed while one is there; else a button leads to it, and gives the log the focus back."""
    line = await chat.line()
    await line.say(*(entry(n, text=f"line {n}") for n in range(60)))
    place = "(log) => Math.round(log.scrollHeight - log.scrollTop - log.clientHeight)"
    await expect(chat.lines).to_have_count(60)
    assert 0 == await chat.log.evaluate(place)
    await expect(chat.newest).to_be_hidden()
    await chat.log.focus()
    await chat.page.keyboard.press("Home")
    await chat.until("document.querySelector('relay-chat').shadowRoot.querySelector('.log').scrollTop === 0")
    await line.say(entry(60, text="line 60"))
    await expect(chat.newest).to_be_visible()
    assert 0 == await chat.log.evaluate("(log) => log.scrollTop")
    await chat.page.keyboard.press("Tab")
    await expect(chat.newest).to_be_focused()
    await chat.page.keyboard.press("Enter")
    await expect(chat.newest).to_be_hidden()
    await expect(chat.log).to_be_focused()
    assert 0 == await chat.log.evaluate(place)


async def test_a_screen_reader_hears_the_room(chat):
    """A live log that can be reached and named; history is not read out, nor is what becomes of a tip."""
    line = await chat.line()
    assert "true" == await chat.log.get_attribute("aria-busy")
    await line.say(tip(1, tipper="‏יוחנן"))
    await expect(chat.log).to_have_attribute("aria-busy", "false")
    attributes = {"aria-live": "polite", "tabindex": "0", "aria-label": "Chat"}
    assert attributes == {name: await chat.log.get_attribute(name) for name in attributes}
    assert ["auto", "off"] == [
        await one.get_attribute(name)
        for one, name in [
            (chat.lines, "dir"),
            (chat.lines.locator("small"), "aria-live"),
        ]
    ]
    await chat.chat.evaluate("(chat) => chat.setAttribute('label', 'Room of Coco')")
    await expect(chat.page.get_by_role("log", name="Room of Coco")).to_be_visible()


@pytest.mark.parametrize(
    ("text", "direction"),
    [("hello", "ltr"), ("שלום לכולם", "rtl"), ("مرحبا hello", "rtl"), ("123 hello שלום", "ltr")],
)
async def test_every_line_reads_in_its_own_direction(chat, text, direction):
    """And a name in the other one does not turn the words around it."""
    await (await chat.line()).say(entry(1, text=text), tip(2, tipper="יוחנן"))
    await expect(chat.lines).to_have_count(2)
    direct = "(lines) => lines.map((line) => getComputedStyle(line).direction)"
    assert [direction, "ltr"] == await chat.lines.evaluate_all(direct)
    isolated = "(name) => getComputedStyle(name).unicodeBidi"
    assert "isolate" == await chat.page.locator("relay-chat .tipper").evaluate(isolated)


async def test_a_page_is_told_when_the_feed_is_away(chat):
    """After a moment, and no longer than it lasts."""
    status = chat.page.get_by_role("status")
    await chat.do("luck = 1")  # no line before a second has gone
    await chat.do("instead[1500] = 0")
    await (await chat.line()).close(4203)
    await expect(status).to_have_text("Reconnecting …")
    line = await chat.line()
    await expect(status).to_have_text("")
    await line.close(4004)
    await expect(status).to_have_text("The chat cannot be shown.")


async def test_a_fresh_ticket_is_fetched_or_asked_for(chat):
    """From `ticket-url`; without one the page hears `relay-ticket` and sets the attribute."""
    await chat.do(
        "document.querySelector('relay-chat').addEventListener('relay-ticket', ({ detail }) => { window.why = detail })"
    )
    line = await chat.line()
    await line.say(entry(1))
    await expect(chat.lines).to_have_count(1)
    await line.close(4101)
    await chat.until("window.why?.code === 4101")
    await chat.chat.evaluate("(chat) => chat.setAttribute('ticket', 't2')")
    line = await chat.line()
    assert {"ticket": "t2", "after": "e-1"} == line.query
    await chat.page.route("**/my-ticket", lambda route: route.fulfill(body=json.dumps({"ticket": "t3"})))
    await chat.chat.evaluate("(chat) => chat.setAttribute('ticket-url', '/my-ticket')")
    line = await chat.line()
    await line.close(4102)
    assert "t3" == (await chat.line()).query["ticket"]


async def test_an_element_that_leaves_hangs_up(chat):
    """And one that is only moved does not."""
    line = await chat.line()
    await chat.do(
        """chat = document.querySelector('relay-chat');
        document.body.appendChild(document.createElement('div')).append(chat); 0"""
    )
    await chat.quiet()
    assert not line.ws.close_code
    await chat.do("chat.remove()")
    await line.ws.wait_closed()
    await chat.quiet()


@pytest.mark.parametrize(
    "again",
    [
        "chat.remove(); setTimeout(() => document.body.append(chat))",
        "chat.setAttribute('transport', 'websocket')",
        "chat.setAttribute('ticket-url', '/my-ticket')",
    ],
)
async def test_a_chat_that_begins_again_tells_its_history_once(chat, again):
    """Put back after a while, or with another attribute: the lines make way for the history."""
    line = await chat.line()
    past = [entry(1), tip(2), entry(3)]
    await line.say(*past)
    await expect(chat.lines).to_have_count(3)
    await chat.do(f"{{ const chat = document.querySelector('relay-chat'); {again}; }}")
    line = await chat.line()
    assert {"ticket": "t1", "last": "50"} == line.query
    await line.say(*past, entry(4))
    await expect(chat.lines).to_have_text(["n1", "john tipped 20 tokens level 2 · 6 saccepted", "n3", "n4"])


async def test_other_words_can_be_given(chat):
    """Those that are left out stay."""
    await chat.chat.evaluate(
        "(chat) => { chat.words = { tip: 'Von {tipper}: {amount}', tokens: '{n} Token', locale: 'de' } }"
    )
    await (await chat.line()).say(tip(1, amount=12_000))
    await expect(chat.lines.locator(".said")).to_have_text("Von john: 12.000 Token level 2 · 6 s")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_colours_follow_the_page_and_its_variables(browser, scheme):
    """`color-scheme` decides between light and dark; a variable decides over both."""
    html = f"<style>:root {{ color-scheme: light dark }} .own {{ --relay-background: rgb(1, 2, 3) }}</style>{CHAT}"
    async with open_viewer(browser, html, color_scheme=scheme) as viewer:
        await viewer.line()
        background = "getComputedStyle(document.querySelector('relay-chat')).backgroundColor"
        assert {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 28, 26)"}[scheme] == await viewer.do(background)
        await viewer.do("document.querySelector('relay-chat').className = 'own'")
        assert "rgb(1, 2, 3)" == await viewer.do(background)


@pytest.mark.parametrize(("motion", "animations"), [("reduce", 0), ("no-preference", 1)])
async def test_nothing_moves_for_who_does_not_want_it(browser, motion, animations):
    """prefers-reduced-motion."""
    async with open_viewer(browser, CHAT, reduced_motion=motion) as viewer:
        line = await viewer.line()
        await expect(viewer.page.get_by_role("log")).to_have_attribute("aria-busy", "false")
        await line.say(entry(1))
        await expect(viewer.page.locator("relay-chat p.fresh")).to_have_count(1)
        name = "getComputedStyle(document.querySelector('relay-chat').shadowRoot.querySelector('p')).animationName"
        assert animations == int("arrive" == await viewer.do(name))


# -- The menu -------------------------------------------------------------


async def rows(viewer):
    row = "(rows) => rows.map((row) => [...row.children].map((cell) => cell.textContent))"
    return await viewer.page.get_by_role("listitem").evaluate_all(row)


async def test_the_menu_says_what_tips_do(browser):
    """From the relay's own menu, in its words; it follows the feed."""
    shown = [
        {"amount": 120, "special": "earthquake", "seconds": 22, "text": "Erdbeben, 22 Sekunden"},
        {"min": 1, "max": 9, "level": 1, "seconds": 2, "text": "1–9: sanft"},
        {"min": 10, "max": None, "level": 2, "seconds": 6},
        {"min": "7", "text": "no number"},
        None,
    ]
    async with open_viewer(browser, MENU) as viewer:
        line = await viewer.line()
        await expect(viewer.page.locator("relay-menu .note")).to_have_text("What tips do is not known yet.")
        await line.say(entry(1, type="menu", fresh=True, rows=shown), entry(2, type="settings", **SETTINGS))
        await expect(viewer.page.get_by_role("list", name="Tip menu")).to_be_visible()
        await expect(viewer.page.get_by_role("listitem")).to_have_count(3)
        expected = [["1–9: sanft"], ["10+ tokens", "level 2 · 6 s"], ["120 tokens", "Erdbeben, 22 Sekunden"]]
        assert expected == await rows(viewer)
        await line.say(entry(3, type="menu", fresh=False, rows=shown[:1]))
        await expect(viewer.page.locator("relay-menu .note")).to_have_text("As last known.")
        assert expected[2:] == await rows(viewer)


async def test_the_menu_is_asked_for_once_the_line_is_there(browser):
    """`GET /models/{model}/menu`, with the feed's ticket."""
    async with open_viewer(browser) as viewer:
        menu = {"model": "coco", "fresh": True, "rows": [{"amount": 5, "text": "<b>wave</b>"}]}
        await viewer.page.route("**/models/coco/menu?ticket=t1", lambda route: route.fulfill(json=menu))
        viewer.feed.html = MENU
        await viewer.page.reload()
        await expect(viewer.page.get_by_role("listitem")).to_have_text("5 tokens<b>wave</b>")


async def test_an_answer_that_the_feed_has_overtaken_is_asked_for_again(browser):
    """What the feed told meanwhile stays, until an answer comes that is newer."""
    async with open_viewer(browser, PAPER_FETCH + MENU) as viewer:
        line, listed = await viewer.line(), viewer.page.get_by_role("listitem")
        await viewer.until("asked.length === 1")
        await line.say(entry(1, type="menu", rows=[{"amount": 5, "text": "new"}]))
        await expect(listed).to_have_text("5 tokensnew")
        await viewer.do("asked[0].answer({ fresh: true, rows: [{ amount: 5, text: 'old' }] })")
        await expect(listed).to_have_text("5 tokensnew")
        await viewer.until("asked.length === 2")
        await viewer.do("asked[1].answer({ fresh: false, rows: [{ amount: 5, text: 'newest' }] })")
        await expect(listed).to_have_text("5 tokensnewest")
        await expect(viewer.page.locator("relay-menu .note")).to_have_text("As last known.")


async def test_an_answer_about_another_model_comes_too_late(browser):
    """Also where it comes after that of the model that is shown now."""
    async with open_viewer(browser, PAPER_FETCH + MENU) as viewer:
        listed = viewer.page.get_by_role("listitem")
        await viewer.until("asked.length === 1")
        await viewer.do("document.querySelector('relay-menu').setAttribute('src', '/feed/dana')")
        await viewer.until("asked.length === 2")
        assert ["/models/coco/menu", "/models/dana/menu"] == await viewer.do("asked.map(({ path }) => path)")
        await viewer.do("asked[1].answer({ rows: [{ amount: 5, text: 'of dana' }] })")
        await expect(listed).to_have_text("5 tokensof dana")
        await viewer.do("asked[0].answer({ rows: [{ amount: 5, text: 'of coco' }] })")
        await expect(listed).to_have_text("5 tokensof dana")


async def test_a_menu_is_as_last_known_until_her_page_confirms_it(browser):
    """Settings that are as they were come with no entry: it asks again once her page is ready, if it has to."""
    async with open_viewer(browser, PAPER_FETCH + MENU) as viewer:
        line, note = await viewer.line(), viewer.page.locator("relay-menu .note")
        await viewer.do("luck = 0; instead[5000] = 0")
        await viewer.until("asked.length === 1")
        await viewer.do("asked[0].answer({ fresh: false, rows: [{ amount: 5, text: 'wave' }] })")
        await expect(note).to_have_text("As last known.")
        await line.say(entry(1, type="model", ready=False), entry(2, type="model", ready=True))
        await viewer.until("asked.length === 2")
        await viewer.do("asked[1].answer({ fresh: true, rows: [{ amount: 5, text: 'wave' }] })")
        await expect(note).to_have_text("")
        await line.say(entry(3, type="model", ready=True))
        await viewer.until("waits.filter((ms) => ms === 5000).length === 2")
        await viewer.quiet()
        assert 2 == await viewer.do("asked.length")


async def test_settings_are_a_menu_too(browser):
    """As `GET /models/{model}` and the feed show them: ranges, open ends, specials; disabled ones are left out."""
    async with open_viewer(browser, MENU) as viewer:
        await (await viewer.line()).say(entry(1, type="settings", **SETTINGS))
        await expect(viewer.page.get_by_role("listitem")).to_have_count(4)
        assert [
            ["1–9 tokens", "level 1 · 2 s"],
            ["10+ tokens", "level 2 · 6 s"],
            ["120 tokens", "earthquake · 22 s"],
            ["1,000–2,000 tokens", "control"],
        ] == await rows(viewer)


# -- Both on a page -------------------------------------------------------------


async def test_elements_of_a_page_share_one_line(browser):
    """Also where they come apart: the line goes with the last one."""
    async with open_viewer(browser, MENU + CHAT) as viewer:
        line = await viewer.line()
        assert {"ticket": "t1", "last": "50"} == line.query
        await line.say(entry(1, type="settings", **SETTINGS), entry(2))
        await expect(viewer.page.locator("relay-chat p")).to_have_count(1)
        await expect(viewer.page.get_by_role("listitem")).to_have_count(4)
        await viewer.do("document.querySelector('relay-chat').remove()")
        await viewer.quiet()
        await line.say(entry(3, type="settings", levels=[], specials={}))
        await expect(viewer.page.get_by_role("listitem")).to_have_count(0)
        await viewer.do("document.querySelector('relay-menu').remove()")
        await line.ws.wait_closed()


async def test_another_models_feed_begins_with_nothing(browser):
    """`src` is another's now: no menu and no line of the one before, also none that waited to be drawn."""
    async with open_viewer(browser, MENU + CHAT) as viewer:
        lines, listed = viewer.page.locator("relay-chat p"), viewer.page.get_by_role("listitem")
        line = await viewer.line()
        await line.say(entry(1), entry(2, type="settings", **SETTINGS))
        await expect(lines).to_have_text(["n1"])
        await expect(listed).to_have_count(4)
        await viewer.do("window.requestAnimationFrame = (fn) => { window.frame = fn }")  # a tab in the background
        await line.say(tip(3))
        await viewer.until("!!window.frame")
        await viewer.do(f"{BOTH}.forEach((one) => one.setAttribute('src', '/feed/dana'))")
        line = await viewer.line()
        assert line.ws.request.path.startswith("/feed/dana?")
        await expect(lines).to_have_count(0)
        await expect(listed).to_have_count(0)
        await line.say(tip(4, tip="t3", status="done"), entry(5, text="dana's"))
        await viewer.until("document.querySelector('relay-chat').feed.cursor === 'e-5'")
        await viewer.do("frame()")
        await expect(lines).to_have_text(["dana's"])


async def test_a_page_may_give_the_feed(browser):
    """One `RelayFeed` for its own code and the elements; it stays the page's."""
    async with open_viewer(browser, f"<relay-chat></relay-chat>{SCRIPT}") as viewer:
        await viewer.begin("{ticket: 't9'}")
        line = await viewer.line()
        await viewer.do("document.querySelector('relay-chat').feed = feed")
        await line.say(entry(1))
        await expect(viewer.page.locator("relay-chat p")).to_have_text(["n1"])
        await viewer.do("document.querySelector('relay-chat').remove()")
        await line.say(entry(2))
        await viewer.ids(2)


async def test_what_was_given_too_early_counts(browser):
    """A page's own script may be faster than the elements'."""
    early = """<script>document.querySelector("relay-menu").menu = { rows: [{ amount: 5, text: "wave" }] };
      document.querySelector("relay-menu").words = { tokens: "{n} Token" }</script>"""
    async with open_viewer(browser, f"<relay-menu></relay-menu>{early}{SCRIPT}") as viewer:
        await expect(viewer.page.get_by_role("listitem")).to_have_text("5 Tokenwave")


async def test_the_given_lines_work_on_a_strict_page(browser):
    """The relay's lines as they come, on another origin whose policy allows the relay and nothing else."""
    async with serving_coco() as relay, paper_feed() as platform:
        answer = (await relay.platform.http.post("/models/coco/feed-ticket")).json()
        src = answer["url"].partition("?")[0]
        host = relay.url.removeprefix("http://")
        platform.html = f'{answer["elements"]}<relay-chat src="{src}" ticket="{answer["ticket"]}"></relay-chat>'
        platform.policy = f"default-src 'none'; script-src {relay.url}; connect-src {relay.url} ws://{host}"
        page, errors = await browser.new_page(), []
        page.on("console", lambda said: said.type in ("error", "warning") and errors.append(said.text))
        await page.goto(platform.url)
        async with live_page(relay.platform):
            await relay.platform.accepted("t1", "<i>nora</i>", 5)
            await expect(page.locator("relay-chat .tip .tipper")).to_have_text("<i>nora</i>")
        display = "getComputedStyle(document.querySelector('relay-chat')).display"
        assert "flex" == await page.evaluate(display)
        await page.close()
        assert [] == [error for error in errors if "favicon" not in error]
