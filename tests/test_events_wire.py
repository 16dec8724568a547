"""The vendor's words made ours, in every spelling that was seen (facts.md 1.4, H26-H33)."""

import json
import math
import sys
from collections import UserDict
from dataclasses import astuple

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit_kit import recording

from relay.events import (
    ControlLink,
    Message,
    QueueSeen,
    Reaction,
    RunningSeen,
    SettingsSeen,
    TipHandled,
    Toy,
    ToysSeen,
    Unknown,
)
from relay.menus import Level, Special
from relay.vendors import Reading
from relay.vendors.lovense.wire import ENTRIES_MAX, RAW_LENGTH_MAX, READERS, read

CAMKIT, SIBLINGS, CAPTURES = recording("camkit"), recording("siblings"), recording("captures")
JOHN = Reaction("john", 20, 30, 5)


def event(kind, detail=..., **fields):
    """The event in one message, whatever could not be read in it."""
    return read({"type": kind} | ({} if detail is ... else {"detail": detail}) | fields).event


def queue(**detail):
    return event("tipQueueStatus", detail)


def entry(**fields):
    """The one entry that runs."""
    return event("tipRunning", {"running": [{"tipperName": "john", "amount": 20} | fields]}).running[0]


# -- the documents' samples ----------------------------------------------------------


def test_the_documented_message():
    """Its text is passed on as it stands."""
    assert (
        Message("My LOVENSE Lush is now reacting to john's tip. It will stop after 5 sec!")
        == read(CAMKIT["message"]).event
    )


def test_the_documented_settings():
    """Numbers are numbers, though the event writes them as text and `getSettings()` does not."""
    assert SettingsSeen((Level(1, 1, 9, 2, 0, 0),), (Special("earthquake", 120, 22),)) == read(CAMKIT["settings"]).event
    assert SettingsSeen((Level(1, 3, 10, 3, 5, 0),), (Special("clear", 20, None),)) == read(CAMKIT["getSettings"]).event


def test_the_documented_toys():
    """From the event and from `getToys()`."""
    assert ToysSeen((Toy("l58f167da065", "lush", "", True),), True) == read(CAMKIT["toy"]).event
    assert ToysSeen((Toy("XXXXXXXXXXXX", "lush", "", True),), None) == read(CAMKIT["getToys"]).event


def test_the_documented_queue():
    """A "Basic Level" entry is no special, whatever its toys carry; entries that wait are counted."""
    assert QueueSeen((JOHN,), (Reaction("john", 20),), 1) == read(CAMKIT["tipQueueStatus"]).event
    assert RunningSeen((JOHN,)) == read(CAMKIT["tipRunning"]).event


@pytest.mark.parametrize("name", [name for name in CAMKIT if name != "source"])
def test_a_documented_sample_reads_without_an_anomaly(name):
    """Also as JSON text in a string."""
    assert () == read(CAMKIT[name]).anomalies
    assert read(CAMKIT[name]) == read(json.dumps(CAMKIT[name]))


# -- what was seen elsewhere ----------------------------------------------------------


def test_the_legacy_events():
    """A private message keeps whom it is for; a control link is only a fact."""
    assert Message("Thank you! Your control link is ready.", "john") == read(SIBLINGS["v1 message"]).event
    assert TipHandled("john", 20) == read(SIBLINGS["v1 tip"]).event
    assert ControlLink("john") == read(SIBLINGS["v1 cLink"]).event


def test_a_control_link_never_travels():
    """It is for one tipper's eyes, so it is in nothing that we keep of it."""
    assert "secret" not in repr(read(SIBLINGS["v1 cLink"]))


def test_the_extensions_queue():
    """The same under another name: `level` empty, `specialType` set, numbers as text."""
    assert (
        QueueSeen((Reaction("john", 120, 22, None, "earthquake"),), (), 0)
        == read(SIBLINGS["extension tipQueueChange"]).event
    )


def test_the_extensions_specials():
    """`token`, `tokens`, `tokensBegin` to `tokensEnd`; empty is switched off."""
    assert (Special("giveControl", 200, 60, 300), Special("randomTime", 33, None)) == read(
        SIBLINGS["extension special"]
    ).event.specials


@pytest.mark.parametrize(
    ("name", "toys"),
    [
        ("extension toy", [Toy("a1", "lush", "", True, 80)]),
        ("lan toys", [Toy("a1", "", "lush", True, 100)]),
        ("callback toys", [Toy("a1", "", "lush", True), Toy("b2", "", "max", False)]),
        ("sdk toys", [Toy("a1", "lush", "", True)]),
    ],
)
def test_toys_come_as_list_map_or_text(name, toys):
    """JSON inside JSON, a map by id, `connected` for `status`: all the same toys."""
    assert tuple(toys) == read(SIBLINGS[name]).event.toys


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("S16 2025-03 lovenseDetails", TipHandled("<user>", 180)),
        ("S15 settings", SettingsSeen((Level(1, 2, 9, 5, 5, None),), None)),
    ],
)
def test_a_production_capture_reads(name, found):
    """Mixed numbers, `rLevel` missing, `special` left out: unknown, not empty."""
    assert found == read(CAPTURES[name]).event


@pytest.mark.parametrize("name", ["S15 2026-03 lovenseDetails", "S15 clear", "S15 pause", "S15 tip row"])
def test_a_capture_without_a_type_is_kept_raw(name):
    """It travels as it came, for whoever has to teach us."""
    found = read(CAPTURES[name]).event
    assert ("without a type", CAPTURES[name]) == (found.kind, json.loads(found.raw))


# -- single values ----------------------------------------------------------


@pytest.mark.parametrize("value", ["on", "ON", " on ", 1, 1.0, "1", True, "true", "online", "yes"])
def test_on_in_every_spelling(value):
    assert (True, ()) == ((seen := read({"type": "toy", "status": value})).event.on, seen.anomalies)


@pytest.mark.parametrize("value", ["off", "Off", 0, 0.0, "0", False, "false", "offline", "no"])
def test_off_in_every_spelling(value):
    assert (False, ()) == ((seen := read({"type": "toy", "status": value})).event.on, seen.anomalies)


@pytest.mark.parametrize("value", ["maybe", 2, 0.5, -1, [], [1], {"isEnabled": True}, math.nan, math.inf])
def test_a_switch_that_says_neither_is_an_anomaly(value):
    """The toys are seen, their state is not known."""
    seen = read({"type": "toy", "detail": [{"id": "a1", "status": value}]})
    assert (None, ("status",)) == (seen.event.toys[0].on, seen.anomalies)


@pytest.mark.parametrize(
    ("value", "number"), [(20, 20), ("20", 20), (" 20 ", 20), (20.0, 20), ("20.0", 20), ("2e1", 20)]
)
def test_a_number_in_every_spelling(value, number):
    """And it is a whole one where it can be."""
    amount = entry(amount=value).amount
    assert (number, int) == (amount, type(amount))


@pytest.mark.parametrize("value", [None, "", " ", "-", "null", "undefined", "Infinity"])
def test_an_empty_number_is_unknown(value):
    """Nothing was said, so nothing is wrong."""
    seen = read({"type": "tipRunning", "detail": {"running": [{"tipperName": "john", "amount": value}]}})
    assert (None, ()) == (seen.event.running[0].amount, seen.anomalies)


@pytest.mark.parametrize("value", [True, False, "12abc", [], {}, math.nan, math.inf, 2**80, "1e400", "nan", 20.5])
def test_a_number_that_is_none_is_an_anomaly(value):
    """The field is unknown, the rest of the event counts."""
    seen = read({"type": "tipRunning", "detail": {"running": [{"tipperName": "john", "amount": value}]}})
    assert (Reaction("john", None), ("amount",)) == (seen.event.running[0], seen.anomalies)


def test_seconds_may_be_fractions():
    """Levels and amounts may not."""
    assert (2.5, None) == (entry(time="2.5").seconds, entry(level="2.5").level)


def test_a_name_that_looks_like_a_number_is_a_name():
    """`69` is somebody (facts.md H25)."""
    assert ("69", "69", "") == (entry(tipperName="69").name, entry(tipperName=69).name, entry(tipperName=None).name)


def test_our_own_id_comes_back_if_the_vendor_echoes_it():
    """In the object, or the object as text (facts.md 1.6)."""
    assert "t1" == entry(cParameter={"relayTipId": "t1"}).echo
    assert "t1" == entry(cParameter='{"relayTipId":"t1"}').echo
    assert [None] * 3 == [entry(cParameter=other).echo for other in ({}, None, {"relayTipId": ["t1"]})]


# -- settings ----------------------------------------------------------


def levels(**given):
    return event("settings", {"levels": given}).levels


def test_levels_stand_in_the_order_of_their_numbers():
    """`level10` after `level9`, not after `level1` (facts.md H35)."""
    names = ["level10", "level1", "level9", "level2"]
    assert [1, 2, 9, 10] == [one.level for one in levels(**{name: {"min": 1} for name in names})]


def test_an_open_end_arrives_as_null():
    """`Infinity` does not survive `JSON.stringify`."""
    assert [None, None, 9] == [
        one.max for one in levels(level1={"min": 1, "max": None}, level2={"min": 1}, level3={"min": 1, "max": "9"})
    ]


def test_levels_may_be_a_list_or_text():
    """Numbered from 1."""
    one = {"min": "1", "max": "9"}
    assert [1, 2] == [level.level for level in event("settings", {"levels": [one, one]}).levels]
    assert 1 == len(event("settings", json.dumps({"levels": json.dumps({"level1": one})})).levels)


@pytest.mark.parametrize("broken", [None, 7, "x", [], {"max": 9}, {"min": ""}, {"min": "abc"}])
def test_a_broken_level_harms_no_other(broken):
    """It is left out, the others stand."""
    assert [2] == [one.level for one in levels(level1=broken, level2={"min": 1})]


def special(**fields):
    found = event("settings", {"special": {"wave": fields}}).specials
    return found[0] if found else None


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"token": "120", "time": "22"}, Special("wave", 120, 22)),
        ({"tokens": 120}, Special("wave", 120, None)),
        ({"token": "", "tokens": "33"}, Special("wave", 33, None)),
        ({"tokensBegin": "10", "tokensEnd": "20"}, Special("wave", 10, None, 20)),
        ({"tokensBegin": "10", "tokensEnd": ""}, Special("wave", 10, None)),
        ({"token": 120, "enable": False}, Special("wave", 120, None, enabled=False)),
        ({"token": 120, "enable": "0"}, Special("wave", 120, None, enabled=False)),
        ({"token": 120, "enable": "on"}, Special("wave", 120, None)),
        ({"token": ""}, None),
        ({"token": None}, None),
        ({"token": 0}, None),
        ({"token": "abc"}, None),
        ({}, None),
    ],
)
def test_a_special_in_every_spelling(fields, found):
    """One amount or a range, on or off; without an amount it is switched off."""
    assert found == special(**fields)


def test_a_part_left_out_is_unknown_and_an_empty_one_is_empty():
    """Absent is not empty (facts.md H27)."""
    level = {"level1": {"min": 1}}
    assert (None, ()) == (
        event("settings", {"levels": level}).specials,
        event("settings", {"levels": level, "special": {}}).specials,
    )
    assert (None, ()) == (
        event("settings", {"special": {}}).levels,
        event("settings", {"levels": {}, "special": {}}).levels,
    )


@pytest.mark.parametrize(
    "detail", [{"levels": {"level1": "x", "level2": 7}}, {"levels": "x"}, {"special": [1]}, {"levels": [1]}]
)
def test_settings_in_which_nothing_can_be_read_erase_nothing(detail):
    """They are an anomaly, not an empty menu."""
    assert isinstance(event("settings", detail), Unknown)


# -- toys and queues ----------------------------------------------------------


@pytest.mark.parametrize("detail", [..., None, "", "junk", 7, [7, "x"]])
def test_toys_that_cannot_be_read_are_unknown(detail):
    """Only the vendor's top-level word is left."""
    assert ToysSeen(None, True) == event("toy", detail, status="on")


@pytest.mark.parametrize("detail", [[], {}, "[]", "{}", [None], [None, None]])
def test_no_toys_are_no_toys(detail):
    """An empty list says so; a hole is nothing."""
    assert ToysSeen((), None) == event("toy", detail)


@pytest.mark.parametrize(("status", "toys"), [("on", ["off"]), ("on", []), ("off", ["on"])])
def test_a_contradiction_between_toys_and_status_is_an_anomaly(status, toys):
    """Both are kept; the state believes the toys (facts.md H33)."""
    seen = read({"type": "toy", "status": status, "detail": [{"id": "a", "status": one} for one in toys]})
    assert (status == "on", ("status",)) == (seen.event.on, seen.anomalies)


def test_absent_null_and_empty_are_three_things():
    """Absent and null are unknown, `[]` is empty (facts.md H27)."""
    assert QueueSeen((), None, None) == queue(running=[])
    assert QueueSeen(None, (), 0) == queue(running=None, queue=[], waiting=[])


@pytest.mark.parametrize("waiting", [[1, 2], [None, {}], {"a": 1, "b": 2}, "[{},{}]"])
def test_waiting_entries_are_counted(waiting):
    """What they are nobody has said (facts.md H37)."""
    assert 2 == queue(waiting=waiting).waiting


@pytest.mark.parametrize(
    "running", [[None, {"tipperName": "john", "amount": 20}], {"0": {"tipperName": "john", "amount": 20}}]
)
def test_holes_and_maps_are_read(running):
    """A hole is dropped, a map is a list."""
    assert (Reaction("john", 20),) == queue(running=running).running


@pytest.mark.parametrize("running", [[7], ["x", [1]], "junk", 7, {"tipperName": "john", "amount": 20}])
def test_a_queue_that_cannot_be_read_is_not_an_empty_one(running):
    """What is known stays known, and the field is named."""
    seen = read({"type": "tipQueueStatus", "detail": {"running": running, "queue": []}})
    assert (QueueSeen(None, (), None), ("running",)) == (seen.event, seen.anomalies)


KNOWN = ["tipQueueStatus", "tipRunning", "settings", "getSettings", "toy", "message"]
NOTHING = [..., None, {}, [], 7, True]
READABLE = [("message", 7), ("toy", {}), ("toy", [])]  # words may be numbers, toys may be none


@pytest.mark.parametrize(
    ("kind", "detail"), [(kind, detail) for kind in KNOWN for detail in NOTHING if (kind, detail) not in READABLE]
)
def test_a_known_type_with_nothing_in_it_changes_nothing(kind, detail):
    """It is unknown, and so erases nothing."""
    assert kind == event(kind, detail).kind


@pytest.mark.parametrize(
    ("to", "found"),
    [(..., None), (None, None), ("", None), ("john", "john"), (17, "17"), ({"name": "john"}, "?"), (True, "?")],
)
def test_a_message_to_somebody_is_private_however_it_is_spelled(to, found):
    """An address that we cannot read is an address (facts.md H32)."""
    assert Message("psst", found) == event("message", "psst", **({} if to is ... else {"to": to}))


# -- what we do not know ----------------------------------------------------------


@pytest.mark.parametrize(
    "raw", [None, "words", 7, True, [], [{"type": "toy"}], {}, {"type": None}, {"type": 7}, {"type": "new"}, "{", ""]
)
def test_what_we_do_not_know_still_travels(raw):
    """Whatever the page passed on, as text that can be kept."""
    found = read(raw).event
    assert isinstance(found, Unknown)
    assert RAW_LENGTH_MAX >= len(found.raw)


def test_a_megabyte_is_cut_short():
    """Of an unknown event only the beginning is kept, of a list a bounded part."""
    assert RAW_LENGTH_MAX == len(event("new", "x" * 2**20).raw)
    assert ENTRIES_MAX == len(queue(running=[{"amount": 1}] * 20_000).running)


def test_a_circle_is_survived():
    """It cannot come over a wire; nothing raises all the same."""
    circle: dict = {"type": "new"}
    circle["detail"] = circle
    assert isinstance(read(circle).event, Unknown)


@pytest.mark.parametrize("kind", [*READERS, "new"])
def test_depth_is_survived(kind):
    """Lists within lists, far deeper than anybody reads."""
    deep: list = []
    for _ in range(sys.getrecursionlimit() * 3):
        deep = [deep]
    for detail in (deep, {"running": deep, "levels": deep}, "[" * 100_000, {"running": "[" * 100_000}):
        assert isinstance(read({"type": kind, "detail": detail, "status": deep, "to": deep}), Reading)
    while deep:  # taking it apart by hand: the interpreter would do that recursively
        deep = deep[0]


# -- anything at all ----------------------------------------------------------

FIELDS = "type detail status to running queue waiting levels level1 special wave token tokensEnd enable min max time"
FIELDS += " amount tipperName cParameter relayTipId id connected battery specialType level name"
TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=12)
WORDS = st.sampled_from(["on", "1", "", "Infinity", "{", "[]", "[{}]", '{"a":"\ud83d"}', "null", "\ud83d", "1e5"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | WORDS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS.split()) | TEXT, inner, max_size=6)
    ),
    max_leaves=25,
)


@given(
    JSON
    | st.fixed_dictionaries(
        {"type": st.sampled_from([*READERS])}, optional={"detail": JSON, "status": JSON, "to": JSON}
    )
)
def test_reading_never_raises_and_what_it_reads_can_be_kept(raw):
    """Whatever came: an event, made of values that the store and the feed can write."""
    reading = read(raw)
    assert isinstance(reading, Reading)
    assert orjson.dumps(astuple(reading.event))


@given(st.dictionaries(st.integers() | st.binary() | st.tuples(st.integers()), JSON, max_size=3))
def test_reading_survives_what_is_not_json(raw):
    """Keys that are no text, objects that are no data."""
    assert isinstance(read(raw).event, Unknown)
    assert isinstance(read(UserDict(type="toy")).event, Unknown)
