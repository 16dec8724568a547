"""Pages come and go, and every tip is played once: generations, journals, order, doubt (design sections 4 and 6)."""

import asyncio

import pytest
from kit import eventually, live_page, queue_event, running


async def until_online(platform, online, model="coco"):
    return await platform.until_state(lambda state: online is state["online"], model)


# -- One page ----------------------------------------------------------


async def test_a_tip_waits_for_its_page(relay, platform):
    """A tip taken while no page is live is played once when one comes, and not again."""
    await platform.accepted("t1")
    async with relay.page() as page:
        assert "t1" == (await page.play())["id"]
        await platform.until("t1", "played")
        assert [] == await page.tips_so_far()


async def test_a_tip_for_a_live_page_is_on_its_way_at_once(platform, page):
    """The frame carries id, name, amount, what is left of its time, and the run it belongs to."""
    await platform.accepted("t1", "john", 20)
    tip = await page.next_tip()
    assert ("t1", "john", 20, 120.0, 1) == tuple(tip[field] for field in ("id", "tipper", "amount", "ttl", "run"))
    assert "sent" == (await platform.receipt("t1"))["status"]


async def test_an_ack_makes_it_played(platform, page):
    """The timeline tells each step, why, and what proves it."""
    await platform.accepted("t1")
    await page.play()
    timeline = (await platform.until("t1", "played"))["timeline"]
    assert ["accepted", "sent", "played"] == [step["status"] for step in timeline]
    assert {"ack": "played", "generation": 1} == timeline[-1]["evidence"]
    assert all(step["why"] and step["at"].endswith("Z") for step in timeline)


async def test_a_tip_the_script_refused_is_failed(platform, page):
    """What the vendor's script threw is in the receipt."""
    await platform.accepted("t1")
    await page.next_tip()
    await page.ack("t1", "failed", error="TypeError: x is not a function")
    assert "TypeError" in (await platform.until("t1", "failed"))["timeline"][-1]["why"]


async def test_a_duplicate_is_answered_from_the_journal(platform, page):
    """The page did not play again; it says how it went the first time."""
    await platform.accepted("t1")
    await page.next_tip()
    await page.ack("t1", "duplicate", was="played")
    await platform.until("t1", "played")


async def test_a_tip_too_late_for_the_page_is_expired(platform, page, clock):
    """`stale` proves that it was not played."""
    await platform.accepted("t1", expires_in=10)
    await page.next_tip()
    clock.tick(10)
    await page.ack("t1", "stale")
    assert "expired" == (await platform.until("t1", "expired"))["status"]


async def test_acks_twice_count_once(platform, page):
    """A second word about a tip changes nothing, whatever it says."""
    await platform.accepted("t1")
    await page.play()
    for outcome in ("played", "failed", "stale", "duplicate"):
        await page.ack("t1", outcome)
    await platform.accepted("t2")
    await page.next_tip()
    assert ["accepted", "sent", "played"] == await platform.statuses("t1")


async def test_tips_are_played_in_the_order_they_were_accepted(platform, page):
    """Forty, one after the other."""
    for n in range(40):
        await platform.accepted(f"t{n}")
    assert [f"t{n}" for n in range(40)] == [(await page.play())["id"] for _ in range(40)]


async def test_few_tips_are_in_flight(relay, platform, page):
    """A page that does not acknowledge gets 16, the rest waits; each ack lets one more go."""
    for n in range(20):
        await platform.accepted(f"t{n}")
    for n in range(16):
        assert f"t{n}" == (await page.next_tip())["id"]
    assert 4 == (await platform.state())["queue"]["line"]
    await page.ack("t0")
    assert "t16" == (await page.next_tip())["id"]


# -- Not ready ----------------------------------------------------------


async def test_tips_wait_until_the_script_is_ready(relay, platform):
    """A page without the vendor's script gets nothing; once it is there, everything, in order."""
    async with relay.page(ready=False) as page:
        await platform.accepted("t1")
        await platform.accepted("t2")
        assert not (await platform.state())["ready"]
        await page.say(type="vendor", ready=True)
        assert ["t1", "t2"] == [(await page.play())["id"] for _ in range(2)]
        assert [] == page.unasked


async def test_why_a_page_is_not_ready_is_shown(platform, page):
    """The platform sees the page's own words."""
    await page.say(type="vendor", ready=False, why="script failed to load")
    assert "script failed to load" == (await platform.until_state(lambda state: not state["ready"]))["why"]


async def test_a_page_that_turns_tips_away_gets_them_again_in_order(platform, page):
    """`not_ready` puts a tip back in its place; nothing that came later overtakes it."""
    for n in range(3):
        await platform.accepted(f"t{n}")
    for n in range(3):
        tip = await page.next_tip()
        await page.ack(f"t{n}", "not_ready", run=tip["run"])
    await platform.accepted("t3")
    await page.say(type="vendor", ready=True)
    again = [await page.play() for _ in range(4)]
    assert ["t0", "t1", "t2", "t3"] == [tip["id"] for tip in again]
    assert {2} == {tip["run"] for tip in again}
    await platform.until("t0", "played")
    assert ["accepted", "sent", "accepted", "sent", "played"] == await platform.statuses("t0")


async def test_tips_keep_their_order_across_a_reconnect(relay, platform):
    """Three sent, two waiting, the page gone: the next page gets the unplayed ones first."""
    async with relay.page() as page:
        for n in range(3):
            await platform.accepted(f"t{n}")
        await page.play()
        await platform.until("t0", "played")
        await page.next_tip()
        await page.next_tip()
        page.vanish()
        await until_online(platform, False)
        await platform.accepted("t3")
        resume = page.welcome["resume"]
    async with relay.page(resume=resume) as page:
        assert ["t1", "t2"] == page.welcome["ask"]
        await platform.accepted("t4")
        await page.say(type="answer", tips={"t1": "unseen", "t2": "unseen"})
        assert ["t1", "t2", "t3", "t4"] == [(await page.play())["id"] for _ in range(4)]


# -- Generations ----------------------------------------------------------


async def test_every_page_is_a_newer_generation(relay, platform):
    """Numbers rise, also over pages that have left."""
    for generation in (1, 2, 3):
        async with relay.page() as page:
            assert generation == page.welcome["generation"]
    assert 3 == (await platform.state())["generation"]


async def test_a_second_page_supersedes_the_first(relay, platform, page):
    """The older one is sent away with 4001; tips go to the newer one only."""
    async with relay.page(journal="j_second") as second:
        assert 4001 == await page.closed()
        await platform.accepted("t1")
        assert "t1" == (await second.play())["id"]
        assert "tip" not in page.unasked


async def test_the_old_sockets_end_does_not_take_the_model_offline(relay, platform, page):
    """facts.md H16: only the newest page's end does."""
    async with relay.page(journal="j_second") as second:
        await page.closed()
        await page.leave()
        await eventually(lambda: 1 == len(relay.wiring.pages.sockets), "the old socket's end")
        assert (await platform.state())["online"]
        await second.leave()
        await until_online(platform, False)


async def test_a_late_ack_of_the_old_page_counts(relay, platform, page):
    """The older page is asked for its last word, and evidence is not fenced."""
    await platform.accepted("t1")
    await page.next_tip()
    ticket = await platform.ticket()
    async with asyncio.TaskGroup() as group:
        group.create_task(answer_when_asked(page, "t1", "played"))
        async with live_page(platform, journal="j_second", ticket=ticket) as second:
            assert [] == second.welcome["ask"]
            await platform.until("t1", "played")
            assert [] == await second.tips_so_far()


async def test_an_old_page_that_proves_it_did_not_play_hands_its_tips_over(relay, platform, page):
    """`unseen` in the last word: the new page plays it, once."""
    await platform.accepted("t1")
    await page.next_tip()
    async with asyncio.TaskGroup() as group:
        group.create_task(answer_when_asked(page, "t1", "unseen"))
        async with relay.page(journal="j_second") as second:
            assert "t1" == (await second.play())["id"]
            await platform.until("t1", "played")


async def answer_when_asked(page, tip, answer):
    asked = await page.next("ask")
    assert [tip] == asked["tips"]
    await page.say(type="answer", tips={tip: answer})


async def test_the_same_browser_takes_its_own_page_over(relay, platform, page):
    """A second tab with the same journal is asked itself, and new tips go to it."""
    await platform.accepted("t1")
    await page.next_tip()
    async with relay.page() as second:
        assert 4001 == await page.closed()
        assert ["t1"] == second.welcome["ask"]
        await second.say(type="answer", tips={"t1": "played"})
        await platform.until("t1", "played")


async def test_twenty_pages_at_once_leave_one(relay, platform):
    """However many race for the seat, one acts, and it is the newest generation."""
    tickets = [await platform.ticket() for _ in range(20)]

    async def arrive(n):
        async with live_page(platform, journal=f"j_{n}", ticket=tickets[n]) as page:
            if 20 == page.welcome["generation"]:
                await platform.accepted("t1")
                await page.play()
                return (await platform.until("t1", "played"))["id"]
            return await page.closed()

    ends = await asyncio.gather(*(arrive(n) for n in range(20)))
    assert [4001] * 19 == sorted(end for end in ends if end != "t1")
    assert ["accepted", "sent", "played"] == await platform.statuses("t1")


# -- Reconnect, ask, answer ----------------------------------------------------------


@pytest.mark.parametrize("how", ["resume", "reload"])
async def test_what_was_played_unheard_is_not_played_again(relay, platform, how):
    """The ack was lost with the connection; the journal remembers."""
    async with relay.page() as page:
        await platform.accepted("t1")
        await page.next_tip()
        page.vanish()
        await until_online(platform, False)
        right = {"resume": page.welcome["resume"]} if how == "resume" else {}
    async with relay.page(**right) as page:
        assert ["t1"] == page.welcome["ask"]
        await page.say(type="answer", tips={"t1": "played"})
        await platform.until("t1", "played")
        assert [] == await page.tips_so_far()


async def test_what_the_journal_proves_unplayed_is_sent_again(relay, platform):
    """`unseen`: back into the line, and played."""
    async with relay.page() as page:
        await platform.accepted("t1")
        await page.next_tip()
    await until_online(platform, False)
    async with relay.page() as page:
        await page.say(type="answer", tips={"t1": "unseen"})
        assert "t1" == (await page.play())["id"]
        await platform.until("t1", "played")


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ({"t1": "failed"}, "failed"),
        ({"t1": "interrupted"}, "uncertain"),
        ({}, "uncertain"),
        ({"t1": "who knows"}, "uncertain"),
        ({"t1": ""}, "uncertain"),
    ],
)
async def test_what_the_journal_says_is_what_the_receipt_says(relay, platform, answers, status):
    """What it leaves out, or what makes no sense, is doubt and never a guess."""
    async with relay.page() as page:
        await platform.accepted("t1")
        await page.next_tip()
    await until_online(platform, False)
    async with relay.page() as page:
        await page.say(type="answer", tips=answers)
        await platform.until("t1", status)
        assert [] == await page.tips_so_far()


async def test_nothing_new_is_sent_before_the_answer(relay, platform):
    """Or a later tip would overtake one that has to be sent again."""
    async with relay.page() as page:
        await platform.accepted("t1")
        await page.next_tip()
    await until_online(platform, False)
    async with relay.page() as page:
        await platform.accepted("t2")
        await page.hear({"type": "mystery"})
        await platform.until_state(lambda state: state["unknown_events"])
        assert "accepted" == (await platform.receipt("t2"))["status"]
        await page.say(type="answer", tips={"t1": "unseen"})
        assert ["t1", "t2"] == [(await page.play())["id"] for _ in range(2)]


async def test_a_page_that_does_not_answer_is_closed(relay, platform, clock):
    """4202 after ten seconds: it would block its model's tips for ever."""
    async with relay.page() as page:
        await platform.accepted("t1")
        await page.next_tip()
    await until_online(platform, False)
    async with relay.page() as page:
        clock.tick(11)
        assert 4202 == await page.closed()


async def test_a_page_that_says_nothing_of_a_tip_is_asked_and_then_doubted(relay, platform, page, clock):
    """Its time over it is asked; silent or ignorant, the tip is uncertain, and the next one can go."""
    await platform.accepted("t1")
    await page.next_tip()
    clock.tick(126)
    assert ["t1"] == (await page.next("ask"))["tips"]
    await page.say(type="answer", tips={"t1": "interrupted"})
    await platform.until("t1", "uncertain")


# -- Doubt ----------------------------------------------------------


@pytest.fixture
async def doubted(relay, platform):
    """Coco's second browser is live; what became of t1 in the first, nobody knows."""
    async with relay.page() as first:
        await platform.accepted("t1")
        await first.next_tip()
    await until_online(platform, False)
    async with relay.page(journal="j_second") as page:
        await platform.until("t1", "uncertain")
        yield page


async def test_a_tip_sent_to_another_browser_is_uncertain(platform, doubted):
    """New tips flow at once; the broadcaster is asked; the state counts it."""
    await platform.accepted("t2")
    assert "t2" == (await doubted.play())["id"]
    asked = (await doubted.next("uncertain"))["tips"]
    assert [("t1", "john", 20)] == [(one["id"], one["tipper"], one["amount"]) for one in asked]
    assert 1 == (await platform.state())["tips"]["uncertain"]


@pytest.mark.parametrize("days", [1, 29])
async def test_doubt_is_never_resolved_by_time(relay, platform, doubted, clock, days):
    """Rule 5: tomorrow it is still uncertain."""
    clock.tick(days * 86_400)
    await platform.accepted("t2")
    await doubted.next_tip()
    relay.wiring.hub.tick()
    await relay.flushed()
    assert "uncertain" == (await platform.receipt("t1"))["status"]


async def test_the_first_browsers_late_word_settles_it(relay, platform, doubted):
    """Its journal comes back and says what it did: evidence."""
    async with relay.page() as first:
        assert ["t1"] == first.welcome["ask"]
        await first.say(type="answer", tips={"t1": "played"})
        await platform.until("t1", "played")


async def resolve(platform, id, choice):
    return await platform.http.post(f"/tips/{id}/resolve", json={"as": choice})


async def test_somebody_says_it_was_played(platform, doubted):
    """Played, by the platform's word; nothing is sent."""
    assert "played" == (await resolve(platform, "t1", "played")).json()["status"]
    assert [] == await doubted.tips_so_far()
    assert "platform" in (await platform.receipt("t1"))["timeline"][-1]["why"]


async def test_somebody_says_play_it(platform, doubted):
    """Back into the line and played, with a fresh patience."""
    assert 200 == (await resolve(platform, "t1", "replay")).status_code
    assert 120 == (await doubted.play())["ttl"]
    await platform.until("t1", "played")


async def test_somebody_says_skip_it(platform, doubted):
    """Cancelled, never played."""
    assert "cancelled" == (await resolve(platform, "t1", "skip")).json()["status"]
    assert [] == await doubted.tips_so_far()


async def test_the_broadcaster_may_say_it_too(platform, doubted):
    """The page's own word counts like the platform's."""
    await doubted.say(type="resolve", id="t1", **{"as": "replay"})
    assert "t1" == (await doubted.play())["id"]
    await platform.until("t1", "played")
    assert any("broadcaster" in step["why"] for step in (await platform.receipt("t1"))["timeline"])


async def test_the_vendors_word_settles_it(platform, page, clock):
    """Rule 5: an entry in the vendor's queue that only this tip explains is evidence, whatever its page kept silent."""
    await platform.accepted("t1")
    await page.next_tip()
    clock.tick(126)
    await page.next("ask")
    await page.say(type="answer", tips={"t1": "interrupted"})
    await platform.until("t1", "uncertain")
    await page.hear(queue_event([running("john", 20)]))
    await platform.until("t1", "running")


@pytest.mark.parametrize("choice", ["play", "", None, 1, ["skip"], "REPLAY"])
async def test_a_word_that_is_none_is_refused(platform, doubted, choice):
    """400 that names the three there are."""
    answer = await resolve(platform, "t1", choice)
    assert (400, "as") == (answer.status_code, answer.json()["field"])
    assert "replay" in answer.json()["detail"]


async def test_only_an_uncertain_tip_waits_for_a_word(platform, page):
    """409 for everything else, so that nobody plays a tip twice by mistake."""
    await platform.accepted("t1")
    assert 409 == (await resolve(platform, "t1", "replay")).status_code
    await page.play()
    await platform.until("t1", "played")
    answer = await resolve(platform, "t1", "replay")
    assert (409, "not_uncertain") == (answer.status_code, answer.json()["type"])


async def test_a_replayed_tip_whose_first_page_speaks_after_all_is_not_played_twice(relay, platform):
    """Somebody said "play it" while no page was live; the first browser returns and proves that it had."""
    async with relay.page() as first:
        await platform.accepted("t1")
        await first.next_tip()
    await until_online(platform, False)
    async with relay.page(journal="j_second"):
        await platform.until("t1", "uncertain")
    await until_online(platform, False)
    await resolve(platform, "t1", "replay")
    async with relay.page() as first:
        tip = await first.next_tip()
        await first.ack(tip["id"], "duplicate", was="played", run=tip["run"])
        await platform.until("t1", "played")


# -- Holding and stopping ----------------------------------------------------------


async def test_a_hold_keeps_tips_until_the_release(platform, page):
    """The page is told; what comes meanwhile waits; then all of it goes, in order."""
    assert (await platform.hold()).json()["held"]
    await page.next("hold")
    await platform.accepted("t1")
    await platform.accepted("t2")
    assert "accepted" == (await platform.receipt("t1"))["status"]
    assert not (await platform.release()).json()["held"]
    await page.next("release")
    assert ["t1", "t2"] == [(await page.play())["id"] for _ in range(2)]


async def test_tips_do_not_age_on_hold(relay, platform, page, clock):
    """An hour of hold takes nothing of their two minutes."""
    await platform.hold()
    await platform.accepted("t1")
    clock.tick(3600)
    relay.wiring.hub.tick()
    await platform.release()
    assert 120 == pytest.approx((await page.next_tip())["ttl"])


async def test_a_hold_outlives_its_page(relay, platform, page):
    """The next page is welcomed as held, and gets nothing."""
    await platform.hold()
    await page.leave()
    await until_online(platform, False)
    await platform.accepted("t1")
    async with relay.page() as page:
        assert page.welcome["held"]
        await platform.release()
        assert [] == await page.tips_before("release")
        assert "t1" == (await page.play())["id"]


async def test_hold_and_release_may_be_said_twice(platform, page, feed):
    """Idempotent: the room hears of it once."""
    for call in (platform.hold, platform.hold, platform.release, platform.release):
        assert 200 == (await call()).status_code
    await platform.accepted("t1")
    await feed.next("tip")
    assert 2 == sum("announcement" == entry["type"] for entry in feed.seen)


async def test_a_stop_reaches_the_page_and_holds(platform, page):
    """The page takes the vendor's script down; nothing is sent until somebody releases."""
    state = (await platform.stop()).json()
    assert (True, True) == (state["held"], state["stopped"])
    await page.next("stop")
    await platform.accepted("t1")
    await platform.release()
    await page.next("release")
    assert "t1" == (await page.play())["id"]


async def test_a_stop_may_take_the_waiting_tips_back(platform, page):
    """`{"waiting": "cancel"}`; what was played before keeps its life."""
    await platform.hold()
    await platform.accepted("t1")
    await platform.stop(waiting="cancel")
    assert "cancelled" == (await platform.receipt("t1"))["status"]


@pytest.mark.parametrize("waiting", ["", "all", 1, None, []])
async def test_a_stop_with_a_word_that_is_none_stops_nothing(platform, page, waiting):
    """400 that names the field."""
    answer = await platform.stop(waiting=waiting)
    assert (400, "waiting") == (answer.status_code, answer.json()["field"])
    assert not (await platform.state())["held"]


async def test_the_broadcasters_own_stop_button(platform, page, feed):
    """Stops, tells everybody, and cannot be missed by a later page; her release ends it."""
    await page.say(type="stop")
    await page.next("stop")
    assert "Coco has stopped the toy." == (await feed.next("announcement"))["text"]
    assert (await platform.state())["stopped"]
    await page.say(type="release")
    await page.next("release")
    await platform.until_state(lambda state: not state["held"])


async def test_an_old_page_cannot_release(relay, platform, page):
    """Commands are fenced: only the newest page's word counts."""
    async with relay.page(journal="j_second") as second:
        await page.closed()
        await second.say(type="stop")
        await second.next("stop")
        assert (await platform.state())["held"]


async def test_a_stop_sweeps_what_was_in_the_vendors_queue(platform, page):
    """What ran or waited there is cleared: the script was taken down."""
    await platform.accepted("t1")
    await page.play()
    await page.hear(queue_event([], [{"amount": 20, "tipperName": "john"}]))
    await platform.until("t1", "queued")
    await platform.stop()
    assert "stopped" in (await platform.until("t1", "cleared"))["timeline"][-1]["why"]


async def test_hold_release_and_stop_need_a_model(door):
    """404 for one nobody registered."""
    for call in (door.hold, door.release, door.stop):
        assert 404 == (await call("nobody")).status_code
