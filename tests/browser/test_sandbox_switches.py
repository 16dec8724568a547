"""The sandbox's switches in a real Chromium: what a page meets in the weather that somebody ordered."""

from __future__ import annotations

import pytest
from sandbox_stage import open_stage

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def stage(anyio_backend):
    """Twenty times faster than life."""
    async with open_stage(speed=20, settings_delay=0) as stage:
        yield stage


@pytest.mark.parametrize(("habit", "heard"), [("append", ["first", "second"]), ("replace", ["second"])])
async def test_a_second_listener_joins_the_first_or_takes_its_place(stage, habit, heard):
    """Nobody knows what the real script does, so both can be had."""
    async with stage.broadcast(switches={"listeners": habit}) as model:
        await model.page.evaluate("""() => {
          window.heard = [];
          for (const name of ["first", "second"]) {
            lovense.addMessageListener(({ type }) => type === "message" && heard.push(name));
          }
          lovense.receiveTip("john", 5);
        }""")
        await model.until("heard.includes('second')")
        assert heard == await model.page.evaluate("heard")


async def test_a_listener_that_throws_harms_no_other(stage):
    """The event reaches everybody else, and the queue goes on."""
    async with stage.broadcast() as model:
        await model.page.evaluate(
            "lovense.addMessageListener(() => { throw new Error('mine') }); lovense.addMessageListener(hear)"
        )
        await model.tip("john", 5)
        await model.until("seen.filter((e) => e.type === 'message').length === 2")
        assert [] == model.errors


async def test_receive_tip_throws(stage):
    """The ledger shows the call, the toy does nothing, and the next call after the switch works."""
    async with stage.broadcast(switches={"receive_tip": "throws"}) as model:
        try_it = "() => { try { lovense.receiveTip('john', 5) } catch (error) { return error.message } }"
        assert "as its switch says" in await model.page.evaluate(try_it)
        await model.do("PUT", "/switches", {"receive_tip": "ok"})
        while await model.page.evaluate(try_it):
            pass
        await model.idle_after(tips=1)
        assert ("threw", "taken") == ((await model.calls())[0]["outcome"], (await model.calls())[-1]["outcome"])


async def test_receive_tip_rejects(stage):
    """It returns a promise that comes to nothing."""
    async with stage.broadcast(switches={"receive_tip": "rejects"}) as model:
        assert "rejects" in await model.page.evaluate("lovense.receiveTip('john', 5).catch((error) => error.message)")
        assert ["rejected"] == [call["outcome"] for call in await model.calls()]


async def test_receive_tip_is_missing_until_it_is_not(stage):
    """The rest of the global stands, as with an older script."""
    async with stage.broadcast(switches={"receive_tip": "missing"}) as model:
        assert ["undefined", "function"] == await model.page.evaluate(
            "[typeof lovense.receiveTip, typeof lovense.getToys]"
        )
        await model.do("PUT", "/switches", {"receive_tip": "ok"})
        await model.until("typeof lovense.receiveTip === 'function'")


async def test_the_script_is_missing(stage):
    """The tag's error event fires and no global appears."""
    async with stage.broadcast(switches={"script_missing": True}, live=False) as model:
        assert [True, "undefined"] == await model.page.evaluate("[missing, typeof lovense]")


async def test_the_script_breaks(stage):
    """The tag's load event fires and no global appears."""
    async with stage.broadcast(switches={"script_broken": True}, live=False) as model:
        assert [True, "undefined"] == await model.page.evaluate("[loaded, typeof lovense]")
        assert ["broke while loading" in error for error in model.errors] == [True]


async def test_an_unknown_token_defines_nothing(stage):
    """A word in the console is all there is."""
    async with stage.broadcast() as model:
        page = await model.page.context.new_page()
        async with page.expect_console_message(lambda message: "404: this mToken is unknown" in message.text):
            await page.goto(f"http://localhost:{stage.port}/?token=nobody&place=")
        assert "undefined" == await page.evaluate("typeof lovense")


async def test_the_script_is_slow_and_the_global_late(stage):
    """The script takes its time, and the global some more after the load event."""
    async with stage.broadcast(switches={"script_delay": 0.2, "ready_delay": 2.0}, live=False) as model:
        assert "undefined" == await model.page.evaluate("typeof lovense")
        await model.until("typeof lovense === 'object'")
        took = await model.page.evaluate(
            "performance.getEntriesByType('resource').find((e) => e.name.includes('model.js')).duration"
        )
        assert took >= 200
        await model.page.evaluate("listen()")
        await model.tip("john", 5)
        await model.idle_after(tips=1)


async def test_the_global_has_the_other_name(stage):
    """Some typings say `Lovense`."""
    async with stage.broadcast(switches={"global": "Lovense"}) as model:
        assert ["undefined", "function"] == await model.page.evaluate("[typeof lovense, typeof Lovense.receiveTip]")


@pytest.mark.parametrize(
    ("shape", "expression"),
    [
        ("array", "lovense.getToys()[0].id"),
        ("map", "lovense.getToys().l58f167da065.id"),
        ("json", "JSON.parse(lovense.getToys())[0].id"),
        ("promise", "lovense.getToys().then((toys) => toys[0].id)"),
        ("null", "lovense.getToys() ?? 'l58f167da065'"),
    ],
)
async def test_get_toys_has_every_shape(stage, shape, expression):
    """One vendor, five ways to answer."""
    async with stage.broadcast(switches={"get_toys": shape}) as model:
        assert "l58f167da065" == await model.page.evaluate(expression)


async def test_the_third_argument_is_echoed_on_request(stage):
    """Then, and only then, it comes back as cParameter."""
    async with stage.broadcast(switches={"echo": True}) as model:
        await model.tip("john", 5, {"relayTipId": "t1"})
        await model.idle_after(tips=1)
        assert {"relayTipId": "t1"} == (await model.seen("tipRunning"))[0]["detail"]["running"][0]["cParameter"]


async def test_a_vendor_of_few_words(stage):
    """Without announcements and queue events the toy still reacts."""
    async with stage.broadcast(switches={"announce": False, "queue_events": False}) as model:
        await model.tip("john", 5)
        await model.until("strengths.length === 2")
        assert {"toy", "settings"} == {event["type"] for event in await model.seen()}
        assert [(5, "john", 5), (0, None, None)] == [tuple(s.values()) for s in await model.page.evaluate("strengths")]
