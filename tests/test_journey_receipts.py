"""What became of a tip, on the vendor's own evidence (design section 4, "Evidence"): over real sockets."""

import pytest
from kit import message_event, queue_event, queued, running, running_event


async def play(platform, page, id="t1", tipper="john", amount=20, **more):
    """A tip that the page has played."""
    await platform.accepted(id, tipper, amount, **more)
    await page.play()
    await platform.until(id, "played")


async def test_a_tip_runs_from_accepted_to_done(platform, page, feed):
    """Queue, then running, then gone: every step in the timeline with its evidence, and in the feed."""
    await play(platform, page)
    await page.hear(queue_event([], [queued("john", 20)]))
    await platform.until("t1", "queued")
    await page.hear(queue_event([running("john", 20)]))
    await platform.until("t1", "running")
    await page.hear(queue_event())
    receipt = await platform.until("t1", "done")
    steps = ["accepted", "sent", "played", "queued", "running", "done"]
    assert steps == [step["status"] for step in receipt["timeline"]]
    assert {"tipper": "john", "amount": 20, "level": 2, "special": None, "seconds": 6} == receipt["timeline"][4][
        "evidence"
    ]
    await feed.next("tip", status="done")
    told = [entry["status"] for entry in feed.seen if "tip" == entry["type"]]
    assert ["accepted", "played", "queued", "running", "done"] == told


async def test_running_without_a_queue_before_is_enough(platform, page):
    """An idle toy reacts at once: `tipRunning` is the first the vendor says."""
    await play(platform, page)
    await page.hear(running_event([running("john", 20)]))
    await platform.until("t1", "running")
    await page.hear(running_event())
    assert ["accepted", "sent", "played", "running", "done"] == [
        step["status"] for step in (await platform.until("t1", "done"))["timeline"]
    ]


async def test_the_vendors_word_may_overtake_the_ack(platform, page):
    """An entry in the queue may be somebody else's: it counts once the page has said that it played the tip."""
    await platform.accepted("t1")
    await page.next_tip()
    await page.hear(queue_event([running("john", 20)]))
    await page.ack("t1")
    await platform.until("t1", "running")
    await page.hear(queue_event())
    await platform.until("t1", "done")
    assert ["accepted", "sent", "played", "running", "done"] == await platform.statuses("t1")


async def test_a_tip_without_any_word_is_no_reaction(relay, platform, page, clock):
    """Below the lowest level the vendor is silent: after the grace that is what the receipt says."""
    await play(platform, page, amount=1)
    clock.tick(59)
    relay.wiring.hub.tick()
    await relay.flushed()
    assert "played" == (await platform.receipt("t1"))["status"]
    clock.tick(2)
    assert "60 s" in (await platform.until("t1", "no_reaction"))["timeline"][-1]["why"]


async def test_late_evidence_still_counts(platform, page, clock):
    """no_reaction was a guess of time; the vendor's word is better."""
    await play(platform, page)
    clock.tick(61)
    await platform.until("t1", "no_reaction")
    await page.hear(queue_event([running("john", 20)]))
    await platform.until("t1", "running")
    await page.hear(queue_event())
    await platform.until("t1", "done")


async def test_a_busy_queue_explains_the_waiting(relay, platform, page, clock):
    """While the vendor works through other tips, silence about one of ours means nothing."""
    await play(platform, page)
    await page.hear(queue_event([running("somebody else", 500, seconds=300)], [queued("another", 1)]))
    await platform.until_state(lambda state: state["queue"]["running"])
    clock.tick(200)
    relay.wiring.hub.tick()
    await relay.flushed()
    assert "played" == (await platform.receipt("t1"))["status"]


async def test_a_tip_swept_from_the_queue_is_cleared(platform, page, clock):
    """Seen waiting, then gone, and never seen running."""
    await play(platform, page)
    await page.hear(queue_event([], [queued("john", 20)]))
    await platform.until("t1", "queued")
    await page.hear(queue_event())
    await platform.until_state(lambda state: [] == state["queue"]["queued"])
    clock.tick(4)
    await platform.until("t1", "cleared")


async def test_gone_from_the_queue_because_it_runs_is_not_cleared(platform, page):
    """The queue's event comes first, then `tipRunning`: between them the tip is nowhere (facts.md H28)."""
    await play(platform, page)
    await page.hear(queue_event([], [queued("john", 20)]))
    await page.hear(queue_event())
    await page.hear(running_event([running("john", 20)]))
    await platform.until("t1", "running")
    assert "cleared" not in await platform.statuses("t1")


async def test_twins_are_two_tips(platform, page):
    """The same name and amount twice: first in, first out, and each ends on its own."""
    await play(platform, page, "t1")
    await play(platform, page, "t2")
    await page.hear(queue_event([running("john", 20)], [queued("john", 20)]))
    await platform.until("t1", "running")
    await platform.until("t2", "queued")
    await page.hear(queue_event([running("john", 20)]))
    await platform.until("t1", "done")
    await platform.until("t2", "running")
    await page.hear(queue_event())
    await platform.until("t2", "done")


async def test_an_entry_that_nobody_here_sent_is_external(platform, page):
    """It is shown as such and takes nobody's evidence."""
    await play(platform, page, amount=20)
    await page.hear(queue_event([running("john", 21)], [queued("stranger", 20)]))
    queue = (await platform.until_state(lambda state: state["queue"]["running"]))["queue"]
    assert (True, None) == (queue["running"][0]["external"], queue["running"][0]["tip"])
    assert (True, None) == (queue["queued"][0]["external"], queue["queued"][0]["tip"])
    assert "played" == (await platform.receipt("t1"))["status"]


async def test_the_vendors_echo_beats_the_order(platform, page):
    """If the vendor ever gives our id back, that settles which of two twins is meant (facts.md 1.6)."""
    await play(platform, page, "t1")
    await play(platform, page, "t2")
    await page.hear(queue_event([running("john", 20) | {"cParameter": {"relayTipId": "t2"}}]))
    await platform.until("t2", "running")
    assert "played" == (await platform.receipt("t1"))["status"]


async def test_a_reload_sweeps_the_vendors_queue(relay, platform, page):
    """The script died with its page: what waited there is cleared, what had run its time is done."""
    await play(platform, page)
    await page.hear(queue_event([], [queued("john", 20)]))
    await platform.until("t1", "queued")
    async with relay.page():
        assert "reloaded" in (await platform.until("t1", "cleared"))["timeline"][-1]["why"]


async def test_a_reconnect_keeps_the_vendors_queue(relay, platform, page):
    """The page lives on behind a new socket: its queue is doubtful until it speaks, and not gone."""
    await play(platform, page)
    await page.hear(queue_event([], [queued("john", 20)]))
    await platform.until("t1", "queued")
    async with relay.page(resume=page.welcome["resume"]) as again:
        state = await platform.state()
        assert (False, "t1") == (state["queue"]["fresh"], state["queue"]["queued"][0]["tip"])
        again._n = page._n
        await again.hear(queue_event([running("john", 20)]))
        await platform.until("t1", "running")


@pytest.mark.parametrize(("seconds", "status"), [(3, "done"), (6, "cleared")])
async def test_a_page_that_left_for_good_ends_what_ran(platform, page, clock, seconds, status):
    """After the grace without a page, nothing runs any more: done if its time was over, cleared if not."""
    await play(platform, page)
    await page.hear(queue_event([running("john", 20, seconds=seconds)]))
    await platform.until("t1", "running")
    clock.tick(4)
    await page.leave()
    await platform.until_state(lambda state: not state["online"])
    clock.tick(61)
    await platform.until("t1", status)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "tipQueueStatus"},
        {"type": "tipQueueStatus", "detail": None},
        {"type": "tipQueueStatus", "detail": {"running": "x"}},
        {"type": "tipQueueStatus", "detail": {"running": None, "queue": None}},
        {"type": "tipRunning", "detail": []},
        {"type": "tipRunning", "detail": {"running": 7}},
    ],
)
async def test_a_malformed_queue_ends_nobodys_tip(platform, page, event):
    """Good state stays: a running tip is not done because the vendor stuttered."""
    await play(platform, page)
    await page.hear(queue_event([running("john", 20)]))
    await platform.until("t1", "running")
    await page.hear(event)
    await page.hear(message_event("after it"))
    await page.hear({"type": "mystery"})
    await platform.until_state(lambda state: state["unknown_events"])
    assert "running" == (await platform.receipt("t1"))["status"]


async def test_amounts_as_text_are_amounts(platform, page):
    """`"20"` in the vendor's queue is the tip of 20."""
    await play(platform, page)
    await page.hear(queue_event([running("john", 20) | {"amount": "20", "time": "6", "level": "2"}]))
    evidence = (await platform.until("t1", "running"))["timeline"][-1]["evidence"]
    assert {"tipper": "john", "amount": 20, "level": 2, "special": None, "seconds": 6} == evidence


async def test_money_adds_up(relay, platform, page, clock):
    """Rule 7: tips taken are all in exactly one place, whatever became of them."""
    await play(platform, page, "done", "a", 1)
    await page.hear(queue_event([running("a", 1)]))
    await page.hear(queue_event())
    await platform.until("done", "done")
    await play(platform, page, "silent", "b", 2)
    await platform.accepted("failed", "c", 3)
    await page.next_tip()
    await page.ack("failed", "failed", error="x")
    await platform.until("failed", "failed")
    await platform.hold()
    await platform.accepted("cancelled", "d", 4)
    await platform.http.delete("/tips/cancelled")
    await platform.accepted("waiting", "e", 5)
    tips = (await platform.http.get("/tips")).json()["tips"]
    found = {tip["id"]: tip["status"] for tip in tips}
    assert {
        "done": "done",
        "silent": "played",
        "failed": "failed",
        "cancelled": "cancelled",
        "waiting": "accepted",
    } == found
    assert 15 == sum(tip["amount"] for tip in tips)
