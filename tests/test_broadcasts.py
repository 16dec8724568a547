"""What the events of a page add up to: good state is only ever replaced by better (facts.md H27, H33)."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit_kit import entry, recording

from relay.broadcasts import State, doubted, fold, reaction_as_json, state_as_json
from relay.events import ControlLink, Message, QueueSeen, RunningSeen, SettingsSeen, TipHandled, Toy, ToysSeen, Unknown
from relay.menus import Level, Menu, Special
from relay.settings import UNKNOWN_EVENTS_KEPT
from relay.vendors.lovense.wire import read

ON, OFF, UNSAID = (Toy(name, "lush", "", on) for name, on in (("a", True), ("b", False), ("c", None)))
LEVELS = (Level(1, 1, 9, 2, 5, 0),)
SPECIALS = (Special("wave", 15, 10),)
GOOD = State(
    toys=(ON,),
    toys_on=True,
    menu=Menu(LEVELS, SPECIALS),
    running=(entry(),),
    queued=(entry("jane", 5),),
    waiting=2,
    queue_fresh=True,
)


NOTHING = State()


def after(*events, state=NOTHING):
    return reduce(fold, events, state)


def test_nothing_is_known_at_first():
    """What is not known is null, and not fresh."""
    shown = state_as_json(State())
    assert {"on": None, "fresh": False, "list": None} == shown["toys"]
    assert {"fresh": False, "levels": None, "specials": None} == shown["settings"]


def test_the_documented_events_add_up():
    """Toys, settings and queue, each from its own event."""
    camkit = recording("camkit")
    state = after(*(read(camkit[name]).event for name in camkit if name != "source"))
    assert (True, 1, 1, 1) == (state.toys_on, len(state.running), len(state.queued), state.waiting)
    assert {"levels": 1, "specials": 1} == {
        name: len(state_as_json(state)["settings"][name]) for name in ("levels", "specials")
    }


@pytest.mark.parametrize(
    ("toys", "status", "on"),
    [
        ((ON, OFF), False, True),
        ((OFF,), True, False),
        ((), True, False),
        ((), False, False),
        ((), None, False),
        ((UNSAID,), True, True),
        ((UNSAID,), None, None),
        ((UNSAID, OFF), True, False),
        (None, True, True),
        (None, False, False),
    ],
)
def test_the_toys_themselves_are_the_truth(toys, status, on):
    """The top-level word counts where they say nothing (facts.md H33)."""
    assert on is after(ToysSeen(toys, status)).toys_on


def test_a_top_level_word_leaves_the_list():
    """`status` without `detail` says whether, not which."""
    state = after(ToysSeen((ON,), None), ToysSeen(None, False))
    assert ((ON,), False) == (state.toys, state.toys_on)


def test_absent_keeps_and_empty_clears():
    """Of the queue's three parts each for itself (facts.md H27)."""
    state = after(QueueSeen((), None, None), state=GOOD)
    assert ((), GOOD.queued, 2) == (state.running, state.queued, state.waiting)
    state = after(QueueSeen(None, (), 0), state=GOOD)
    assert (GOOD.running, (), 0) == (state.running, state.queued, state.waiting)


def test_a_running_view_touches_only_what_runs():
    """The queue is the queue's (facts.md H28)."""
    state = after(RunningSeen(()), state=GOOD)
    assert ((), GOOD.queued, 2) == (state.running, state.queued, state.waiting)


def test_settings_without_specials_keep_them():
    """Some broadcasts leave them out (facts.md 1.4), and an empty map is empty."""
    levels = (Level(1, 5, None, 3, 20, 0),)
    assert Menu(levels, SPECIALS) == after(SettingsSeen(levels, None), state=GOOD).menu
    assert Menu(levels, ()) == after(SettingsSeen(levels, ()), state=GOOD).menu
    assert Menu((), SPECIALS) == after(SettingsSeen(None, SPECIALS)).menu


@pytest.mark.parametrize(
    "raw",
    [
        None,
        {"type": "tipQueueStatus", "detail": {}},
        {"type": "tipQueueStatus", "detail": {"running": ["x"], "queue": 7}},
        {"type": "tipRunning", "detail": {"running": None}},
        {"type": "settings", "detail": {"levels": {"level1": "?"}, "special": 7}},
        {"type": "toy", "detail": [7]},
        {"type": "toy", "status": "perhaps"},
        {"type": "message", "detail": None},
    ],
)
def test_a_malformed_event_erases_nothing(raw):
    """It is counted and kept raw; the rest stays as it was."""
    state = after(read(raw).event, state=GOOD)
    assert state_as_json(GOOD) | {"unknown_events": state.unknown_events} == state_as_json(state)
    assert (GOOD.running, GOOD.queued, GOOD.waiting) == (state.running, state.queued, state.waiting)


@pytest.mark.parametrize("event", [Message("hi"), TipHandled("john", 20), ControlLink("john")])
def test_words_are_no_state(event):
    """Messages, handled tips and control links leave it alone."""
    assert GOOD == after(event, state=GOOD)


def test_unknown_events_are_counted_and_the_last_ones_kept():
    """A bounded number of them."""
    state = after(*(Unknown("new", str(n)) for n in range(UNKNOWN_EVENTS_KEPT + 5)))
    assert (UNKNOWN_EVENTS_KEPT + 5, UNKNOWN_EVENTS_KEPT, "5") == (
        state.unknown_events,
        len(state.unknown),
        state.unknown[0].raw,
    )


def test_anomalies_are_counted():
    """Also in an event that changes nothing else."""
    assert 3 == fold(fold(State(), Message("hi"), 1), Message("hi"), 2).anomalies


def test_a_reconnect_makes_everything_doubtful():
    """What was known stays, not fresh, until the page speaks again."""
    state = after(ToysSeen((ON,), True), SettingsSeen(LEVELS, ()), QueueSeen((), (), 0))
    gone = doubted(state)
    assert (True, True, True) == (state.toys_fresh, state.menu_fresh, state.queue_fresh)
    assert (False, False, False) == (gone.toys_fresh, gone.menu_fresh, gone.queue_fresh)
    assert (state.toys, state.menu) == (gone.toys, gone.menu)


@pytest.mark.parametrize(
    ("event", "busy"),
    [
        (QueueSeen((), (), 0), False),
        (QueueSeen((entry(),), (), 0), True),
        (QueueSeen((), (entry(),), 0), True),
        (QueueSeen((), (), 1), True),
    ],
)
def test_a_busy_vendor_explains_a_wait(event, busy):
    """Something runs, waits or is set aside, and the page vouches for it."""
    assert busy is after(event).vendor_busy
    assert not doubted(after(event)).vendor_busy


def test_an_entry_is_shown_with_its_tip_or_as_external():
    """Design section 8."""
    shown = {"tipper": "john", "amount": 20, "seconds": 6, "level": 2, "special": None}
    assert shown | {"tip": "t1", "external": False} == reaction_as_json(entry(seconds=6, level=2), "t1")
    assert shown | {"tip": None, "external": True} == reaction_as_json(entry(seconds=6, level=2), None)


PARTS = st.none() | st.lists(st.builds(entry, st.sampled_from("ab"), st.integers(1, 2)), max_size=3).map(tuple)
EVENTS = (
    st.builds(QueueSeen, PARTS, PARTS, st.none() | st.integers(0, 3))
    | st.builds(RunningSeen, PARTS)
    | st.builds(
        ToysSeen, st.none() | st.lists(st.sampled_from([ON, OFF, UNSAID])).map(tuple), st.none() | st.booleans()
    )
)


@given(st.lists(EVENTS, max_size=10))
def test_known_never_becomes_unknown(events):
    """Whatever is said after it."""
    state = State()
    for event in events:
        before, state = state, fold(state, event)
        for name in ("toys", "running", "queued", "waiting"):
            assert getattr(before, name) is None or getattr(state, name) is not None
