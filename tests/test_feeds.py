"""Who sees what of the feed: a type that is nobody's is not shown, and nothing private reaches the public."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit_kit import T0, FakeSocket, a_receipt, a_tip

from relay.announcements import pass_on
from relay.announcer import say
from relay.broadcasts import State
from relay.errors import BadCursor
from relay.events import Message, Toy
from relay.feeds import (
    SHOW,
    TOLD,
    Audience,
    Cursor,
    Draft,
    Entry,
    encode,
    read_cursor,
    settings_entry,
    show,
    tip_entry,
    toy_entry,
)
from relay.hearing import hear
from relay.menus import Level, Menu, Preview
from relay.rooms import Room
from relay.settings import Settings
from relay.stores import ModelRecord
from relay.tips import Status, accept
from relay.vendors import Reading
from relay.vendors.lovense.wire import READERS, read
from relay.wordings import BUILT_IN

COCO = ModelRecord("coco", "Coco", T0)

PUBLIC = [Audience.VIEWER, Audience.CHAT]


def kept(draft, n=1):
    return Entry(n, draft.model, draft.type, draft.at, draft.body)


def seen(draft, audience=Audience.VIEWER):
    return show(kept(draft), audience)


# -- cursors ----------------------------------------------------------


@given(st.from_regex(r"[a-z0-9]{1,32}", fullmatch=True), st.integers(0, 10**18 - 1))
def test_a_cursor_is_read_as_it_was_written(epoch, n):
    """It names the store's life and a place in it."""
    assert Cursor(epoch, n) == read_cursor(str(Cursor(epoch, n)))


@pytest.mark.parametrize(
    "text",
    ["", "5", "-5", "ab-", "ab-x", "AB-1", "ab-1 ", "ab--1", "ab-1\n", "a" * 33 + "-1", "ab-" + "1" * 19, "ab-１"],
)
def test_what_is_no_cursor_is_refused(text):
    """And the refusal says how to go on."""
    with pytest.raises(BadCursor, match="leave it out"):
        read_cursor(text)


# -- the table of audiences ----------------------------------------------------------


def test_the_platform_sees_everything():
    """Of every type."""
    body = {
        "anything": 1,
        "private": True,
        "shown_as": "x",
        "running": [],
        "queued": [],
        "waiting": 0,
        "on": True,
        "list": [],
    }
    assert [body] * len(SHOW) == [seen(Draft("coco", kind, T0, body), Audience.PLATFORM) for kind in SHOW]


def test_a_chat_gets_words_and_what_they_are_about():
    """The toy and the queue are for those who draw them."""
    chat, viewer = ({kind for kind, seen_by in SHOW.items() if one in seen_by} for one in PUBLIC[::-1])
    assert ({"announcement", "tip", "menu", "settings", "model"}, {"queue", "toy"}) == (chat, viewer - chat)


@pytest.mark.parametrize("audience", list(Audience))
def test_a_type_without_a_row_is_nobodys(audience):
    """Forgetting it does not publish it."""
    assert encode("e", Entry(1, "coco", "secret", T0, {"text": "x"}), audience) is None


@pytest.mark.parametrize("audience", PUBLIC)
def test_the_public_sees_the_alias(audience):
    """The real name is the platform's."""
    draft = tip_entry(a_receipt(anonymous=True, shown="Anonymous"))
    assert {"tip": "t1", "status": "accepted", "amount": 20, "tipper": "Anonymous"} == seen(draft, audience)
    assert "john" == seen(draft, Audience.PLATFORM)["tipper"]


@pytest.mark.parametrize("audience", PUBLIC)
def test_the_public_does_not_see_a_private_tip(audience):
    """Whatever becomes of it."""
    drafts = [tip_entry(a_receipt(status=status, private=True)) for status in TOLD]
    assert [None] * len(TOLD) == [seen(draft, audience) for draft in drafts]


def test_a_viewer_sees_which_kind_of_toy():
    """Not its id, not its given name, not its battery."""
    state = State(toys=(Toy("l58f167da065", "lush", "Lulu", True, 80),), toys_on=True)
    assert {"on": True, "list": [{"type": "lush", "on": True}]} == seen(toy_entry("coco", state, T0))


def test_the_public_queue_is_without_private_entries():
    """The others stand."""
    entries = [
        {"tip": "t1", "tipper": "john", "amount": 1, "private": True},
        {"tip": None, "tipper": "kate", "amount": 2},
    ]
    body = {"running": entries, "queued": None, "waiting": 1}
    shown = seen(Draft("coco", "queue", T0, body))
    assert {"running": entries[1:], "queued": [], "waiting": 1} == shown


@pytest.mark.parametrize(
    ("message", "private"), [(Message("psst", "john"), False), (Message("hi"), True), (Message("psst", "?"), True)]
)
def test_private_words_reach_the_platform_only(message, private):
    """A legacy `to`, or words about a private tip (facts.md H7, H32)."""
    draft = pass_on("coco", message, T0, "t1", private)
    assert [None, None, message.text] == [
        seen(draft, Audience.VIEWER),
        seen(draft, Audience.CHAT),
        seen(draft, Audience.PLATFORM)["text"],
    ]


def test_everybody_sees_how_it_stands():
    """Online, ready, held, and the menu."""
    model = Draft("coco", "model", T0, {"online": True, "ready": False, "held": True, "generation": 7})
    assert {"online": True, "ready": False, "held": True} == seen(model)
    menu = settings_entry("coco", State(menu=Menu((Level(1, 1, 9, 2, 5, 0),))), T0)
    assert [1] == [level["level"] for level in seen(menu)["levels"]]


def test_an_entry_is_json_with_its_cursor():
    """Id, type, model, time, and its own fields."""
    entry = kept(say(COCO, BUILT_IN, "held", T0)[0], 17)
    assert {
        "id": "abc-17",
        "type": "announcement",
        "model": "coco",
        "at": "2023-11-14T22:13:20.000Z",
        "text": "Coco has paused tips. They will be played when she continues.",
        "source": "relay",
        "kind": "held",
    } == orjson.loads(encode("abc", entry, Audience.VIEWER))


# -- what becomes an entry ----------------------------------------------------------


@pytest.mark.parametrize("status", list(Status))
def test_every_step_but_one_is_told(status):
    """`sent` is between the relay and the page."""
    draft = tip_entry(a_receipt(status=status))
    assert (draft is None) is (status is Status.SENT)
    assert draft is None or status == draft.body["status"]


def test_a_tip_says_what_it_will_do():
    """As far as the settings tell; and what it does, as the vendor says."""
    told = tip_entry(a_receipt(), Preview(True, 2, None, 5.0)).body
    assert (2, None, 5.0) == (told["level"], told["special"], told["seconds"])
    assert "level" not in tip_entry(a_receipt(), Preview(False)).body
    evidence = {"level": 5, "special": None, "seconds": 30}
    assert 30 == tip_entry(a_receipt(status=Status.RUNNING, evidence=evidence)).body["seconds"]


# -- nothing private in any byte ----------------------------------------------------------

SECRET = "Zq7private"
REAL = "Zq7realname"
TOY = "Zq7toyid"
NAMES = st.sampled_from(["a", "jo", "john", "kate", "reacting to"])
AMOUNTS = st.sampled_from([1, 2, "1 tk"])
REACTIONS = st.lists(st.fixed_dictionaries({"tipperName": NAMES | st.just(SECRET), "amount": AMOUNTS}), max_size=3)
EVENTS = (
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["tipQueueStatus", "tipRunning"]),
            "detail": st.fixed_dictionaries(
                {"running": REACTIONS}, optional={"queue": REACTIONS, "waiting": REACTIONS}
            ),
        }
    )
    | st.fixed_dictionaries(
        {"type": st.just("message"), "detail": (NAMES | st.just(SECRET)).map("reacting to {}'s tip".format)},
        optional={"to": st.just("x")},
    )
    | st.fixed_dictionaries(
        {
            "type": st.just("toy"),
            "detail": st.lists(
                st.fixed_dictionaries(
                    {
                        "id": st.just(TOY),
                        "name": st.just(TOY),
                        "type": st.just("lush"),
                        "status": st.sampled_from(["on", "off", ""]),
                    }
                ),
                max_size=2,
            ),
        }
    )
    | st.fixed_dictionaries(
        {"type": st.sampled_from([*READERS]), "detail": st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)}
    )
)
STEPS = st.lists(
    EVENTS | st.sampled_from(["ack", "answer", "tick", "reload", "elsewhere", "leave", "hold", "stop", "release"]),
    max_size=12,
)


@given(STEPS, st.lists(st.booleans(), min_size=1, max_size=4))
def test_nothing_private_is_in_any_byte_of_the_public_feed(steps, privates):
    """Whatever the page and the vendor say in whatever order: no private tip, no name behind an alias, no toy's id.

    The vendor speaks of the private tipper only while a private tip is open with it: else it is a stranger.
    """
    show_room = PublicRoom()
    for n, private in enumerate(privates):
        secret = {"tipper": SECRET, "private": True}
        alias = {"tipper": REAL, "shown": "reacting to" if n % 2 else "john", "anonymous": True}
        show_room.take(a_tip(f"{SECRET}{n}" if private else f"t{n}", amount=1, **secret if private else alias))
    for step in steps:
        show_room.walk(step)
    for audience in PUBLIC:
        data = b"".join(filter(None, (encode("e", kept(draft), audience) for draft in show_room.drafts)))
        assert [] == [word for word in (SECRET, REAL, TOY) if word.encode() in data]


class PublicRoom:
    """A room, and every entry that it makes."""

    def __init__(self):
        self.room, self.at, self.drafts, self.seat = (
            Room.restored(COCO, [], Settings(reaction_grace=20.0)),
            T0,
            [],
            None,
        )
        self.arrive("j1")

    def note(self, change):
        self.drafts.extend(change.entries)

    def arrive(self, journal):
        self.seat, change = self.room.arrive(FakeSocket(), journal, "p1", True, False, self.at)
        self.note(change)

    def take(self, tip):
        receipt, token = self.room.accept(accept(tip, self.at), self.at)
        self.drafts.append(tip_entry(accept(tip, self.at)))
        self.room.accepted(receipt, token)
        self.room.hand_over(receipt, self.at)

    def walk(self, step):
        room, self.at = self.room, self.at + 7
        sent = next(iter(room.line.sent), "nobody")
        line = room.line
        given = [one.tip for part in (line.sent, line.called, line.late, line.uncertain) for one in part.values()]
        told = isinstance(step, dict) and (SECRET not in repr(step) or any(tip.private for tip in given))
        match step:
            case dict() if told:
                self.note(hear(room, self.seat, 0, Reading(read(step).event), self.at))
            case "ack":
                self.note(room.acknowledge(sent, "played", self.at, self.seat.generation, None, None))
            case "answer":
                self.note(room.answer(self.seat, dict.fromkeys(self.seat.asked, "played"), self.at))
            case "tick":
                self.note(room.tick(self.at))
            case "reload" | "elsewhere":
                self.arrive("j1" if step == "reload" else f"j{self.at}")
            case "leave":
                self.note(room.leave(self.seat, self.at))
            case "hold" | "stop":
                self.note(room.hold(self.at, stop=step == "stop", who="x"))
            case "release":
                self.note(room.release(self.at))
        self.note(room.pump(self.at))
