"""The feed's client in a real Chromium: each entry once, from the last cursor on, however the line breaks."""

from __future__ import annotations

import json

import pytest
from feed_kit import entry, open_viewer
from playwright.async_api import async_playwright
from shim_kit import CHROMIUM

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def browser(anyio_backend):
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**CHROMIUM)
        yield browser
        await browser.close()


@pytest.fixture
async def viewer(browser):
    async with open_viewer(browser) as viewer:
        yield viewer


async def test_an_entry_is_told_once(viewer):
    """To its own type's listeners and to those of everything; what was told before is not told again."""
    await viewer.begin()
    line = await viewer.line()
    await line.say(entry(1), entry(1), entry(2), entry(1), entry(3, type="new kind"), {"type": "heartbeat", "at": "x"})
    assert ["e-1", "e-2", "e-3", None] == [one.get("id") for one in await viewer.told("*", 4)]
    assert ["e-1", "e-2"] == await viewer.ids(2)


async def test_an_id_that_comes_again_at_another_time_is_another_entry(viewer):
    """A store that was set back to a copy numbers on from there."""
    await viewer.begin()
    await (await viewer.line()).say(entry(1), entry(1, at="2026-01-02T00:00:00Z"))
    assert ["e-1", "e-1"] == await viewer.ids(2)


async def test_it_comes_back_with_the_last_cursor(viewer):
    """History is asked for at first only; afterwards the cursor says it all."""
    await viewer.begin("{ticket: 't1', last: 20}")
    line = await viewer.line()
    assert {"ticket": "t1", "last": "20"} == line.query
    await line.say(entry(1), entry(2))
    await viewer.ids(2)
    await line.close(4203)
    assert {"ticket": "t1", "after": "e-2"} == (await viewer.line()).query


async def test_it_begins_where_it_is_told(viewer):
    """`after` goes before `last`; the address may carry a ticket, and be a WebSocket's."""
    await viewer.begin("{after: 'e-7', last: 20}", url=f"ws://127.0.0.1:{viewer.feed.port}/feed/coco?ticket=t1&last=9")
    assert {"ticket": "t1", "after": "e-7"} == (await viewer.line()).query


async def test_a_gap_is_told_and_moves_the_cursor(viewer):
    """Nobody waits for what is not coming."""
    await viewer.begin("{after: 'old-7'}")
    line = await viewer.line()
    await line.say({"id": "e-5", "type": "gap", "at": "x", "after": "old-7", "why": "another store"})
    assert ["another store"] == [gap["why"] for gap in await viewer.told("gap")]
    await line.close(4301)
    assert "e-5" == (await viewer.line()).query["after"]


@pytest.mark.parametrize("code", [4002, 4004, 4099])
async def test_some_closes_mean_stay_away(viewer, code):
    """Nothing brings it back by itself; `connect` does."""
    await viewer.begin()
    await (await viewer.line()).close(code)
    assert [{"code": code, "detail": "so it is"}] == await viewer.told("error")
    assert "refused" == await viewer.do("feed.state")
    await viewer.do("dispatchEvent(new Event('online'))")
    await viewer.quiet()
    await viewer.do("feed.connect('t2')")
    assert {"ticket": "t2"} == (await viewer.line()).query


@pytest.mark.parametrize("code", [1000, 1011, 1012, 4200, 4203, 4205, 4299, 4400, 4999])
async def test_other_closes_mean_come_back_later(viewer, code):
    """Within a second times its luck, codes of tomorrow too."""
    await viewer.begin()
    await (await viewer.line()).close(code)
    await viewer.line()
    assert 1 in await viewer.do("waits")
    assert [] == await viewer.told("error", 0)


@pytest.mark.parametrize("code", [4301, 4399])
async def test_draining_means_come_back_now(viewer, code):
    """Spread over half a second; at once a second time, it is as any other break."""
    await viewer.begin()
    await (await viewer.line()).close(code)
    await (await viewer.line()).close(code)
    await viewer.line()
    assert [0.5, 2] == await viewer.waited()


async def test_it_backs_off_twice_as_far_each_time(viewer):
    """With full jitter, up to half a minute, and from the beginning once it has heard something."""
    await viewer.begin()
    for _ in range(7):
        await (await viewer.line()).close(4205)
    line = await viewer.line()
    await line.say(entry(1))
    await viewer.ids(1)
    await line.close(4205)
    await viewer.line()
    assert [1, 2, 4, 8, 16, 30, 30, 1] == await viewer.waited()


@pytest.mark.parametrize("code", [4101, 4102])
async def test_a_refused_ticket_is_replaced(viewer, code):
    """The getter hears why; the next line shows the new one, behind the last cursor."""
    await viewer.do("window.asked = []")
    await viewer.begin("{ticket: (why) => { asked.push(why?.code ?? 0); return `t${asked.length}` }}")
    line = await viewer.line()
    assert {"ticket": "t1"} == line.query
    await line.say(entry(1))
    await viewer.ids(1)
    await line.close(4203)
    line = await viewer.line()
    assert {"ticket": "t1", "after": "e-1"} == line.query
    await line.close(code)
    assert {"ticket": "t2", "after": "e-1"} == (await viewer.line()).query
    assert [0, code] == await viewer.do("asked")


async def test_a_getter_that_fails_is_asked_again(viewer):
    """Later, as a relay that is away; the page is told."""
    await viewer.do("window.asked = 0")
    await viewer.begin("{ticket: async () => { if (asked++ < 2) throw new Error('away'); return 't1' }}")
    assert {"ticket": "t1"} == (await viewer.line()).query
    assert ["Error: away"] * 2 == [one["detail"] for one in await viewer.told("error")]


async def test_without_a_getter_the_page_is_asked_for_a_ticket(viewer):
    """`connect` with a fresh one brings it back."""
    await viewer.begin("{ticket: 't1'}")
    await (await viewer.line()).close(4101)
    assert [{"code": 4101, "detail": "so it is"}] == await viewer.told("ticket")
    await viewer.quiet()
    await viewer.do("feed.connect('t2')")
    assert {"ticket": "t2"} == (await viewer.line()).query


async def test_a_refused_cursor_is_let_go(viewer):
    """The page is told of a gap; the feed begins anew."""
    await viewer.begin("{after: 'nonsense', last: 5}")
    await (await viewer.line()).close(4002)
    assert {"last": "5"} == (await viewer.line()).query
    assert ["nonsense"] == [gap["after"] for gap in await viewer.told("gap")]


async def test_a_line_that_only_looks_alive_is_left(viewer):
    """The relay is never silent for so long."""
    await viewer.do("instead[40000] = 30")
    await viewer.begin()
    silent = await viewer.line()
    await viewer.line()
    await silent.ws.wait_closed()


async def test_a_cursor_outlives_the_page(viewer):
    """In the storage that was given."""
    await viewer.begin("{storage: sessionStorage}")
    await (await viewer.line()).say(entry(1), entry(2))
    await viewer.ids(2)
    await viewer.page.reload()
    await viewer.begin("{storage: sessionStorage, last: 20}")
    assert {"after": "e-2"} == (await viewer.line()).query


async def test_a_storage_that_fails_harms_nobody(viewer):
    """The cursor then lives as long as the page."""
    await viewer.begin("{storage: {getItem() { throw 1 }, setItem() { throw 1 }}}")
    await (await viewer.line()).say(entry(1))
    assert ["e-1"] == await viewer.ids(1)


async def test_it_remembers_a_bounded_number_of_entries(viewer):
    """A thousand; what is older it would take for new."""
    await viewer.begin()
    await (await viewer.line()).say(*(entry(n) for n in range(1100)), entry(1099), entry(100), entry(1), entry(2000))
    ids = await viewer.ids(1102)
    assert ["e-1099", "e-1", "e-2000"] == ids[1099:]


async def test_what_cannot_be_read_is_left_out(viewer):
    """And told as an error; the line lives on."""
    await viewer.begin()
    await (await viewer.line()).say("{", "null", "[]", '{"type": 7}', '{"type": "__proto__", "id": "e-0"}', entry(1))
    assert ["e-1"] == await viewer.ids(1)
    assert 4 == len(await viewer.told("error"))
    assert ["__proto__", "announcement"] == [one["type"] for one in await viewer.told("*", 2)]


async def test_a_listener_that_throws_harms_nobody(viewer):
    """Its error is its page's; the others still hear."""
    await viewer.begin()
    await viewer.do(
        "feed.on('announcement', () => { throw new Error('mine') }).on('announcement', () => { window.also = 1 })"
    )
    await (await viewer.line()).say(entry(1), entry(2))
    assert ["e-1", "e-2"] == await viewer.ids(2)
    await viewer.until("window.also")
    assert 2 == len([one for one in viewer.errors if "mine" in one])


async def test_a_closed_feed_is_silent(viewer):
    """Nothing is told any more, no line is opened; also when a listener closes it."""
    await viewer.begin()
    line = await viewer.line()
    await viewer.do("feed.on('announcement', () => feed.close())")
    await line.say(entry(1), entry(2))
    await line.ws.wait_closed()
    await viewer.quiet()
    assert ["e-1"] == await viewer.ids(1)
    assert "closed" == (await viewer.told("state"))[-1]


# -- Server-Sent Events -------------------------------------------------------------


async def test_where_sockets_do_not_get_through_it_takes_event_streams(viewer):
    """And stays with what works, from the cursor on."""
    viewer.feed.sockets = False
    viewer.feed.stream(entry(1), entry(2))
    viewer.feed.stream(entry(2), entry(3))
    await viewer.begin("{last: 5}")
    assert {"last": "5"} == await viewer.asked()
    assert {"after": "e-2"} == await viewer.asked()
    assert ["e-1", "e-2", "e-3"] == await viewer.ids(3)


async def test_where_sockets_have_worked_it_waits_for_them(viewer):
    """A relay that is away for a moment is no reason to change."""
    await viewer.begin()
    line = await viewer.line()
    await line.say(entry(1))
    await viewer.ids(1)
    viewer.feed.sockets = False
    await line.close(1012)
    await viewer.until("waits.includes(4)")
    viewer.feed.sockets = True
    await viewer.line()
    assert viewer.feed.asked.empty()


async def test_a_stream_says_how_soon_to_come_back(viewer):
    """`retry` is the backoff's beginning."""
    viewer.feed.stream(entry(1), before="retry: 7000\n\n")
    viewer.feed.stream(entry(2), before="retry: nonsense\nretry: 99999999\n\n")
    viewer.feed.stream(entry(3))
    await viewer.begin("{transport: 'sse'}")
    await viewer.ids(3)
    assert [7, 30] == (await viewer.waited())[:2]


@pytest.mark.parametrize(
    ("status", "wish"), [(403, "stop"), (404, "stop"), (429, "later"), (500, "later"), (503, "later")]
)
async def test_a_refused_stream_is_understood(viewer, status, wish):
    """As the close codes are: some mean stay away, with the relay's own words."""
    problem = json.dumps({"type": "unknown_model", "detail": "there is no model 'coco'"})
    viewer.feed.answers.append((status, "application/problem+json", problem))
    viewer.feed.stream(entry(1))
    await viewer.begin("{transport: 'sse'}")
    if wish == "stop":
        assert [{"code": status, "detail": "there is no model 'coco'"}] == await viewer.told("error")
        await viewer.asked()
        await viewer.quiet()
    else:
        assert ["e-1"] == await viewer.ids(1)


async def test_a_stream_with_an_expired_ticket_gets_a_fresh_one(viewer):
    """401, as 4101."""
    viewer.feed.answers.append((401, "application/problem+json", '{"type": "ticket_expired", "detail": "too old"}'))
    viewer.feed.stream(entry(1))
    await viewer.begin("{transport: 'sse', ticket: (why) => why ? why.detail : 't1'}")
    assert ["t1", "too old"] == [(await viewer.asked())["ticket"] for _ in range(2)]
    assert ["e-1"] == await viewer.ids(1)


async def test_a_page_instead_of_a_stream_is_a_broken_line(viewer):
    """A hotel's login page, for example."""
    viewer.feed.answers.append((200, "text/html", f"data: {json.dumps(entry(9))}\n\n"))
    viewer.feed.stream(entry(1))
    await viewer.begin("{transport: 'sse'}")
    assert ["e-1"] == await viewer.ids(1)


async def test_a_stream_is_read_however_it_is_cut(viewer):
    """Every kind of line break, comments, unknown fields, data of many lines; cut at any place."""
    stream = (
        ": a comment\r\n\r\nid: 1\r\nevent: x\r\ndata: one\r\n\r\n"
        "data: two\rdata:  spaced\r\rdata\n\ndata:\u2028three\x00\nunknown: y\n\nretry: 5\n\ndata: never ended\n"
    )
    result = await viewer.page.evaluate(READ_CUT, stream)
    assert [["one", "two\n spaced", "", "\u2028three\x00", 5]] == result


READ_CUT = """async (stream) => {
  const { createParser } = await import("/feed_transports.js");
  const seen = new Set();
  for (let one = 0; one < stream.length; one++) for (let other = one; other < stream.length; other += 3) {
    const told = [];
    const hear = createParser({ heard: (text) => told.push(text), retry: (ms) => told.push(ms) });
    for (const part of [stream.slice(0, one), stream.slice(one, other), stream.slice(other)]) hear(part);
    seen.add(JSON.stringify(told));
  }
  return [...seen].map((told) => JSON.parse(told));
}"""


async def test_an_event_without_an_end_is_given_up(viewer):
    """A megabyte is no entry."""
    too_long = """import("/feed_transports.js").then(({ createParser }) => {
      const hear = createParser({ heard() {}, retry() {} });
      try { for (let n = 0; n < 20; n++) hear("data: " + "x".repeat(65536)); } catch (error) { return error.message }
    })"""
    assert "an event without an end" == await viewer.do(too_long)
