"""Names and messages of people who mean harm, through the real relay into `<relay-chat>`: text, nothing but text."""

from __future__ import annotations

import json
import re
import unicodedata
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from feed_kit import paper_feed
from kit import message_event, read_websocket, serving_coco
from playwright.async_api import async_playwright
from shim_kit import CHROMIUM

from relay.names import clean_name

pytestmark = pytest.mark.browser

CORPUS = [
    row["text"] * row.get("times", 1)
    for row in json.loads((Path(__file__).parents[1] / "hostile_texts.json").read_text())
]
TRANSPORTS = ["websocket", "sse"]
TAGS = {"DIV", "P", "SPAN", "BDI", "SMALL", "BUTTON"}  # what the chat is made of

# What `readable` in static/elements_words.js promises, said once more.
IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff"
    "\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e001f\U000e0080-\U000e0fff"
    "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]"
)
SPACES = re.compile("[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+")


def shown(text: str) -> str:
    whole = re.sub("[\ud800-\udfff]", "\ufffd", text)[:2000]  # the relay's own limit for the vendor's words
    kept, marks = [], 0
    for char in IGNORABLE.sub("", SPACES.sub(" ", whole)):
        marks = marks + 1 if unicodedata.category(char).startswith("M") else 0
        if marks <= 4:
            kept.append(char)
    line = re.sub(" {2,}", " ", "".join(kept)).strip(" ")
    return line if len(line) <= 1000 else line[:1000] + "…"


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def browser(anyio_backend):
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**CHROMIUM)
        yield browser
        await browser.close()


# Everything that arrives, as the browser itself reads it, before any code of ours.
LISTEN = """([url, over]) => {
  window.raw = [];
  if (over === "websocket") {
    const socket = new WebSocket(url.replace("http", "ws"));
    socket.onmessage = ({ data }) => raw.push(["message", JSON.parse(data)]);
    return new Promise((done) => { socket.onopen = () => done() });
  }
  const source = new EventSource(url);
  const types = ["message", "announcement", "tip", "queue", "toy", "settings", "menu", "model", "gap", "forged"];
  for (const type of types) {
    source.addEventListener(type, ({ data, lastEventId }) => raw.push([type, JSON.parse(data), lastEventId]));
  }
  return new Promise((done) => { source.onopen = () => done() });
}"""


class Room:
    """A viewer's page on another origin, and what happened to it that must not."""

    def __init__(self, relay, page, wrongs):
        self.relay, self.page, self.wrongs = relay, page, wrongs

    async def lines(self, kind, count):
        """The text of the chat's lines of a kind, once it has a line that says END."""
        await self.page.locator("relay-chat p", has_text="END").wait_for()
        lines = self.page.locator(f"relay-chat p.{kind} .said")
        return await lines.evaluate_all("(lines) => lines.map((line) => line.textContent)")

    async def raw(self):
        """What the browser read, up to the END: how it was called, the entry, and for event streams its id."""
        await self.page.wait_for_function("raw.some(([, entry]) => entry.text === 'END')")
        raw = await self.page.evaluate("raw.slice(0, raw.findIndex(([, entry]) => entry.text === 'END') + 1)")
        return [one for one in raw if "heartbeat" != one[1]["type"]]


@asynccontextmanager
async def open_room(browser, over):
    async with serving_coco() as relay, paper_feed() as platform:
        ticket = await relay.platform.feed_ticket()
        src = f"{relay.url}/feed/coco"
        platform.html = (
            f'<relay-chat src="{src}" ticket="{ticket}" transport="{over}" lines="1000"></relay-chat>'
            f'<script type="module" src="{relay.url}/elements.js"></script>'
        )
        context = await browser.new_context()
        page, wrongs = await context.new_page(), []
        context.on("dialog", lambda dialog: wrongs.append(dialog.message))
        context.on("weberror", lambda error: wrongs.append(str(error.error)))
        context.on("page", lambda page: wrongs.append(page.url))
        known = (platform.url, relay.url, relay.url.replace("http", "ws"))
        context.on("request", lambda asked: asked.url.startswith(known) or wrongs.append(asked.url))
        page.on("framenavigated", lambda frame: frame.url.startswith(platform.url) or wrongs.append(frame.url))
        await page.goto(platform.url)
        await page.evaluate("customElements.whenDefined('relay-chat')")
        await page.wait_for_function("document.querySelector('relay-chat').feed?.state === 'live'")
        await page.evaluate(LISTEN, [f"{src}?ticket={ticket}", over])
        try:
            yield Room(relay, page, wrongs)
        finally:
            await context.close()


async def say(relay, *texts):
    """The vendor says it in the room, by way of the broadcaster's page."""
    async with relay.page() as page:
        for text in texts:
            await page.say(type="event", event=message_event(text))
        await page.say(type="event", event=message_event("END"))
        await everything(relay)


async def everything(relay):
    """All entries for a viewer, up to the END."""
    async with relay.reader(over=read_websocket, last=10_000) as reader:
        await reader.next("announcement", within=20, text="END")
        return reader.seen


async def harmless(room):
    """No script ran, nothing was opened or fetched, and the chat is made of what it is always made of."""
    inside = "(chat) => [...new Set([...chat.shadowRoot.querySelectorAll('*')].map((one) => one.tagName))]"
    assert TAGS >= set(await room.page.locator("relay-chat").evaluate(inside))
    assert await room.page.evaluate("window.hacked === undefined && window.parent.hacked === undefined")
    assert 1 == await room.page.locator("relay-chat").count()
    assert [] == room.wrongs


def test_the_corpus_is_large_and_of_many_kinds():
    """Nothing stands in it twice."""
    assert 200 <= len(set(CORPUS)) == len(CORPUS)


@pytest.mark.parametrize("over", TRANSPORTS)
async def test_a_hostile_name_is_shown_as_its_cleaned_text(browser, over):
    """Every tip is one entry and one line; a name of which nothing is left is refused."""
    async with open_room(browser, over) as room:
        answers = [(await room.relay.platform.tip(f"t{n}", name)).status_code for n, name in enumerate(CORPUS)]
        names = [clean_name(name) for name in CORPUS]
        assert [202 if name else 400 for name in names] == answers
        await say(room.relay)
        names = [name for name in names if name]
        entries = await room.raw()
        assert names == [entry["tipper"] for _, entry, *_ in entries if "tip" == entry["type"]]
        lines = await room.lines("tip", len(names))
        assert len(names) == len(lines)
        assert [] == [(name, line) for name, line in zip(names, lines, strict=True) if name not in line]
        await harmless(room)


@pytest.mark.parametrize("over", TRANSPORTS)
async def test_a_hostile_message_is_shown_as_its_cleaned_text(browser, over):
    """Every message is one entry, verbatim, and one line; nothing forged is among them."""
    async with open_room(browser, over) as room:
        await say(room.relay, *CORPUS)
        entries = [entry for _, entry, *_ in await room.raw() if "vendor" == entry.get("source")]
        verbatim = [re.sub("[\ud800-\udfff]", "\ufffd", text)[:2000] for text in [*CORPUS, "END"]]
        assert verbatim == [entry["text"] for entry in entries]
        expected = [text for text in map(shown, [*CORPUS, "END"]) if text]
        assert expected == await room.lines("vendor", len(expected))
        await harmless(room)


@pytest.mark.parametrize("over", TRANSPORTS)
async def test_nothing_that_was_not_posted_arrives(browser, over):
    """What the browser itself reads is what the store has: ids, types, number and order."""
    async with open_room(browser, over) as room:
        kept = [
            name for n, name in enumerate(CORPUS) if 202 == (await room.relay.platform.tip(f"t{n}", name)).status_code
        ]
        await say(room.relay, *CORPUS)
        raw = await room.raw()
        stored = await everything(room.relay)
        assert stored[-len(raw) :] == [entry for _, entry, *_ in raw]
        assert {"message"} == {kind for kind, *_ in raw} or [(entry["type"], entry["id"]) for entry in stored] == [
            (kind, id) for kind, _, id in raw
        ]
        assert len(kept) == len([entry for entry in stored if "tip" == entry["type"]])
        assert len(CORPUS) + 1 == len([entry for entry in stored if "vendor" == entry.get("source")])
