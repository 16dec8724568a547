"""Captures over HTTP: one model's broadcast, raw, for whoever may see it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from kit import (
    ENCRYPTION_KEY,
    FEED_KEY,
    SETTINGS_EVENT,
    TOY_EVENT,
    Platform,
    eventually,
    message_event,
    queue_event,
    running,
    serving_coco,
    with_settings,
)
from structlog.testing import capture_logs

from relay import captures
from relay.captures import CAPTURES_MAX
from relay.secret import Secret
from relay.vendors.lovense import Lovense
from relay.web.server import dismiss

PATH = "/models/coco/capture"
Lines = AsyncIterator[dict[str, Any]]


@asynccontextmanager
async def capturing(platform: Platform, **query: Any) -> AsyncIterator[Lines]:
    """The lines of a capture that has begun, behind its header."""
    async with platform.http.stream("GET", PATH, params=query, timeout=5) as answer:
        assert (200, "application/x-ndjson") == (answer.status_code, answer.headers["content-type"].split(";")[0])
        lines = (json.loads(line) async for line in answer.aiter_lines())
        header = await anext(lines)
        assert ("capture", "coco", "Coco", 1) == tuple(header[one] for one in ("type", "model", "name", "format"))
        yield lines


async def until(lines: Lines, kind: str, **fields: Any) -> list[dict[str, Any]]:
    """The lines up to the next of this type."""
    seen = []
    async for line in lines:
        seen.append(line)
        if kind == line["type"] and fields.items() <= line.items():
            return seen
    raise AssertionError(f"no {kind}, but {seen}")


async def test_a_broadcast_is_written_down(relay, clock):
    """The page, the vendor's words, tips and what became of them, each with its time; names are pseudonyms."""
    async with capturing(relay.platform) as lines:
        async with relay.page() as page:
            await page.hear(TOY_EVENT)
            clock.tick(2.5)
            await relay.platform.accepted("john-1", tipper="john")
            await page.play()
            await page.hear(queue_event([running("john", 20)]))
            await page.hear(message_event("reacting to john's tip"))
            await page.say(type="vendor", ready=False, why="stopped")
        seen = await until(lines, "page", did="left")
    assert ["page", "event", "tip", "ack", "event", "event", "vendor", "page"] == [one["type"] for one in seen]
    assert {
        "type": "page",
        "t": 0.0,
        "did": "arrived",
        "journal": "journal-001",
        "resumed": False,
        "ready": True,
    } == seen[0]
    assert {"type": "tip", "t": 2.5, "id": "tip-001", "tipper": "viewer-001", "amount": 20} == {
        key: value for key, value in seen[2].items() if key not in ("anonymous", "private")
    }
    assert ("tip-001", "played") == (seen[3]["id"], seen[3]["outcome"])
    assert "viewer-001" == seen[4]["event"]["detail"]["running"][0]["tipperName"]
    assert "reacting to viewer-001's tip" == seen[5]["event"]["detail"]
    assert "john" not in json.dumps(seen)


async def test_names_are_kept_where_they_are_asked_for(relay, page):
    """But not the real name of an anonymous tipper, which the vendor never sees."""
    async with capturing(relay.platform, names="true") as lines:
        await until(lines, "page")
        await relay.platform.accepted("john-1", tipper="john")
        await relay.platform.accepted("mary-1", tipper="mary", anonymous=True)
        first, second = await until(lines, "tip"), await until(lines, "tip")
    assert ["john-1", "john"] == [first[-1]["id"], first[-1]["tipper"]]
    assert ["mary-1", "Anonymous", True] == [second[-1][one] for one in ("id", "tipper", "anonymous")]


async def test_names_from_before_the_capture_are_known(relay, page):
    """A tip that is open when it begins."""
    await relay.platform.accepted("t1", tipper="Zoe the 1st")
    await page.play()
    await relay.platform.until("t1", "played")
    async with capturing(relay.platform) as lines:
        await page.hear(message_event("Zoe the 1st has control"))
        seen = await until(lines, "event")
    assert "viewer-001 has control" == seen[-1]["event"]["detail"]


async def test_the_models_token_is_in_no_capture():
    """Not with names either, wherever the page puts it."""

    class Known(Lovense):
        async def register(self, model: str, name: str) -> str:
            return Secret("mToken-of+/coco=")

    settings = with_settings(encryption_keys=(Secret(ENCRYPTION_KEY),))
    async with serving_coco(settings, vendor=Known(settings)) as relay, relay.page() as page:
        assert "mToken-of" in page.welcome["vendor"]["script"]
        async with capturing(relay.platform, names="true") as lines:
            await page.hear({"type": "message", "detail": "loaded mToken-of+/coco= for john"})
            await page.hear({"type": "new", "from": [page.welcome["vendor"]["script"]]})
            seen = await until(lines, "event") + await until(lines, "event")
    assert ["loaded <secret> for john", ["<link>"]] == [seen[1]["event"]["detail"], seen[2]["event"]["from"]]


async def test_it_takes_the_right_models(relay):
    """And is in the log, with the key's name."""
    async with Platform(relay.url, FEED_KEY) as chat:
        refused = await chat.http.get(PATH)
    assert (403, "forbidden") == (refused.status_code, refused.json()["type"])
    with capture_logs() as logs:
        async with capturing(relay.platform):
            pass
        await eventually(lambda: not len(relay.wiring.hub.captures), "the end of the capture")
    assert [("capture began", "platform", False)] == [
        (one["event"], one["key"], one["names"]) for one in logs if "capture began" == one["event"]
    ]


@pytest.mark.parametrize(
    ("path", "status", "kind", "words"),
    [
        ("/models/nobody/capture", 404, "unknown_model", "PUT /models/nobody"),
        (f"{PATH}?names=maybe", 400, "invalid", "'names' must be true or false, not 'maybe'"),
        (f"{PATH}?seconds=0", 400, "invalid", "'seconds' must be a whole number from 1 to 86400"),
    ],
)
async def test_refusals(door, path, status, kind, words):
    """They say what to do."""
    answer = await door.http.get(path)
    assert (status, kind) == (answer.status_code, answer.json()["type"])
    assert words in answer.json()["detail"]


async def test_only_a_few_at_once(relay):
    """The next is told to wait; an ended one makes room."""
    async with AsyncExitStack() as stack:
        for _ in range(CAPTURES_MAX):
            await stack.enter_async_context(capturing(relay.platform))
        answer = await relay.platform.http.get(PATH)
        assert (429, "too_many_captures", "10") == (
            answer.status_code,
            answer.json()["type"],
            answer.headers["retry-after"],
        )
    await eventually(lambda: not relay.wiring.hub.captures.open, "the end of the captures")
    async with capturing(relay.platform):
        pass


async def test_a_slow_reader_is_told_what_was_left_out(relay, page, monkeypatch):
    """Its lines wait up to a limit; nobody waits for it."""
    monkeypatch.setattr(captures, "CAPTURE_BYTES_MAX", 2000)
    room = await relay.wiring.hub.room("coco")
    capture = relay.wiring.hub.captures.begin(room, kit="camkit")
    for n in range(50):
        await page.hear({"type": "new", "n": n})
    await (await page.socket.ping())
    lines = capture.lines()
    seen = [json.loads(line) for line in (await anext(lines)).splitlines()]
    events = [line for line in seen if "event" == line["type"]]
    assert {"type": "gap", "t": 0.0, "left_out": 50 - len(events)} == json.loads(await anext(lines))
    assert 1 < len(events) < 50
    await page.hear(SETTINGS_EVENT)
    assert "settings" == json.loads(await anext(lines))["event"]["type"]
    capture.end("enough")
    assert ["end"] == [json.loads(line)["type"] for line in (await anext(lines)).splitlines()]
    assert [] == [line async for line in lines]
    relay.wiring.hub.captures.close(capture)


async def test_silence_has_a_line(relay, monkeypatch):
    """The connection lives."""
    monkeypatch.setattr(captures, "IDLE_SECONDS", 0.01)
    async with capturing(relay.platform) as lines:
        assert "idle" == (await anext(lines))["type"]


async def test_it_ends_when_its_time_is_over(relay):
    """With a line that says so."""
    async with capturing(relay.platform, seconds=1) as lines:
        assert "1 seconds are over" == (await until(lines, "end"))[-1]["why"]
        assert [] == [line async for line in lines]


async def test_it_ends_with_the_relay(relay):
    """With a complete last line."""
    async with capturing(relay.platform) as lines:
        await dismiss(relay.wiring)
        assert "the relay is draining: come back" == (await until(lines, "end"))[-1]["why"]


async def test_an_event_that_cannot_be_recorded_harms_nobody(relay, page, monkeypatch):
    """A line says so, and the page's conversation goes on."""
    async with capturing(relay.platform) as lines:
        monkeypatch.setattr(captures.Pseudonyms, "event", _too_deep)
        await page.hear(TOY_EVENT)
        seen = await until(lines, "event")
        assert {"type": "capture", "error": "not recorded: RecursionError"} == seen[-1]["event"]
    await relay.platform.accepted("t1")
    await page.play()


def _too_deep(*_: Any) -> None:
    raise RecursionError


async def test_nobody_captures_and_nothing_is_written(relay, page, monkeypatch):
    """The taps look once, and make nothing."""
    monkeypatch.setattr(captures.Captures, "heard", _never)
    monkeypatch.setattr(captures.Captures, "handed", _never)
    await relay.platform.accepted("t1")
    await page.play()
    await page.hear(TOY_EVENT)
    await relay.platform.until_state(lambda state: state["toys"])
    await asyncio.sleep(0)


def _never(*_: Any) -> None:
    raise AssertionError("nobody captures")
