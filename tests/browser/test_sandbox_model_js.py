"""The sandbox's model.js in a real Chromium: the queue, the events with their quirks, and the life of a page."""

from __future__ import annotations

import pytest
from sandbox_stage import open_stage

pytestmark = pytest.mark.browser

TOY = {"toyId": "l58f167da065", "status": 1, "toyType": "lush", "rotate": 0, "airpump": 0}


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
async def stage(anyio_backend):
    """Twenty times faster than life; edited settings hold after 0.6 s."""
    async with open_stage(speed=20, settings_delay=0.6) as stage:
        yield stage


def reacting(name: str, seconds: int) -> str:
    return f"My LOVENSE Lush is now reacting to {name}'s tip. It will stop after {seconds} sec!"


async def test_tips_run_one_after_the_other_and_each_is_announced_when_it_starts(stage):
    """First in, first out; one sentence a command, never before its turn; twins are two."""
    async with stage.broadcast() as model:
        await model.page.evaluate(
            "for (const [n, a] of [['mary', 20], ['john', 5], ['john', 5], ['anna', 7]]) lovense.receiveTip(n, a)"
        )
        await model.idle_after(tips=4)
        expected = [reacting("mary", 6), reacting("john", 2), reacting("john", 2), reacting("anna", 2)]
        assert expected == await model.said()
        events = [event for event in await model.seen() if event["type"] in ("tipRunning", "message")]
        assert ["tipRunning", "message"] * 4 + ["tipRunning"] == [event["type"] for event in events]
        names = [[entry["tipperName"] for entry in event["detail"]["running"]] for event in events[::2]]
        assert [["mary"], ["john"], ["john"], ["anna"], []] == names
        views = [(len(e["detail"]["running"]), len(e["detail"]["queue"])) for e in await model.seen("tipQueueStatus")]
        assert [(1, 0), (1, 1), (1, 2), (1, 3), (1, 2), (1, 1), (1, 0), (0, 0)] == views


async def test_commands_last_as_long_as_they_say(stage):
    """At speed 20 a command of 6 s takes 0.3 s, although the events say 6."""
    async with stage.broadcast() as model:
        await model.page.evaluate(
            "addEventListener('sandbox:strength', () => (window.marks ??= []).push(performance.now()))"
        )
        await model.tip("mary", 20)
        await model.idle_after(tips=1)
        start, end = await model.page.evaluate("marks")
        assert 295 <= end - start < 600


async def test_the_first_events_are_the_toy_and_the_settings(stage):
    """Numbers come as text in the event, `clear` and `specialType` stay out, an open end is null."""
    async with stage.broadcast() as model:
        toy, settings = await model.seen()
        assert {
            "type": "toy",
            "status": "on",
            "detail": [{"id": TOY["toyId"], "name": "", "type": "lush", "status": "on"}],
        } == toy
        assert {"min": "1", "max": "9", "time": "2", "rLevel": 0, "vLevel": 5} == settings["detail"]["levels"]["level1"]
        assert settings["detail"]["levels"]["level4"]["max"] is None
        assert {"time": "22", "token": "120"} == settings["detail"]["special"]["earthquake"]
        assert "clear" not in settings["detail"]["special"]


async def test_get_settings_has_numbers_where_the_event_has_text(stage):
    """And `clear` with its token only; an open end is Infinity until JSON makes it null."""
    async with stage.broadcast() as model:
        settings = await model.page.evaluate("JSON.parse(JSON.stringify(lovense.getSettings()))")
        assert {"min": 10, "max": 49, "time": 6, "rLevel": 0, "vLevel": 10} == settings["levels"]["level2"]
        assert ({"token": 33}, {"time": 22, "token": 120}) == (
            settings["special"]["clear"],
            settings["special"]["earthquake"],
        )
        assert await model.page.evaluate("lovense.getSettings().levels.level4.max === Infinity")


async def test_running_entries_have_the_documents_quirks(stage):
    """A hole before the toys, no specialType for a level, names and amounts only in the queue."""
    async with stage.broadcast() as model:
        await model.page.evaluate("lovense.receiveTip('mary', 20, {id: 1}); lovense.receiveTip('69', 120)")
        await model.idle_after(tips=2)
        level = (await model.seen("tipRunning"))[0]["detail"]["running"][0]
        toy = TOY | {"specialType": "earthquake", "vibrate": 10}
        assert {
            "amount": 20, "tipperName": "mary", "time": 6, "cParameter": {}, "level": 2, "module": "Basic Level",
            "name": "Coco", "reactToys": [None, toy],
        } == level  # fmt: skip
        special = (await model.seen("tipRunning"))[1]["detail"]["running"][0]
        assert ("Special Command", "earthquake", "", 22) == tuple(
            special[f] for f in ("module", "specialType", "level", "time")
        )
        assert [{"amount": 120, "tipperName": "69"}] == (await model.seen("tipQueueStatus"))[1]["detail"]["queue"]


async def test_below_the_lowest_level_nothing_happens_at_all(stage):
    """No event, no strength; but the ledger has the call."""
    rules = {"levels": [{"min": 10, "max": 20, "time": 2, "vLevel": 5}]}
    async with stage.broadcast(rules=rules) as model:
        await model.until("seen.at(-1)?.detail.levels?.level1.min === '10'")
        for amount in (9, 21, 0, -1, "x", None, 10):
            await model.tip("john", amount)
        await model.idle_after(tips=1)
        assert [reacting("john", 2)] == await model.said()
        assert [9, 21, 0, -1, "x", None, 10] == [call["amount"] for call in await model.calls()]


async def test_clear_empties_the_queue_and_stops_what_runs(stage):
    """A tip of the clear amount is announced and over at once; what waited is gone."""
    async with stage.broadcast() as model:
        await model.page.evaluate("for (const amount of [500, 5, 5, 33]) lovense.receiveTip('john', amount)")
        await model.idle_after(tips=2)
        assert [
            "john has control of my LOVENSE Lush now. It will end after 60 sec!",
            "john's tip has cleared the queue!",
        ] == await model.said()
        await model.tip("mary", 5)
        await model.idle_after(tips=3)
        assert reacting("mary", 2) == (await model.said())[-1]


async def test_the_models_own_clear_is_a_command_without_a_tip(stage):
    """The settings page empties a live queue in one event."""
    async with stage.broadcast() as model:
        await model.page.evaluate("for (const amount of [500, 5, 5]) lovense.receiveTip('john', amount)")
        await model.until("seen.findLast((e) => e.type === 'tipQueueStatus')?.detail.queue.length === 2")
        assert {"pages": 1} == await model.do("POST", "/clear")
        await model.idle_after(tips=1)
        assert 1 == len(await model.said())


async def test_a_pause_tip_halts_the_queue_for_its_time(stage):
    """What waits stands in `waiting` meanwhile, and goes on afterwards."""
    async with stage.broadcast() as model:
        await model.page.evaluate("for (const amount of [20, 5, 99, 7]) lovense.receiveTip('john', amount)")
        await model.until("seen.some((e) => e.detail.waiting?.length === 2)")
        paused = next(e for e in await model.seen("tipQueueStatus") if len(e["detail"]["waiting"]) == 2)["detail"]
        assert ("pause", [], [5, 7]) == (
            paused["running"][0]["specialType"],
            paused["queue"],
            [entry["amount"] for entry in paused["waiting"]],
        )
        await model.idle_after(tips=4)
        assert [reacting("john", 2)] * 2 == (await model.said())[2:]


async def test_the_model_pauses_until_she_resumes(stage):
    """Tips taken meanwhile wait; a page that reloads is still paused."""
    async with stage.broadcast() as model:
        await model.do("POST", "/pause")
        await model.until("seen.some((e) => e.type === 'tipQueueStatus')")
        await model.tip("john", 5)
        await model.until("seen.at(-1).detail.waiting?.length === 1")
        assert [] == await model.said()
        await model.do("POST", "/resume")
        await model.idle_after(tips=1)


async def test_a_toy_that_goes_off_leaves_its_command_in_view(stage):
    """Nobody vibrates, nothing moves on, tips are lost on it; when the toy returns, the queue goes on."""
    async with stage.broadcast() as model:
        await model.page.evaluate("lovense.receiveTip('mary', 100); lovense.receiveTip('john', 5)")
        await model.do("PUT", "/toys", {"on": False})
        await model.until("seen.some((e) => e.type === 'toy' && e.status === 'off') && strengths.at(-1).strength === 0")
        assert {"strength": 0, "tipper": "mary", "amount": 100} == (await model.page.evaluate("strengths"))[-1]
        await model.tip("lost", 5)
        assert 1 == len(await model.said())
        await model.do("PUT", "/toys", {"on": True})
        await model.idle_after(tips=2)
        assert [reacting("mary", 30), reacting("john", 2)] == await model.said()


async def test_edited_settings_hold_after_the_delay(stage):
    """Meanwhile tips run on the old levels; then a settings event tells of the new ones."""
    async with stage.broadcast() as model:
        await model.do("PUT", "/settings", {"levels": [{"min": 1, "max": None, "time": 3, "vLevel": 7}]})
        await model.tip("early", 5)
        await model.until("seen.filter((e) => e.type === 'settings').length === 2")
        await model.tip("late", 5)
        await model.idle_after(tips=2)
        assert [reacting("early", 2), reacting("late", 3)] == await model.said()


async def test_a_test_tip_is_nobodys(stage):
    """It runs like any other, and is in no ledger."""
    async with stage.broadcast() as model:
        await model.do("POST", "/tip", {"tipper": "Test tip", "amount": 5})
        await model.idle_after(tips=1)
        assert [] == await model.calls()


async def test_the_ledger_survives_a_reload_right_after_the_call(stage):
    """The report leaves with the call itself; the queue dies with the page."""
    async with stage.broadcast() as model:
        for n in range(5):
            await model.page.evaluate("(n) => { lovense.receiveTip('john', 100 + n); location.reload() }", n)
            await model.page.wait_for_function(
                "window.loaded && seen.length >= 2 && !seen.some((e) => e.type === 'message')"
            )
        await model.tip("last", 5)
        await model.idle_after(tips=1)
        calls = await model.calls()
        while len(calls) < 6:
            calls = await model.calls()
        assert [100, 101, 102, 103, 104, 5] == [call["amount"] for call in calls]
        assert 6 == len({call["page"] for call in calls})
        assert [reacting("last", 2)] == await model.said()


async def test_destroy_is_silent_and_init_starts_afresh(stage):
    """After destroyCamApi nothing is heard; initCamApi begins for another model, with her name."""
    async with stage.broadcast() as model:
        await model.page.evaluate("for (const amount of [5, 5]) lovense.receiveTip('john', amount)")
        await model.page.evaluate(
            "lovense.destroyCamApi(); window.before = seen.length; lovense.receiveTip('nobody', 5)"
        )
        assert ([], {}) == tuple(await model.page.evaluate("[lovense.getToys(), lovense.getSettings()]"))
        other = await stage.token("Mimi")
        await model.page.evaluate("(token) => { lovense.initCamApi(token); lovense.receiveTip('mary', 5) }", other)
        await model.until("seen.slice(before).filter((e) => e.type === 'tipRunning').length === 2")
        after = (await model.seen())[await model.page.evaluate("before") :]
        assert ["toy", "settings", "tipQueueStatus", "tipRunning", "message"] == [event["type"] for event in after[:5]]
        assert "Mimi" == after[3]["detail"]["running"][0]["name"]
        assert [reacting("mary", 2)] == [event["detail"] for event in after if event["type"] == "message"]
        assert ["taken", "taken", "ignored"] == [call["outcome"] for call in await model.calls()]


async def test_init_with_the_same_token_forgets_the_queue(stage):
    """The toy and the settings are told again, what waited is gone."""
    async with stage.broadcast() as model:
        await model.page.evaluate(
            "(token) => { lovense.receiveTip('john', 500); lovense.initCamApi(token) }", model.token
        )
        await model.until("seen.filter((e) => e.type === 'settings').length === 2")
        await model.tip("mary", 5)
        await model.idle_after(tips=1)
        assert [reacting("mary", 2)] == await model.said()


async def test_a_page_that_lost_its_line_returns(stage):
    """It hears what changed meanwhile, once."""
    async with stage.broadcast() as model:
        (before,) = stage.pages_of(model)
        before.outbox.put_nowait(None)  # the sandbox hangs up
        await model.do("PUT", "/toys", {"on": False})
        await model.until("seen.some((e) => e.type === 'toy' && e.status === 'off')")
        await model.do("PUT", "/toys", {"on": True})
        await model.until("seen.filter((e) => e.type === 'toy').length === 3")


async def test_a_page_that_slept_catches_up_in_order(stage):
    """Timers of hidden pages come late: what was due is told then, each once, and nothing is stuck."""
    async with stage.broadcast(clock=True) as model:
        await model.page.evaluate("for (const name of ['a', 'b', 'c']) lovense.receiveTip(name, 100)")
        await model.page.clock.fast_forward("01:00")
        assert [reacting(name, 30) for name in "abc"] == await model.said()
