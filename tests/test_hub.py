"""Keep first, then move: the hub over a store that fails and waits on order, and pages held at both ends."""

import asyncio

import pytest
from unit_kit import House, a_tip, bringing_back, queue_event, settle, steps

from relay import messages
from relay.announcer import Announcer
from relay.arrivals import Superseded
from relay.errors import (
    AlreadySent,
    IdReused,
    Invalid,
    LineFull,
    NotUncertain,
    StoreUnavailable,
    UnknownModel,
    UnknownTip,
)
from relay.messages import Ack, Close
from relay.settings import ANSWER_SECONDS_MAX, ASK_AGAIN_SECONDS, FLIGHT_TIPS_MAX, SENT_GRACE_SECONDS
from relay.stores import Change
from relay.tips import Status

MESSAGE = {"type": "message", "detail": "hello room"}


@pytest.fixture
async def house():
    """A hub over a moody store, with the model Coco."""
    return await House().with_model()


# -- down ----------------------------------------------------------


async def test_a_tip_reaches_the_page_as_it_was_ordered(house):
    """Name, amount and the time that is left."""
    page = await house.page()
    await house.tip(expires_in=60.0)
    (frame,) = page.socket.of("tip")
    assert ("t1", "john", 20, 60.0, 1) == tuple(frame[name] for name in ("id", "tipper", "amount", "ttl", "run"))


async def test_nothing_moves_before_it_is_kept(house):
    """While the store is busy the page gets no frame; with its word, at once."""
    page = await house.page()
    house.store.slow = True
    delivering = house.intake.delivered(a_tip())
    await settle()
    assert ([], False) == (page.socket.tips, delivering.done())
    house.store.slow = False
    house.store.let_go()
    await settle()
    assert (["t1"], "sent") == (page.socket.tips, (await delivering).receipt.status)


async def test_a_fault_of_ours_leaves_nobody_waiting(house, monkeypatch):
    """Who posted hears of it, and does not wait for ever: the tip was kept, and a retry finds it."""
    monkeypatch.setattr(Announcer, "tip", lambda *_: 1 / 0)
    async with asyncio.timeout(1):
        with pytest.raises(ZeroDivisionError):
            await house.intake.delivered(a_tip())
        assert (await house.intake.delivered(a_tip())).replayed


async def test_a_waiting_tip_is_kept_as_sent_before_it_is_sent(house):
    """The record never says less than what the page has seen."""
    await house.tip()
    page = await house.page(ready=False)
    page.socket.on_tell = lambda frame: frame["type"] == "tip" and kept.append(house.store.changes[-1].moved[0].status)
    kept = []
    await page.ready()
    assert [Status.SENT] == kept


async def test_tips_go_in_the_order_they_came(house):
    """A flight at a time, each acknowledgement lets the next one go (rule 3)."""
    page = await house.page()
    ids = [f"t{n}" for n in range(FLIGHT_TIPS_MAX + 5)]
    for id in ids:
        await house.tip(id)
    assert ids[:FLIGHT_TIPS_MAX] == page.socket.tips
    for id in ids:
        await page.ack(id)
    assert ids == page.socket.tips


async def test_tips_posted_at_once_keep_their_order(house):
    """In whatever moment of the store's each of them falls."""
    page = await house.page()
    house.store.slow = True
    posting = [house.intake.delivered(a_tip(f"t{n}")) for n in range(40)]
    for _ in range(60):
        await settle()
        house.store.let_go()
        for id in page.socket.tips:
            house.hub.acknowledge(page.room, page.seat, Ack(id=id, outcome="played"))
    assert [f"t{n}" for n in range(40)] == page.socket.tips
    assert all(task.done() for task in posting)


async def test_a_page_that_is_not_ready_gets_tips_in_order_afterwards(house):
    """What it turned away comes back before what was behind (facts.md H19)."""
    page = await house.page()
    for n in range(3):
        await house.tip(f"t{n}")
    for n in range(3):
        await page.ack(f"t{n}", "not_ready", run=1)
    await house.tip("t3")
    await page.ready()
    assert ["t0", "t1", "t2", "t0", "t1", "t2", "t3"] == page.socket.tips
    assert [1] * 3 + [2] * 4 == [frame["run"] for frame in page.socket.of("tip")]


async def test_a_retry_is_answered_and_not_played(house):
    """The same receipt with today's status, however often (facts.md H1)."""
    page = await house.page()
    await house.tip()
    await page.ack("t1")
    again = await house.intake.delivered(a_tip(expires_in=5.0))
    assert (True, "played", ["t1"]) == (again.replayed, again.receipt.status, page.socket.tips)


async def test_retries_at_the_same_moment_are_one_tip(house):
    """Neither has been kept when the other comes."""
    page = await house.page()
    house.store.slow = True
    posting = [house.intake.delivered(a_tip()) for _ in range(5)]
    await settle()
    house.store.let_go()
    house.store.slow = False
    answers = await asyncio.gather(*posting)
    await settle()
    assert ([False, True, True, True, True], ["t1"]) == ([one.replayed for one in answers], page.socket.tips)
    await house.tip("t2")
    assert ["t1", "t2"] == page.socket.tips


async def test_after_a_restart_a_private_tip_that_ended_is_still_nobodys(house):
    """The vendor's late words about it are for the platform only; after a while a namesake is no secret any more."""
    page = await house.page()
    await house.tip(private=True)
    await page.ack("t1")
    await house.tick(400)
    house.hub.drop(page.room)
    page = await house.page()
    assert "no_reaction" == await house.status()
    words = {"type": "message", "detail": "reacting to john's tip"}
    await page.says(words)
    await house.tick(700)
    await page.says(words)
    said = [
        one.body for one in await house.store.entries() if one.type == "announcement" and one.body["source"] == "vendor"
    ]
    assert [True, None] == [body.get("private") for body in said]


@pytest.mark.parametrize("other", [{"amount": 21}, {"tipper": "jane"}, {"private": True}, {"model": "mia"}])
async def test_an_id_with_other_content_is_refused(house, other):
    """The first one stands (facts.md H2)."""
    await house.with_model("mia")
    await house.tip()
    with pytest.raises(IdReused):
        await house.tip(**other)
    assert 20 == (await house.desk.receipt("t1")).tip.amount


async def test_twins_are_two_tips(house):
    """Same name, same amount, same moment, another id (facts.md H3)."""
    page = await house.page()
    await house.tip("t1")
    await house.tip("t2")
    assert ["t1", "t2"] == page.socket.tips


async def test_a_strangers_tip_is_refused(house):
    """And nothing is kept of it (facts.md H6)."""
    with pytest.raises(UnknownModel):
        await house.tip(model="nobody")
    with pytest.raises(UnknownTip):
        await house.desk.receipt("t1")


async def test_a_full_line_refuses_new_tips_but_no_retry(house, monkeypatch):
    """A retry needs no place."""
    monkeypatch.setattr("relay.rooms.LINE_TIPS_MAX", 2)
    await house.tip("t1")
    await house.tip("t2")
    with pytest.raises(LineFull) as refusal:
        await house.tip("t3")
    assert (10, "accepted") == (refusal.value.retry_after, (await house.tip("t1")).status)


async def test_an_anonymous_name_stays_here(house):
    """The page gets the alias."""
    page = await house.page()
    await house.tip(anonymous=True, shown="Anonymous")
    assert "john" not in repr(page.socket.frames)


# -- up ----------------------------------------------------------


async def test_a_tip_is_followed_to_its_end(house):
    """Acknowledged, shown in the queue, running, gone; its timeline tells it."""
    page = await house.page()
    await house.tip()
    await page.ack("t1")
    for event in (queue_event([], [("john", 20)]), queue_event([("john", 20)]), queue_event([])):
        await page.says(event)
    assert ["accepted", "sent", "played", "queued", "running", "done"] == steps(await house.desk.receipt("t1"))


@pytest.mark.parametrize("raw", [None, "words", [], 7, {"type": "new"}, {"type": "settings", "detail": {"levels": 7}}])
async def test_no_event_breaks_the_page(house, raw):
    """What cannot be read is counted, and the next event is heard."""
    page = await house.page()
    await page.says(raw, n=1)
    await page.says(MESSAGE, n=2)
    assert (1, "hello room") == (
        page.room.state.unknown_events,
        (await house.store.entries(model="coco"))[-1].body["text"],
    )


async def test_an_ack_of_a_strange_tip_changes_nothing(house):
    """A page speaks of its own tips."""
    page = await house.page()
    before = len(house.store.changes)
    await page.ack("nobody's")
    assert before == len(house.store.changes)


@pytest.mark.parametrize(("was", "end"), [("played", "played"), ("failed", "failed"), (None, "played")])
async def test_a_repeat_is_answered_from_the_journal(house, was, end):
    """`duplicate` says how the first one went."""
    page = await house.page()
    await house.tip()
    await page.ack("t1", "duplicate", was=was)
    assert end == await house.status()


# -- pages come and go ----------------------------------------------------------


async def test_a_page_is_welcomed_first(house):
    """Whatever else is told to a page comes after its welcome, however slow the store is."""
    first = await house.page("j1")
    await house.tip()
    await first.leave()
    house.store.slow = True
    arriving = asyncio.create_task(house.page("j2"))
    while not arriving.done():
        await settle()
        house.store.let_go()
    assert ["welcome", "uncertain"] == [frame["type"] for frame in arriving.result().socket.frames]


async def test_a_reload_asks_before_it_sends(house):
    """The journal is asked about what was in flight; what it has not seen is sent again, in order (facts.md H12)."""
    page = await house.page()
    await house.tip("t1")
    await house.tip("t2")
    await page.leave()
    await house.tip("t3")
    page = await house.page()
    assert (["t1", "t2"], []) == (page.socket.of("welcome")[0]["ask"], page.socket.tips)
    await page.answer(t1="played", t2="unseen")
    assert (["t2", "t3"], "played") == (page.socket.tips, await house.status("t1"))


async def test_a_newer_page_supersedes(house):
    """The older one is told to stay away, and what it says later still counts as evidence (facts.md H14)."""
    old = await house.page("j1")
    await house.tip()
    new = await house.page("j1")
    assert ([Close.SUPERSEDED], [], 2) == (old.socket.closed, new.socket.closed, new.seat.generation)
    await old.ack("t1")
    assert "played" == await house.status()
    await old.leave()
    await new.answer(t1="played")
    await house.tip("t2")
    assert "sent" == await house.status("t2")


async def test_a_page_in_another_browser_is_asked_for_its_last_word(house):
    """As long as its socket still answers, nothing is in doubt."""
    old = await house.page("j1")
    await house.tip("t1")
    await house.tip("t2")

    def answer(frame):
        if frame["type"] == "ask":
            house.hub.answer(old.room, old.seat, {"t1": "played", "t2": "unseen"})

    old.socket.on_tell = answer
    new = await house.page("j2")
    assert ("played", ["t2"]) == (await house.status("t1"), new.socket.tips)


async def test_a_page_that_cannot_answer_leaves_doubt(house, monkeypatch):
    """New tips flow to the new page at once; the doubt is shown to her."""
    monkeypatch.setattr("relay.arrivals.OLD_PAGE_ANSWER_SECONDS_MAX", 0.01)
    old = await house.page("j1")
    await house.tip("t1")
    new = await house.page("j2")
    await house.tip("t2")
    assert ("uncertain", ["t2"]) == (await house.status("t1"), new.socket.tips)
    assert ["t1"] == [tip["id"] for tip in new.socket.of("uncertain")[0]["tips"]]
    await old.ack("t1")
    assert "played" == await house.status("t1")


async def test_a_tip_that_comes_while_pages_change_waits(house, monkeypatch):
    """It goes to the page that stays."""
    monkeypatch.setattr("relay.arrivals.OLD_PAGE_ANSWER_SECONDS_MAX", 0.02)
    old = await house.page("j1")
    await house.tip("t1")
    arriving = asyncio.create_task(house.page("j2"))
    await settle()
    await house.tip("t2")
    assert (["t1"], "accepted") == (old.socket.tips, await house.status("t2"))
    assert ["t2"] == (await arriving).socket.tips


async def test_many_pages_at_once_are_one_page(house):
    """The last to arrive acts, each other was superseded."""
    pages = await asyncio.gather(*(house.page(f"j{n}") for n in range(5)))
    seats = [page.seat.generation for page in pages]
    assert [1, 2, 3, 4, 5] == sorted(seats)
    acting = next(page for page in pages if page.seat.generation == 5)
    await house.tip()
    assert (["t1"], []) == (acting.socket.tips, acting.socket.closed)
    assert [[Close.SUPERSEDED]] * 4 == [page.socket.closed for page in pages if page is not acting]


async def test_a_page_that_does_not_answer_is_sent_away(house):
    """It blocks its tips otherwise."""
    page = await house.page()
    await house.tip()
    await page.leave()
    page = await house.page()
    await house.tick(ANSWER_SECONDS_MAX - 0.1)
    assert [] == page.socket.closed
    await house.tick(0.2)
    assert [Close.HEARTBEAT_LOST] == page.socket.closed


async def test_a_page_that_never_spoke_of_a_tip_is_asked(house):
    """Once its time is over; silence then is doubt."""
    page = await house.page()
    await house.tip(expires_in=10.0)
    await house.tick(10 + ASK_AGAIN_SECONDS)
    assert [["t1"]] == [frame["tips"] for frame in page.socket.of("ask")]
    await house.tick(SENT_GRACE_SECONDS - ASK_AGAIN_SECONDS)
    assert "uncertain" == await house.status()


async def test_a_page_that_has_not_seen_a_late_tip_lets_it_expire(house):
    """The proof comes after its time: never played stale."""
    page = await house.page()
    await house.tip(expires_in=10.0)
    await house.tick(10 + ASK_AGAIN_SECONDS)
    await page.answer(t1="unseen")
    assert ("expired", ["t1"]) == (await house.status(), page.socket.tips)


async def test_a_page_is_not_asked_about_a_tip_whose_frame_is_not_written(house):
    """Its honest "unseen" would be untrue a moment later: the disk is slow, and the frame comes behind the question."""
    await house.tip("t1", expires_in=3.0)
    page = await house.page(ready=False)
    house.store.slow = True
    await page.ready()
    await house.tick(3 + ASK_AGAIN_SECONDS)
    assert [] == page.socket.of("ask")
    house.store.slow = False
    house.store.let_go()
    await settle()
    await house.tick(1)
    assert (["t1"], [["t1"]]) == (page.socket.tips, [frame["tips"] for frame in page.socket.of("ask")])


async def test_a_tip_whose_frame_is_not_written_is_no_doubt(house):
    """However long the disk takes: nobody can have played it, and its page says so when it comes."""
    await house.tip("t1", expires_in=3.0)
    page = await house.page(ready=False)
    house.store.slow = True
    await page.ready()
    await house.tick(3 + SENT_GRACE_SECONDS)
    house.store.slow = False
    house.store.let_go()
    await settle()
    await page.ack("t1", "stale", run=1)
    assert ["accepted", "sent", "accepted", "expired"] == steps(await house.desk.receipt("t1"))


async def test_an_older_pages_late_answer_takes_nothing_from_the_newer_one(house):
    """Its "unseen" is from before the newer page was given the tip."""
    page = await house.page()
    await house.tip("t1")
    await page.leave()
    older = await house.page(resumed=True)
    newer = await house.page(resumed=True)
    await house.tip("t2")
    house.store.slow = True
    await newer.answer(t1="unseen")
    await older.answer(t1="unseen")
    house.store.slow = False
    house.store.let_go()
    await settle()
    assert (["t1", "t2"], "sent") == (newer.socket.tips, await house.status("t1"))


# -- time ----------------------------------------------------------


async def test_a_tip_waits_for_its_page_so_long(house):
    """Then it expires, and nothing is played stale (facts.md H13)."""
    await house.tip(expires_in=10.0)
    await house.tick(9.9)
    assert "accepted" == await house.status()
    await house.tick(0.2)
    page = await house.page()
    assert ("expired", []) == (await house.status(), page.socket.tips)


async def test_a_played_tip_without_a_word_is_no_reaction(house):
    """After the grace, and late evidence still counts (facts.md H36)."""
    page = await house.page()
    await house.tip()
    await page.ack("t1")
    await house.tick(60)
    assert "no_reaction" == await house.status()
    await page.says(queue_event([("john", 20)]))
    assert "running" == await house.status()


async def test_idle_rooms_are_forgotten(house):
    """And made anew from what was kept when somebody comes."""
    page = await house.page()
    await page.leave()
    house.hub.forget_idle()
    assert 1 == len(house.hub.rooms)  # whether she is offline or reloads her page is still to be said
    await house.tick(15)
    house.hub.forget_idle()
    house.hub.forget_idle()
    assert [] == house.hub.rooms
    assert 2 == (await house.page()).seat.generation


async def test_a_restart_goes_on_where_it_stood(house):
    """Another hub over the same store: the page is asked, tips move, generations rise (facts.md H24)."""
    await house.page()
    await house.tip("t1")
    again = House()
    again.store, again.hub.store = house.store, house.store
    page = await again.page()
    assert (["t1"], 2) == (page.seat.asked and list(page.seat.asked), page.seat.generation)
    await page.answer(t1="unseen")
    assert ["t1"] == page.socket.tips


# -- words of the platform and the broadcaster ----------------------------------------------------------


async def test_hold_and_release(house):
    """The page is told, nothing goes meanwhile, and tips do not age (facts.md H47)."""
    page = await house.page()
    await house.desk.hold("coco", who="the platform")
    await house.tip(expires_in=10.0)
    await house.tick(3600)
    assert (["welcome", "hold"], "accepted") == ([one["type"] for one in page.socket.frames], await house.status())
    await house.desk.release("coco")
    await settle()
    assert ["release", "tip"] == [frame["type"] for frame in page.socket.frames[2:]]


async def test_a_stop_is_told_before_it_is_kept(house):
    """What a body feels does not wait for a disk."""
    page = await house.page()
    house.store.slow = True
    stopping = asyncio.create_task(house.desk.hold("coco", stop=True, cancel_waiting=True, who="the broadcaster"))
    await settle()
    assert ({"type": "stop"}, False) == (page.socket.frames[-1], stopping.done())
    house.store.let_go()
    await stopping


async def test_a_stop_may_take_back_what_waits(house):
    """By choice; what was sent is sent."""
    page = await house.page()
    await house.tip("t1")
    page.seat.ready = False
    await house.tip("t2")
    await house.desk.hold("coco", stop=True, cancel_waiting=True, who="the broadcaster")
    assert ("sent", "cancelled") == (await house.status("t1"), await house.status("t2"))


async def test_a_stop_also_takes_back_what_was_about_to_go(house):
    """Tips whose step to the page was still being kept have not left; what is posted later waits."""
    page = await house.page(ready=False)
    await house.tip("t1")
    await house.tip("t2")
    house.store.slow = True
    await page.ready()
    stopping = asyncio.create_task(house.desk.hold("coco", stop=True, cancel_waiting=True, who="the platform"))
    await settle()
    house.store.slow = False
    house.store.let_go()
    await stopping
    house.clock.tick(1)
    await house.tip("t3")
    await house.desk.release("coco")
    await settle()
    assert ["cancelled", "cancelled"] == [await house.status(one) for one in ("t1", "t2")]
    assert ["t3"] == page.socket.tips


@pytest.mark.parametrize("stop", [True, False])
async def test_a_stop_during_an_outage_is_not_forgotten(house, stop):
    """The room was dropped, the platform's stop cannot be kept and it is told so: the next room begins with it."""
    page = await house.page()
    await house.tip("t1")
    house.store.failing = True
    await page.ack("t1")
    with pytest.raises(StoreUnavailable):
        await house.desk.hold("coco", stop=stop, who="the platform")
    house.hub.hold_later("nobody", stop)  # a model that was never registered is not remembered for ever
    house.store.failing = False
    async with bringing_back(house.hub):
        record = await house.store.model("coco")
        assert ((True, stop), {"coco": stop}) == ((record.held, record.stopped), house.hub.unkept_holds)
    page = await house.page()
    await page.answer(t1="played")
    await house.tip("t2")
    assert [] == page.socket.tips


@pytest.mark.parametrize("stop", [True, False])
async def test_a_stop_holds_even_if_it_cannot_be_kept(house, stop):
    """The store is broken, the call fails, and still no tip reaches the page that comes next."""
    await house.page()
    house.store.failing = True
    with pytest.raises(StoreUnavailable):
        await house.desk.hold("coco", stop=stop, who="the broadcaster")
    house.store.failing = False
    page = await house.page()
    await house.tip()
    room = await house.hub.room("coco")
    assert ([], True, stop) == (page.socket.tips, room.record.held, room.record.stopped)
    await house.desk.release("coco")
    await settle()
    assert (["t1"], False) == (page.socket.tips, (await house.store.model("coco")).held)


async def test_a_waiting_tip_can_be_taken_back(house):
    """Once and for all, and no later (facts.md H10)."""
    await house.tip()
    assert "cancelled" == (await house.desk.cancel("t1")).status
    assert "cancelled" == (await house.desk.cancel("t1")).status
    assert [] == (await house.page()).socket.tips


async def test_a_tip_that_has_left_cannot(house):
    """It says where it is."""
    await house.page()
    await house.tip()
    with pytest.raises(AlreadySent, match="is sent already"):
        await house.desk.cancel("t1")


@pytest.mark.parametrize(
    ("choice", "end", "frames"), [("played", "played", 0), ("replay", "sent", 1), ("skip", "cancelled", 0)]
)
async def test_a_doubt_is_settled_by_somebodys_word(house, choice, end, frames):
    """Played, play it, or skip it."""
    await house.page("j1")
    await house.tip()
    await (await house.page("j1")).leave()
    page = await house.page("j2")
    await house.desk.resolve("t1", choice, "the platform")
    await settle()
    assert (end, frames) == (await house.status(), len(page.socket.tips))


async def test_only_a_doubt_can_be_settled(house):
    """With a word that is one."""
    await house.tip()
    with pytest.raises(NotUncertain):
        await house.desk.resolve("t1", "played", "x")
    with pytest.raises(Invalid):
        await house.desk.resolve("t1", "perhaps", "x")


@pytest.mark.parametrize(("policy", "end"), [("replay", "sent"), ("skip", "cancelled")])
async def test_a_platform_may_prefer_to_settle_every_doubt(policy, end):
    """By setting; the timeline says so."""
    house = await House(uncertain=policy).with_model()
    await (await house.page("j1")).leave()
    page = await house.page("j1")
    await house.tip()
    await page.leave()
    await house.page("j2")
    assert (end, True) == (await house.status(), "uncertain" in steps(await house.desk.receipt("t1")))


async def test_a_page_whose_clock_was_set_measures_it_again(house):
    """The tip that it found too late has time left by the relay's clock: it is played by the page as it comes back."""
    page = await house.page()
    await house.tip("t1", expires_in=60.0)
    await house.tip("t2", expires_in=60.0)
    await page.ack("t1", "stale", run=1)
    assert ([Close.CLOCKS_APART], "accepted") == (page.socket.closed, await house.status("t1"))
    await page.leave()
    page = await house.page(resumed=True)
    await page.answer(t2="unseen")
    assert ["t1", "t2"] == page.socket.tips


async def test_a_word_about_an_earlier_frame_says_nothing_of_the_clocks(house):
    """The tip has come back into the line since: the page stays."""
    page = await house.page()
    await house.tip("t1")
    await page.ack("t1", "not_ready", run=1)
    await page.ack("t1", "stale", run=1)
    assert ([], "accepted") == (page.socket.closed, await house.status("t1"))


async def test_a_page_that_was_replaced_while_it_was_away_stays_away(house):
    """A laptop that wakes up takes nothing from the phone. Where the phone has gone, it is welcome."""
    await (await house.page(load="laptop")).leave()
    phone = await house.page("j2", load="phone")
    with pytest.raises(Superseded):
        await house.page(load="laptop", resumed=True)
    await house.tip()
    assert (["t1"], []) == (phone.socket.tips, phone.socket.closed)
    await phone.leave()
    assert 3 == (await house.page(load="laptop", resumed=True)).seat.generation


async def test_a_page_is_asked_about_so_many_doubts(house, monkeypatch):
    """The newest: a frame has its bound, and an arriving page is not sent away over it."""
    monkeypatch.setattr(messages, "DOUBTS_ASKED_MAX", 2)
    page = await house.page("j1")
    for n in range(3):
        await house.tip(f"t{n}")
    await page.leave()
    page = await house.page("j2")
    assert ["t1", "t2"] == [one["id"] for one in page.socket.of("uncertain")[-1]["tips"]]


# -- a store out of order ----------------------------------------------------------


async def test_a_tip_that_is_not_kept_did_not_happen(house):
    """The platform hears it, the page hears nothing and is sent to come back."""
    page = await house.page()
    house.store.failing = True
    with pytest.raises(StoreUnavailable):
        await house.tip()
    await settle()
    assert ([], [Close.STORE_UNAVAILABLE], []) == (page.socket.tips, page.socket.closed, house.hub.rooms)
    house.store.failing = False
    assert "sent" == (await house.page() and (await house.tip()).status)


async def test_after_a_failure_a_room_is_what_was_kept(house):
    """An acknowledgement that was not kept is asked for again, and nothing is played twice."""
    page = await house.page()
    await house.tip()
    house.store.failing = True
    await page.ack("t1")
    house.store.failing = False
    page = await house.page()
    assert ["t1"] == page.socket.of("welcome")[0]["ask"]
    await page.answer(t1="played")
    assert (["t1"][:0], "played") == (page.socket.tips, await house.status())


async def test_a_dropped_rooms_page_is_not_heard_any_more(house):
    """It has no place in the new room; what it says there comes with its answer."""
    old = await house.page()
    await house.tip()
    house.store.failing = True
    await old.says(MESSAGE)
    house.store.failing = False
    before = len(house.store.changes)
    await old.ack("t1")
    await old.says(MESSAGE)
    await old.leave()
    assert before == len(house.store.changes)


async def test_a_page_is_not_seated_in_a_dropped_room(house, monkeypatch):
    """The store failed while the older page was asked for its last word: the new one is told to come back."""
    monkeypatch.setattr("relay.arrivals.OLD_PAGE_ANSWER_SECONDS_MAX", 0.02)
    await house.page("j1")
    await house.tip("t1")
    arriving = asyncio.create_task(house.page("j2"))
    await settle()
    house.store.failing = True
    with pytest.raises(StoreUnavailable):
        await house.tip("t2")
    house.store.failing = False
    with pytest.raises(StoreUnavailable):
        await arriving
    page = await house.page("j2")
    await house.tip("t3")
    assert (["t3"], "uncertain") == (page.socket.tips, await house.status("t1"))


async def test_a_page_that_cannot_be_kept_is_not_welcomed(house):
    """Its generation would be forgotten."""
    house.store.failing = True
    with pytest.raises(StoreUnavailable):
        await house.page()
    house.store.failing = False
    assert 1 == (await house.page()).seat.generation


async def test_a_store_that_fails_late_takes_back_nothing(house):
    """The tip is kept, its step to the page is not: it is still there when the store is back."""
    await house.tip()
    page = await house.page(ready=False)
    house.store.failing = True
    await page.ready()
    assert [] == page.socket.tips
    house.store.failing = False
    assert ("accepted", ["t1"]) == (await house.status(), (await house.page()).socket.tips)


# -- models ----------------------------------------------------------


async def test_a_models_record_is_saved_through_her_room(house):
    """A name that changes does not undo a hold or a generation."""
    await house.page()
    await house.desk.hold("coco", who="x")
    await house.models.register("coco", "Coco B.")
    record = await house.store.model("coco")
    assert ("Coco B.", True, 1) == (record.name, record.held, record.generation)


async def test_a_new_model_is_saved(house):
    """Without a room; a second time she is not new."""
    assert [True, False] == [(await house.models.register("mia", "Mia"))[1] for _ in range(2)]
    assert "Mia" == (await house.store.model("mia")).name


async def test_an_empty_change_is_not_kept(house):
    """It costs no disk."""
    room = await house.hub.room("coco")
    before = len(house.store.changes)
    await house.hub.committed(room, Change())
    assert before == len(house.store.changes)


def fields(record):
    return {name: getattr(record, name) for name in record.__slots__}
