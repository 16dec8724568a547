"""The vendor on the page: found, loaded, listened to, stopped; its words carried up unread, whatever they are."""

from __future__ import annotations

import asyncio

import pytest
from shim_kit import open_stage

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def stage(anyio_backend):
    async with open_stage() as stage:
        yield stage


LATER = "window.lovense = makeVendor()"


async def test_the_vendors_words_go_up_unread_and_numbered(stage):
    async with stage.broadcast() as b:
        page = await b.live()
        said = {"type": "settings", "detail": {"levels": {"level1": {"min": "1", "max": None}}}}
        await b.do(
            "say({ type: 'settings', detail: { levels: { level1: { min: '1', max: Infinity, x: undefined } } } })"
        )
        first = await page.event(type="settings")
        assert said == first["event"]
        await b.do("say({ type: 'message', detail: 'hi' })")
        assert (await page.event(type="message"))["n"] > first["n"]
        assert ["hi"] == [event["detail"] for event in await b.heard("message")]


@pytest.mark.parametrize(("event", "arrives"), [("null", None), ("'text'", "text"), ("[1]", [1]), ("undefined", None)])
async def test_any_value_is_an_event(stage, event, arrives):
    async with stage.broadcast() as b:
        page = await b.live()
        await b.do(f"say({event})")
        await b.do("say({ type: 'last' })")
        await page.event(type="last")
        assert arrives in [frame["event"] for frame in page.frames if frame["type"] == "event"]


@pytest.mark.parametrize(
    ("event", "kind", "error"),
    [
        ("(() => { const it = { type: 'toy' }; it.it = it; return it })()", "toy", "circular"),
        ("{ type: 'toy', big: 10n }", "toy", "BigInt"),
        ("{ get type() { throw new Error('shy') } }", None, "shy"),
        ("{ type: 'toy', detail: 'x'.repeat(1e6) }", "toy", "too large"),
        ("{ type: 'toy', detail: '\\u20ac'.repeat(25_000) }", "toy", "too large"),
    ],
)
async def test_what_cannot_be_sent_is_said(stage, event, kind, error):
    async with stage.broadcast() as b:
        page = await b.live()
        await b.do(f"say({event})")
        while "error" not in (told := (await page.next("event"))["event"]):
            pass
        assert kind == told.get("type")
        assert error in told["error"]
        assert "played" == await page.play("t1")


async def test_events_heard_offline_are_sent_after_the_welcome(stage):
    """The last fifty, in order."""
    async with stage.broadcast() as b:
        page = await b.live()
        await page.close(4300)
        again = await b.relay.socket()
        await b.do("for (let i = 0; i < 60; i++) say({ type: 'message', detail: i })")
        await again.welcome()
        await again.event(detail=59)
        details = [
            f["event"]["detail"] for f in again.frames if f["type"] == "event" and f["event"]["type"] == "message"
        ]
        assert list(range(10, 60)) == details


async def test_toys_and_settings_are_asked_for_after_every_welcome(stage):
    async with stage.broadcast() as b:
        page = await b.relay.socket()
        await page.welcome()
        assert "lush" == (await page.event(type="getToys"))["event"]["detail"][0]["type"]
        assert {"levels": {}} == (await page.event(type="getSettings"))["event"]["detail"]
        await page.close(4300)
        await (await b.relay.socket()).welcome()


async def test_a_vendor_that_throws_at_every_question_still_plays(stage):
    world = """window.lovense = { ...makeVendor(), getToys() { throw new Error("x") }, getSettings: undefined,
      addMessageListener() { throw new Error("deaf") } }"""
    async with stage.broadcast(world=world) as b:
        assert "played" == await (await b.live()).play("t1")


async def test_the_capital_letter_is_found_too(stage):
    async with stage.broadcast(world="window.Lovense = makeVendor()") as b:
        assert "played" == await (await b.live()).play("t1")


async def test_another_vendors_object_of_that_name_is_not_taken(stage):
    """The viewer's panel is called Lovense and cannot receive tips."""
    async with stage.broadcast(world="window.lovense = { init() {} }; window.Lovense = makeVendor()") as b:
        assert "played" == await (await b.live()).play("t1")


async def test_a_tip_before_the_vendor_is_not_ready(stage):
    """It is found at the next frame, at the latest."""
    async with stage.broadcast(world="", html='<script src="/model.js?mToken=x" async></script>') as b:
        page = await b.relay.socket()
        assert not page.hello["vendor"]["ready"]
        await page.welcome()
        assert "not_ready" == await page.play("t1", run=1)
        await b.do(f"{LATER}; 0")
        while not (await page.next("vendor"))["ready"]:
            pass
        assert "played" == await page.play("t1", run=2)


async def test_the_vendors_script_is_loaded_where_the_page_has_none(stage):
    async with stage.broadcast(world="", models=(LATER,)) as b:
        page = await (await b.relay.socket()).welcome(token="abc")
        assert "mToken=abc" == await b.relay.asked_for_model_js.get()
        while not (await page.next("vendor"))["ready"]:
            pass
        assert "played" == await page.play("t1")


async def test_a_slow_script_is_said_to_be_loading(stage):
    ready = asyncio.Event()
    async with stage.broadcast(world="", models=(ready,)) as b:
        page = await (await b.relay.socket()).welcome()
        assert {"type": "vendor", "ready": False, "why": "loading"} == await page.next("vendor")
        ready.set()
        assert (await page.next("vendor"))["ready"]
        assert 1 == b.relay.asked_for_model_js.qsize()


async def test_a_missing_script_is_said_and_tried_again(stage):
    async with stage.broadcast(world="hurry = true") as b:
        page = await (await b.relay.socket()).welcome()
        while "failed" not in (await page.next("vendor"))["why"]:
            pass
        await b.relay.asked_for_model_js.get()
        await b.relay.asked_for_model_js.get()
        b.relay.model_js = [LATER]
        while not (await page.next("vendor"))["ready"]:
            pass
        assert "played" == await page.play("t1")


async def test_a_page_that_loads_the_script_itself_is_left_alone(stage):
    async with stage.broadcast(world="", html='<script src="/model.js?mToken=own"></script>', models=(LATER,)) as b:
        page = await b.live()
        assert "played" == await page.play("t1")
        assert "mToken=own" == await b.relay.asked_for_model_js.get()
        assert b.relay.asked_for_model_js.empty()


async def test_a_new_vendor_object_is_listened_to_once(stage):
    async with stage.broadcast() as b:
        page = await b.live()
        await b.do("listeners.length = 0; window.lovense = makeVendor(); 0")
        await page.settled()
        await page.settled()
        assert 1 == await b.do("listeners.length")
        assert "played" == await page.play("t1")


@pytest.mark.parametrize("by", ["relay", "broadcaster"])
async def test_a_stop_stops(stage, by):
    """From that frame on nothing is called, and the vendor's script is ended; a release brings it back."""
    async with stage.broadcast() as b:
        page = await b.live(token="abc")
        if by == "relay":
            await page.send("stop")
            await page.settled()
        else:
            await b.do("relay.stop()")
            await page.next("stop")
        assert 1 == await b.do("destroyed")
        assert {"ready": False, "why": "stopped"}.items() <= next(
            f for f in page.frames[::-1] if f["type"] == "vendor"
        ).items()
        assert "not_ready" == await page.play("t1", run=1)
        assert [] == await b.calls()
        await b.told("stop")
        await page.send("release")
        await page.settled()
        assert ["abc"] == await b.do("inits")
        assert "played" == await page.play("t1", run=2)
        await b.told("release")


async def test_a_stop_that_the_relay_missed_still_stands(stage):
    """It is said again after the next welcome, until the broadcaster resumes."""
    async with stage.broadcast() as b:
        await (await b.live()).close(4300)
        page = await b.relay.socket()
        await b.do("relay.stop()")
        await page.welcome(stopped=False)
        await page.next("stop")
        assert "not_ready" == await page.play("t1", run=1)
        await b.do("relay.resume()")
        await page.next("release")
        await page.send("release")
        assert "played" == await page.play("t1", run=2)


async def test_a_stop_that_the_relay_missed_still_stands_after_a_reload(stage):
    """Until the broadcaster resumes, and then no longer."""
    async with stage.broadcast() as b:
        await (await b.live()).close(4300)
        await b.relay.socket()  # nobody welcomes it
        await b.do("relay.stop()")
        await b.page.reload()
        page = await (await b.relay.socket()).welcome(stopped=False)
        await page.next("stop")
        assert "not_ready" == await page.play("t1", run=1)
        await b.do("relay.resume()")
        await page.next("release")
        await page.send("release")
        await page.settled()
        await b.page.reload()
        assert "played" == await (await b.live()).play("t1")


async def test_a_model_that_was_stopped_stays_stopped_after_a_reload(stage):
    """Even where the vendor's script comes up late, by itself."""
    async with stage.broadcast(world="") as b:
        page = await b.live(stopped=True, held=True)
        await b.do(f"{LATER}; 0")
        await page.settled()
        assert 1 == await b.do("destroyed")
        await page.send("release")
        await page.settled()
        assert ["tok"] == await b.do("inits")


async def test_a_release_while_away_is_seen_at_the_welcome(stage):
    async with stage.broadcast() as b:
        page = await b.live()
        await page.send("stop")
        await page.settled()
        await page.close(4300)
        page = await b.live(stopped=False)
        assert "played" == await page.play("t1")


async def test_a_stop_in_a_waiting_tab_stops_the_one_that_acts(stage):
    async with stage.broadcast() as b:
        first = await b.live()
        second = await b.tab()
        await b.state("waiting", second)
        await second.evaluate("relay.stop()")
        assert 1000 == await first.closed()
        page = await (await b.relay.socket()).welcome()
        await page.next("stop")
