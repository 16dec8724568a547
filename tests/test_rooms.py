"""A room decides: what a model's page, her tips and the vendor's words make of each other. No store, no socket."""

import pytest
from unit_kit import T0, FakeSocket, a_receipt, a_tip, entry, queue_event

from relay import hearing
from relay.events import Message, QueueSeen, RunningSeen, SettingsSeen, Toy, ToysSeen
from relay.feeds import Audience, Entry, show
from relay.menus import Level, preview
from relay.rooms import Room
from relay.settings import ANSWER_SECONDS_MAX, FLIGHT_TIPS_MAX, SETTLE_SECONDS, TURNED_AWAY_SECONDS, Settings
from relay.stores import Change, ModelRecord
from relay.tips import Status, accept
from relay.vendors import Reading
from relay.vendors.lovense.wire import read
from relay.views import page_as_json, preview_as_json, room_as_json


def a_room(*receipts, record=None, **settings):
    return Room.restored(record or ModelRecord("coco", "Coco", T0), receipts, Settings(**settings))


def live(*receipts, journal="j1", **settings):
    """A room whose page is ready for tips."""
    room = a_room(*receipts, **settings)
    seat, _ = room.arrive(FakeSocket(), journal, "p1", True, False, T0)
    return room, seat


def take(room, id="t1", seq=1, at=T0, **fields):
    """A tip is taken and kept at once: its status, as far as the line knows it."""
    receipt, token = room.accept(accept(a_tip(id, **fields), at), at)
    room.accepted(receipt.__class__(**{n: getattr(receipt, n) for n in receipt.__slots__} | {"seq": seq}), token)
    return room.line.find(id)


def given(room, id="t1", seq=1, **fields):
    """A tip that was taken and handed over to the page."""
    receipt = take(room, id, seq, **fields)
    assert room.hand_over(receipt, T0) is None
    return receipt


def hear(room, event, n=0, at=T0):
    return hearing.hear(room, room.seat, n, Reading(event), at)


def entries(change, kind):
    return [draft.body for draft in change.entries if draft.type == kind]


def public(change):
    """What a viewer sees of it."""
    shown = [show(Entry(1, one.model, one.type, one.at, one.body), Audience.VIEWER) for one in change.entries]
    return [body for body in shown if body is not None]


def went(change):
    return [(receipt.tip.id, receipt.status.value) for receipt in change.moved]


# -- who may be given a tip ----------------------------------------------------------


def test_a_tip_is_on_its_way_at_once_where_a_page_is_free():
    """Its first record says to which page."""
    room, seat = live()
    receipt, token = room.accept(accept(a_tip(), T0), T0)
    assert ("sent", seat.generation, "j1", (1, 1)) == (receipt.status, receipt.generation, receipt.journal, token)


@pytest.mark.parametrize("why", ["nobody", "not ready", "asked", "held", "changing", "a tip waits", "a tip is kept"])
def test_a_tip_waits(why):
    """For a page, for its vendor, for an answer, for release, for the tips before it."""
    room, seat = (a_room(), None) if why == "nobody" else live()
    match why:
        case "not ready":
            seat.ready = False
        case "asked":
            seat.asked = ("t0",)
        case "held":
            room.hold(T0, stop=False, who="x")
        case "changing":
            room.changing = True
        case "a tip waits":
            room.line.place(a_receipt("t0"))
        case "a tip is kept":
            room.pending.add(None)
    receipt, token = room.accept(accept(a_tip(), T0), T0)
    assert ("accepted", None) == (receipt.status, token)


def test_so_many_tips_are_in_flight_and_no_more():
    """Kept or not kept yet, acknowledged they make room (facts.md H22)."""
    room, seat = live()
    for n in range(FLIGHT_TIPS_MAX - 1):
        given(room, f"t{n}", n)
    room.accept(accept(a_tip("pending"), T0), T0)
    assert room.token is None
    room.acknowledge("t0", "played", T0, seat.generation, None, 1)
    assert (1, 1) == room.token


def test_a_tip_that_is_being_kept_for_an_older_turn_goes_first():
    """It will come back into the line, before any later one."""
    room, seat = live()
    room.accept(accept(a_tip("t1"), T0), T0)
    seat.run = 2
    assert room.token is None
    room.accepted(None, (1, 1))
    assert (1, 2) == room.token


def test_waiting_tips_go_in_order_when_a_page_comes():
    """Up to the flight's size; the rest waits for acknowledgements."""
    room, _ = live(*(a_receipt(f"t{n}", seq=n) for n in range(FLIGHT_TIPS_MAX + 3)))
    assert [(f"t{n}", "sent") for n in range(FLIGHT_TIPS_MAX)] == went(room.pump(T0))
    assert [] == went(room.pump(T0))


def test_what_would_be_late_expires_in_its_turn():
    """A page that was away does not get an hour of tips in a burst (facts.md H13)."""
    room, _ = live(a_receipt("t1", seq=1), a_receipt("t2", seq=2, at=T0 + 3600))
    assert [("t1", "expired"), ("t2", "sent")] == went(room.pump(T0 + 3600))


# -- the last step before the frame ----------------------------------------------------------


@pytest.mark.parametrize("why", ["left", "came back", "turned away", "held", "changing"])
def test_a_frame_is_not_written_to_a_page_that_is_not_the_same_any_more(why):
    """Kept as sent, but nobody can have played it: back into the line."""
    room, seat = live()
    receipt = take(room)
    match why:
        case "left":
            room.leave(seat, T0)
        case "came back":
            room.arrive(FakeSocket(), "j1", "p1", True, True, T0)
        case "turned away":
            seat.run += 1
        case "held":
            room.hold(T0, stop=False, who="x")
        case "changing":
            room.changing = True
    assert [("t1", "accepted")] == went(room.hand_over(receipt, T0))
    assert ["t1"] == list(room.line.waiting)


def test_a_frame_is_written_once():
    """A second order for the same tip is not one."""
    room, _ = live()
    receipt = given(room)
    assert room.hand_over(receipt, T0) is not None


# -- a page turns tips away ----------------------------------------------------------


def test_a_page_that_turns_a_tip_away_gets_no_other():
    """Everything of that turn comes back in its order, until the page is ready again (facts.md H19)."""
    room, seat = live()
    given(room, "t1", 1)
    given(room, "t2", 2)
    room.acknowledge("t1", "not_ready", T0, 1, None, 1)
    room.acknowledge("t2", "not_ready", T0, 1, None, 1)
    assert ([], 2, False) == (went(room.pump(T0)), seat.run, seat.ready)
    room.vendor(seat, True, None, T0)
    assert [("t1", "sent"), ("t2", "sent")] == went(room.pump(T0))


def test_a_page_that_turned_a_tip_away_is_tried_again():
    """Even if it says nothing more, and whatever else happened meanwhile."""
    room, seat = live()
    given(room)
    room.acknowledge("t1", "not_ready", T0, 1, None, 1)
    hear(room, QueueSeen((), (), 0), at=T0 + 1)
    room.tick(T0 + 1 + SETTLE_SECONDS)
    assert T0 + TURNED_AWAY_SECONDS == room.due
    room.tick(T0 + TURNED_AWAY_SECONDS)
    assert (True, [("t1", "sent")]) == (seat.ready, went(room.pump(T0 + TURNED_AWAY_SECONDS)))


def test_an_older_page_turns_nothing_away():
    """Nor does an older turn of this one."""
    room, seat = live()
    room.acknowledge("t1", "not_ready", T0, 0, None, 1)
    room.acknowledge("t1", "not_ready", T0, 1, None, 7)
    assert (1, True) == (seat.run, seat.ready)


# -- pages come and go ----------------------------------------------------------


def test_every_page_has_a_higher_generation():
    """Kept with the model, so it rises over restarts too."""
    room = a_room(record=ModelRecord("coco", "Coco", T0, generation=41))
    seat, change = room.arrive(FakeSocket(), "j1", "p1", True, False, T0)
    assert (42, 42) == (seat.generation, change.model.generation)


def test_a_page_is_asked_about_what_its_journal_was_given():
    """Sent or in doubt; tips of another journal are not its business."""
    mine, other = a_receipt("t1", Status.SENT, seq=1), a_receipt("t3", Status.UNCERTAIN, seq=3, journal="j9")
    room, seat = live(mine, a_receipt("t2", Status.UNCERTAIN, seq=2), other)
    assert ("t1", "t2") == seat.asked
    assert room.token is None


def test_what_another_browser_was_given_is_in_doubt():
    """Nobody can tell any more, and new tips flow at once."""
    room = a_room(a_receipt("t1", Status.SENT))
    seat, change = room.arrive(FakeSocket(), "j2", "p1", True, False, T0)
    assert ([("t1", "uncertain")], ()) == (went(change), seat.asked)
    assert room.token is not None


def test_what_was_never_written_is_not_in_doubt():
    """The frame was not handed over, so no browser can have played it."""
    room, _ = live()
    receipt = take(room)
    _, change = room.arrive(FakeSocket(), "j2", "p1", True, False, T0)
    assert [] == went(change)
    assert [("t1", "accepted")] == went(room.hand_over(receipt, T0))


@pytest.mark.parametrize(("word", "end"), [("played", "played"), ("unseen", "accepted"), ("interrupted", "uncertain")])
def test_a_page_answers_and_gets_tips_again(word, end):
    """What its journal says counts, and nothing is asked any more."""
    room, seat = live(a_receipt("t1", Status.SENT))
    assert [("t1", end)] == went(room.answer(seat, {"t1": word}, T0))
    assert ((), True) == (seat.asked, room.token is not None)


def test_an_older_page_cannot_say_that_a_newer_one_did_not_play():
    """Its journal proves nothing about another's, except that itself has played (rule 4)."""
    room, old = live(a_receipt("t1", Status.SENT, generation=2, journal="j2"), journal="j2")
    old.journal = "j1"
    for answers, proven in (({"t1": "unseen"}, []), ({}, []), ({"t1": "played"}, [("t1", "played")])):
        old.asked = ("t1",)
        assert proven == went(room.answer(old, answers, T0))


def test_an_answer_nobody_asked_for_proves_nothing():
    """Nor does a second one: the tip may have been sent again since."""
    room, seat = live(a_receipt("t1", Status.SENT))
    room.answer(seat, {"t1": "unseen"}, T0)
    room.pump(T0)
    assert [] == went(room.answer(seat, {"t1": "unseen"}, T0))


def test_a_page_that_does_not_answer_is_due():
    """However often the clock looked in before."""
    room, _ = live(a_receipt("t1", Status.UNCERTAIN))
    room.tick(T0 + 1)
    assert T0 + ANSWER_SECONDS_MAX == room.due


def test_an_older_pages_end_means_nothing():
    """The new socket may open before the old one is seen to end (facts.md H16)."""
    room, old = live()
    room.arrive(FakeSocket(), "j1", "p1", True, True, T0)
    assert Change() == room.leave(old, T0)
    assert room_as_json(room)["online"]


def test_a_reload_ends_the_vendors_queue():
    """It lived in the page: what ran its time is done, the rest is cleared."""
    room, _ = live(a_receipt("t1", Status.PLAYED, seq=1), a_receipt("t2", Status.PLAYED, seq=2, amount=5))
    hear(room, QueueSeen((entry(seconds=5),), (entry(amount=5),), 0))
    _, change = room.arrive(FakeSocket(), "j1", "p1", True, False, T0 + 6)
    assert [("t1", "done"), ("t2", "cleared")] == went(change)


def test_a_reconnect_leaves_the_vendors_queue():
    """The same page load comes back: its queue still runs, and its events go on counting."""
    room, _ = live(a_receipt("t1", Status.PLAYED))
    hear(room, QueueSeen((entry(),), (), 0), n=5)
    _, change = room.arrive(FakeSocket(), "j1", "p1", True, True, T0 + 6)
    assert [] == went(change)
    assert Change() == hear(room, QueueSeen((), (), 0), n=5)
    assert [("t1", "done")] == went(hear(room, QueueSeen((), (), 0), n=6))


def test_a_page_that_stays_away_ends_its_queue():
    """After a grace, as if it had been reloaded when it left."""
    room, seat = live(a_receipt("t1", Status.PLAYED), reaction_grace=60.0)
    hear(room, QueueSeen((), (entry(),), 0))
    room.leave(seat, T0 + 10)
    assert [] == went(room.tick(T0 + 69))
    assert [("t1", "cleared")] == went(room.tick(T0 + 70))


def test_state_is_doubtful_until_the_page_speaks_again():
    """Shown, and not fresh."""
    room, seat = live()
    hear(room, ToysSeen((Toy("a", "lush", "", True),), None))
    room.leave(seat, T0)
    assert (True, False) == (room_as_json(room)["toys"]["on"], room_as_json(room)["toys"]["fresh"])


# -- hold, release, stop ----------------------------------------------------------


def test_a_hold_holds_and_a_release_gives_the_time_back():
    """Waiting tips do not age meanwhile (facts.md H47)."""
    room, _ = live(a_receipt("t1", expires_in=60))
    room.hold(T0 + 10, stop=False, who="the platform")
    assert [] == went(room.pump(T0 + 20)) + went(room.tick(T0 + 5000))
    change = room.release(T0 + 5010)
    assert T0 + 5060 == change.moved[0].expires_at
    assert [("t1", "sent")] == went(room.pump(T0 + 5059))


def test_a_second_hold_is_none():
    """Nor is a release of what is not held; the first hold's time counts."""
    room, _ = live()
    assert Change() == room.release(T0)
    room.hold(T0, stop=False, who="x")
    assert Change() == room.hold(T0 + 5, stop=False, who="x")
    assert T0 == room.record.held_since


def test_a_stop_ends_what_the_vendor_had():
    """The vendor's script was taken down, and its queue with it; the room is told."""
    room, _ = live(a_receipt("t1", Status.PLAYED, seq=1), a_receipt("t2", seq=2))
    hear(room, QueueSeen((), (entry(),), 0))
    change = room.hold(T0, stop=True, who="the broadcaster")
    assert [("t1", "cleared")] == went(change)
    assert (True, True) == (change.model.held, change.model.stopped)
    assert ["Coco has stopped the toy."] == [body["text"] for body in entries(change, "announcement")]
    assert [("t2", "cancelled")] == went(room.cancel_waiting(T0, T0, "stopped"))


def test_a_hold_becomes_a_stop():
    """But not the other way round."""
    room, _ = live()
    room.hold(T0, stop=False, who="x")
    assert room.hold(T0, stop=True, who="x").model.stopped
    assert Change() == room.hold(T0, stop=False, who="x")


# -- events ----------------------------------------------------------


def test_an_older_event_is_ignored():
    """They may come out of order and twice (facts.md H28)."""
    room, _ = live()
    hear(room, QueueSeen((entry(),), (), 0), n=2)
    assert Change() == hear(room, QueueSeen((), (), 0), n=1)
    assert Change() == hear(room, QueueSeen((), (), 0), n=2)


def test_a_new_page_load_counts_anew():
    """Its numbers begin again, its words are heard."""
    room, _ = live()
    hear(room, QueueSeen((entry(),), (), 0), n=9)
    room.arrive(FakeSocket(), "j1", "p2", True, False, T0)
    assert 1 == len(entries(hear(room, Message("hi"), n=1), "announcement"))


def test_an_older_pages_events_are_not_heard():
    """Only the newest page speaks of what is (facts.md H14)."""
    room, old = live()
    room.arrive(FakeSocket(), "j1", "p1", True, False, T0)
    assert Change() == hearing.hear(room, old, 99, Reading(Message("hi")), T0)


def test_the_vendors_words_are_passed_on_once_each():
    """Verbatim, and twins are two (facts.md H31)."""
    room, _ = live(a_receipt("t1", Status.PLAYED))
    words = Message("My LOVENSE Lush is now reacting to john's tip. It will stop after 5 sec!")
    told = [{"text": words.text, "source": "vendor", "tip": "t1"}]
    assert [told, told] == [entries(hear(room, words), "announcement"), entries(hear(room, words), "announcement")]


def test_settings_are_told_once_and_kept():
    """The menu as last seen is part of the model's record."""
    room, _ = live()
    seen = SettingsSeen((Level(1, 1, 9, 2, 5, 0),), ())
    assert (1, Change()) == (len(entries(hear(room, seen), "settings")), hear(room, seen))
    for menu in (room.state.menu, a_room(record=room.record).state.menu):
        assert {"reacts": True, "level": 1, "special": None, "seconds": 2} == preview_as_json(preview(menu, 9))


def test_a_toy_that_comes_and_goes_is_told():
    """Once per change; the words for it wait until it has settled (tests/test_speaking.py)."""
    room, _ = live()
    on, renamed = (Toy("a", "lush", name, True) for name in ("", "Lulu"))
    told = [hear(room, event) for event in (ToysSeen((on,), None), ToysSeen((renamed,), None), ToysSeen((), None))]
    assert [] == [body for change in told for body in entries(change, "announcement")]
    assert [1, 1, 1] == [len(entries(change, "toy")) for change in told]
    hear(room, ToysSeen((on,), None))
    assert {"online": True, "ready": True, "toys": True} == page_as_json(room)


def test_the_queue_is_told_when_it_changes():
    """With the tip behind each entry, or as external."""
    room, _ = live(a_receipt("t1", Status.PLAYED))
    event = read(queue_event([("john", 20)], [("kate", 5)], 1)).event
    (view,) = entries(hear(room, event), "queue")
    assert [("t1", False), (None, True)] == [
        (one["tip"], one["external"]) for one in (*view["running"], *view["queued"])
    ]
    assert [] == entries(hear(room, event), "queue")


@pytest.mark.parametrize("why", ["stop", "reload", "elsewhere"])
def test_a_queue_that_is_gone_is_told(why):
    """With the vendor's script taken down, or with its page: once, and only to those who were shown something."""
    room, _ = live(a_receipt("t1", Status.PLAYED))
    hear(room, read(queue_event([("john", 20)], [("jane", 5)], 2)).event)

    def end(page):
        if why == "stop":
            return room.hold(T0 + 1, stop=True, who="x")
        journal = "j1" if why == "reload" else page
        return room.arrive(FakeSocket(), journal, page, True, resumed=False, at=T0 + 1)[1]

    change = end("p2")
    empty = {"running": [], "queued": [], "waiting": None}
    assert ([("t1", "cleared")], [empty]) == (went(change), entries(change, "queue"))
    assert empty.items() <= room_as_json(room)["queue"].items()
    room.release(T0 + 1)
    assert [] == entries(end("p3"), "queue")
    hear(room, QueueSeen((), (), 0), at=T0 + 2)
    room.release(T0 + 2)
    assert [] == entries(end("p4"), "queue")


def test_a_page_that_is_back_keeps_its_queue():
    """The vendor's script has gone on without the relay; a first page has no queue to lose."""
    room, _ = live(a_receipt("t1", Status.PLAYED))
    hear(room, QueueSeen((entry(),), (), 0))
    _, change = room.arrive(FakeSocket(), "j1", "p1", True, resumed=True, at=T0 + 1)
    assert ([], ["t1"]) == (entries(change, "queue"), [one["tip"] for one in room.queue_view["running"]])
    _, change = a_room().arrive(FakeSocket(), "j1", "p1", True, resumed=False, at=T0)
    assert [] == entries(change, "queue")


def test_a_busy_queue_explains_a_missing_reaction():
    """The grace begins when the queue is empty."""
    room, _ = live(a_receipt("t1", Status.PLAYED, amount=1), reaction_grace=60.0)
    hear(room, QueueSeen((entry("kate", 5),), (), 0))
    assert [] == went(room.tick(T0 + 500))
    hear(room, QueueSeen((), (), 0), at=T0 + 510)
    assert [] == went(room.tick(T0 + 569))
    assert [("t1", "no_reaction")] == went(room.tick(T0 + 570))


def test_two_steps_at_once_are_one_record_and_two_entries():
    """The event overtook the acknowledgement."""
    room, _ = live()
    given(room)
    hear(room, RunningSeen((entry(seconds=5),)))
    change = room.acknowledge("t1", "played", T0, 1, None, None)
    assert ([("t1", "running")], ["played", "running"]) == (
        went(change),
        [body["status"] for body in entries(change, "tip")],
    )


# -- private tips ----------------------------------------------------------


@pytest.mark.parametrize("status", [Status.SENT, Status.PLAYED, Status.NO_REACTION, Status.UNCERTAIN])
def test_the_vendors_words_about_a_private_tip_are_private(status):
    """Also when they come before the acknowledgement (facts.md H7)."""
    receipt = a_receipt("t1", Status.PLAYED if status is Status.NO_REACTION else status, private=True)
    room, _ = live(receipt)
    if status is Status.NO_REACTION:
        room.line.tick(T0 + 60, held=False, grace=60, busy_until=0, settle=3)
    assert [] == public(hear(room, Message("reacting to john's tip")))
    assert 1 == len(public(hear(room, Message("hello room"))))


def test_a_name_within_a_name_is_not_meant():
    """A tip of `jo` does not make words about the private tip of `john` public."""
    room, _ = live(
        a_receipt("t1", Status.PLAYED, seq=1, tipper="jo"), a_receipt("t2", Status.PLAYED, seq=2, private=True)
    )
    assert [] == public(hear(room, Message("reacting to john's tip")))
    assert ["t1"] == [body["tip"] for body in public(hear(room, Message("reacting to jo's tip")))]


@pytest.mark.parametrize("status", [Status.SENT, Status.PLAYED, Status.QUEUED, Status.UNCERTAIN])
def test_the_vendors_words_may_come_before_its_queue(status):
    """While a public tip of his runs, they may be about his private one, which begins (facts.md 1.5)."""
    private = a_receipt("t2", Status.PLAYED if status is Status.QUEUED else status, seq=2, private=True, amount=50)
    room, _ = live(a_receipt("t1", Status.PLAYED), private)
    queued = (entry(amount=50),) if status is Status.QUEUED else ()
    hear(room, QueueSeen((entry(),), queued, 0))
    assert (Status.RUNNING, status) == tuple(room.line.find(tip).status for tip in ("t1", "t2"))
    change = hear(room, Message("My LOVENSE Lush is now reacting to john's tip. It will stop after 22 sec!"))
    assert ([], ["t2"]) == (public(change), [body["tip"] for body in entries(change, "announcement")])


def test_the_vendors_words_about_a_public_tip_are_public_again():
    """Once his private one is over, and a public one of his runs."""
    room, _ = live(a_receipt("t1", Status.PLAYED, private=True, amount=50), a_receipt("t2", Status.PLAYED, seq=2))
    hear(room, RunningSeen((entry(amount=50),)))
    assert [] == public(hear(room, Message("reacting to john's tip")))
    hear(room, RunningSeen((entry(),)))
    assert ["t2"] == [body["tip"] for body in public(hear(room, Message("reacting to john's tip")))]


@pytest.mark.parametrize("runs", [False, True])
@pytest.mark.parametrize("decoy", ["reacting", "now reacting", "to john", "to j", "john's", "hn's tip. It"])
def test_a_longer_name_does_not_cover_a_private_one(decoy, runs):
    """Whoever is called like other words of the vendor's sentence makes nothing public that is not theirs."""
    mine, private = a_receipt("t1", Status.PLAYED, tipper=decoy), a_receipt("t2", Status.PLAYED, seq=2, private=True)
    room, _ = live(mine, private)
    if runs:
        hear(room, RunningSeen((entry(decoy),)))
    change = hear(room, Message("My LOVENSE Lush is now reacting to john's tip. It will stop after 5 sec!"))
    assert ([], 1) == (public(change), len(entries(change, "announcement")))


def test_a_private_name_within_a_name_hushes_nobody():
    """A private tip of `jo` says nothing about words on the public tip of `john`; of both, it does."""
    room, _ = live(
        a_receipt("t1", Status.PLAYED, seq=1), a_receipt("t2", Status.PLAYED, seq=2, tipper="jo", private=True)
    )
    assert ["t1"] == [body["tip"] for body in public(hear(room, Message("reacting to john's tip")))]
    assert [] == public(hear(room, Message("reacting to john's and jo's tip")))


@pytest.mark.parametrize(
    "views",
    [
        [QueueSeen((entry(),), (), 0)],
        [QueueSeen((), (entry(),), 0), RunningSeen((entry(),)), RunningSeen(())],
        [RunningSeen((entry(),)), QueueSeen((entry(),), (), 0), RunningSeen(())],
    ],
)
@pytest.mark.parametrize("status", [Status.SENT, Status.PLAYED, Status.UNCERTAIN])
def test_a_private_tip_is_in_no_public_queue(status, views):
    """Neither as itself nor as the shadow that overlapping views make of it."""
    room, _ = live(a_receipt("t1", status, private=True))
    changes = [hear(room, view) for view in views]
    assert "john" not in repr([public(change) for change in changes])
    assert any("john" in repr(entries(change, "queue")) for change in changes)


@pytest.mark.parametrize("amount", ["50 tk", None, "49", 5000])
def test_a_private_tip_is_in_no_public_queue_whatever_its_amount(amount):
    """The vendor's entry may tell it otherwise than it was given; a public tip of his that explains one is shown."""
    room, _ = live(a_receipt("t1", Status.PLAYED, private=True, amount=50), a_receipt("t2", Status.PLAYED, seq=2))
    change = hear(room, read(queue_event([("john", amount)], [("john", 20)])).event)
    (view,) = [body for body in public(change) if "queued" in body]
    assert ([], ["t2"]) == (view["running"], [one["tip"] for one in view["queued"]])
    assert 1 == len(entries(change, "queue")[0]["running"])


# -- what the platform sees ----------------------------------------------------------


def test_a_room_is_shown():
    """Design section 8."""
    room, seat = live(a_receipt("t1", Status.UNCERTAIN), a_receipt("t2", seq=2))
    shown = room_as_json(room)
    assert ("coco", "Coco", True, True, False, 1) == tuple(
        shown[name] for name in ("model", "name", "online", "ready", "held", "generation")
    )
    assert ({"open": 2, "uncertain": 1}, 1, 0) == (shown["tips"], shown["queue"]["line"], shown["unknown_events"])
    room.vendor(seat, False, "blocked", T0)
    assert (False, "blocked") == (room_as_json(room)["ready"], room_as_json(room)["why"])


def test_the_model_entry_is_told_when_it_changes():
    """Online, ready, held: once per change."""
    room, seat = live()
    assert [] == entries(room.vendor(seat, True, None, T0), "model")
    assert [False] == [body["ready"] for body in entries(room.vendor(seat, False, "x", T0), "model")]
    assert [False] == [body["online"] for body in entries(room.leave(seat, T0), "model")]


def test_a_room_with_nobody_and_nothing_is_idle():
    """One with a page, a tip, or a tip that is being kept is not."""
    room, _ = live()
    held = a_room()
    held.accept(a_tip(), T0)
    assert [True, False, False, False] == [
        a_room().idle,
        room.idle,
        held.idle,
        a_room(a_receipt("t1", Status.UNCERTAIN)).idle,
    ]
