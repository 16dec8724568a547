"""The frames of the page's socket: what a page may say, and what it is told (design section 6)."""

import json
from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit_kit import T0, a_receipt

from relay import messages
from relay.messages import (
    KNOWN,
    Ack,
    Answer,
    BadFrame,
    Close,
    EventFrame,
    Frame,
    Hello,
    Pong,
    Release,
    Resolve,
    Stop,
    VendorFrame,
    VendorState,
    read_frame,
)
from relay.tips import Status

FRAMES = [
    (
        {"type": "hello", "ticket": "k", "journal": "j_1", "shim": "1.0.0", "vendor": {"kit": "camkit", "ready": True}},
        Hello("j_1", "k", None, "local", "1.0.0", VendorState("camkit", True)),
    ),
    ({"type": "hello", "resume": "r", "journal": "j_1"}, Hello("j_1", None, "r")),
    ({"type": "answer", "tips": {"t9": "played", "t10": "unseen"}}, Answer({"t9": "played", "t10": "unseen"})),
    ({"type": "ack", "id": "t11", "outcome": "played"}, Ack("t11", "played")),
    ({"type": "ack", "id": "t11", "outcome": "failed", "error": "boom"}, Ack("t11", "failed", "boom")),
    (
        {"type": "ack", "id": "t11", "outcome": "duplicate", "was": "played", "run": 2},
        Ack("t11", "duplicate", None, "played", 2),
    ),
    ({"type": "event", "n": 12, "event": {"type": "toy"}}, EventFrame({"type": "toy"}, 12)),
    ({"type": "event"}, EventFrame(None, 0)),
    ({"type": "vendor", "ready": False, "why": "blocked"}, VendorFrame(False, "blocked")),
    ({"type": "pong", "n": 3, "hidden": True}, Pong(3, True)),
    ({"type": "stop"}, Stop()),
    ({"type": "release"}, Release()),
    ({"type": "resolve", "id": "t1", "as": "skip"}, Resolve("t1", "skip")),
]


@pytest.mark.parametrize(("said", "frame"), FRAMES)
def test_a_frame_is_read(said, frame):
    """Whatever else it carries is ignored."""
    assert frame == read_frame(json.dumps(said)) == read_frame(json.dumps(said | {"extra": [1]}).encode())


def test_every_frame_is_known():
    """By its type."""
    assert {said["type"] for said, _ in FRAMES} == KNOWN


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ("", True),
        ("hello", True),
        ("[]", True),
        ("null", True),
        ("7", True),
        ("{", True),
        ("[" * 100_000, True),
        ('{"type":"ack"}', True),
        ('{"type":"ack","id":7,"outcome":"played"}', True),
        ('{"type":"answer","tips":{"t1":1}}', True),
        ('{"type":"event","n":"1"}', True),
        ('{"type":"vendor","ready":"yes"}', True),
        ('{"type":"event","event":NaN}', True),
        ('{"type":"new"}', False),
        ('{"type":7}', False),
        ("{}", False),
        (b"\xff\xfe", True),
    ],
)
def test_what_is_no_frame_says_why(said, known):
    """And whether its type is one of ours: a newer shim's frames are ignored, not held against it."""
    with pytest.raises(BadFrame) as bad:
        read_frame(said)
    assert (known, True) == (bad.value.known, bool(str(bad.value)))


@pytest.mark.parametrize("half", ["\\ud83d", "\\ude00", "a\\ud83d", "\\ud83d\\ud83d b", "\\ud83d\\\\ude00"])
def test_half_an_emoji_harms_no_event(half):
    """JavaScript writes lone surrogates; the frame is read, with U+FFFD for each (facts.md 1.4, H8)."""
    frame = read_frame('{"type":"event","n":3,"event":{"type":"message","detail":"' + half + '"}}')
    assert (3, True) == (frame.n, "\ufffd" in frame.event["detail"])
    assert frame.event["detail"].encode()


def test_a_whole_emoji_stays_whole():
    """Also beside half of one."""
    assert "\U0001f600\ufffd" == read_frame('{"type":"event","event":"\\ud83d\\ude00\\ud83d"}').event


@given(st.text() | st.binary())
def test_reading_gives_a_frame_or_says_why(data):
    """Never anything else."""
    with suppress(BadFrame):
        assert isinstance(read_frame(data), Frame)


# -- down ----------------------------------------------------------


def test_a_tip_is_written_as_the_shim_reads_it():
    """The alias, a number, the time that is left, and the turn."""
    receipt = a_receipt("t1", Status.SENT, tipper="john", shown="Anonymous", expires_in=60.0)
    assert {
        "type": "tip",
        "id": "t1",
        "tipper": "Anonymous",
        "amount": 20,
        "ttl": 58.2,
        "run": 1,
        "at": T0 + 1.8,
    } == orjson.loads(messages.tip(receipt, run=1, at=T0 + 1.8))


def test_a_welcome_holds_all_that_a_page_needs():
    """Design section 6."""
    given_ = {"model": "coco", "generation": 7, "resume": "r", "heartbeat": 20, "held": False, "stopped": False}
    frame = orjson.loads(messages.welcome(**given_, ask=("t9",), script="https://v/model.js", at=T0))
    assert {"type": "welcome", **given_, "ask": ["t9"], "vendor": {"script": "https://v/model.js"}, "at": T0} == frame


def test_the_other_frames():
    """Each is what the shim knows it by."""
    assert {"type": "ask", "tips": ["t1"]} == orjson.loads(messages.ask(["t1"]))
    assert {"type": "ping", "n": 3, "at": T0} == orjson.loads(messages.ping(3, T0))
    assert {"type": "drain", "in": 7.35} == orjson.loads(messages.drain(7.3456))
    assert ["hold", "release", "stop"] == [
        orjson.loads(frame)["type"] for frame in (messages.HOLD, messages.RELEASE, messages.STOP)
    ]


def test_a_doubt_is_shown_to_the_broadcaster_by_its_alias():
    """What she has to know to say whether it played."""
    receipt = a_receipt("t1", Status.UNCERTAIN, shown="Anonymous")
    assert [{"id": "t1", "tipper": "Anonymous", "amount": 20, "at": "2023-11-14T22:13:20.000Z"}] == orjson.loads(
        messages.uncertain([receipt])
    )["tips"]


def test_close_codes_are_instructions_by_range():
    """An old shim handles a new code by its range, so each code stands in its own."""
    ranges = {"away": 40, "ticket": 41, "back": 42, "now": 43}
    assert ranges == {
        "away": Close.SUPERSEDED // 100,
        "ticket": Close.TICKET_EXPIRED // 100,
        "back": Close.STORE_UNAVAILABLE // 100,
        "now": Close.DRAINING // 100,
    }
    codes = [value for name, value in vars(Close).items() if name.isupper()]
    assert (len(codes), True) == (len(set(codes)), all(4000 < code < 4400 for code in codes))
