"""Names in a recording: gone, and the same gone everywhere."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit import TOY, queue_event, queued, running
from unit_kit import recording

from relay.pseudonyms import Pseudonyms

JOHN = "My LOVENSE Lush is now reacting to john's tip. It will stop after 5 sec!"


def told(event: Any, *names: str, **how: Any) -> Any:
    """The event as a recording has it, where these tipped before."""
    pseudonyms = Pseudonyms(**how)
    for name in names:
        pseudonyms.name(name)
    return pseudonyms.event(event)


def detail(text: str, *names: str, **how: Any) -> str:
    return told({"type": "message", "detail": text}, *names, **how)["detail"]


def test_a_name_is_the_same_in_tips_queue_views_and_sentences():
    """One pseudonym per name, in the order they came."""
    pseudonyms = Pseudonyms()
    assert ["viewer-001", "viewer-002", "viewer-001"] == [pseudonyms.name(one) for one in ("john", "jo", "john")]
    seen = pseudonyms.event(queue_event([running("john", 20)], [queued("jo", 5)]))["detail"]
    assert ["viewer-001", "viewer-002"] == [seen["running"][0]["tipperName"], seen["queue"][0]["tipperName"]]
    assert JOHN.replace("john", "viewer-001") == pseudonyms.event({"type": "message", "detail": JOHN})["detail"]


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("johnny and john", ["john", "johnny"], "viewer-002 and viewer-001"),
        ("JOHN's tip", ["john"], "viewer-001's tip"),
        ("jo ann has control", ["jo", "jo ann"], "viewer-002 has control"),
        ("感谢約翰的小费", ["約翰"], "感谢viewer-001的小费"),
        ("a+b (x) tipped", ["a+b (x)"], "viewer-001 tipped"),
        ("reacting to mary's tip, 5 sec", [], "reacting to viewer-001's tip, 5 sec"),
        ("mary has control of my toy for 5 minutes", [], "… has control of my toy for 5 minutes"),
        ("reacting to Anonymous's tip", [], "reacting to Anonymous's tip"),
        ("the queue is cleared", [], "the queue is cleared"),
    ],
)
def test_names_inside_sentences(text, names, expected):
    """Known ones by their pseudonym, unknown owners too; in words about nobody known only the vendor's are kept."""
    assert expected == detail(text, *names, alias="Anonymous")


@pytest.mark.parametrize("names", [True, False])
def test_secrets_never_show(names):
    """Not with names either: tokens, links with tokens, toy ids."""
    token = "mT0ken+/=of-the-model"
    pseudonyms = Pseudonyms(names=names, secrets=[token])
    shown = json.dumps(
        [
            pseudonyms.event({"type": "toy", "status": "on", "detail": [TOY]}),
            pseudonyms.event({"type": "toy", "status": "on", "detail": json.dumps({"ab12cd34ef56": {"status": 1}})}),
            pseudonyms.event(queue_event([running("john", 20)])),
            pseudonyms.event({"type": "cLink", "to": "john", "detail": "https://c.example/x?utoken=abc"}),
            pseudonyms.event({"type": "message", "detail": f"see c.example/abc or {token} or {'a1' * 20}"}),
            pseudonyms.event({"type": "odd", "toys": {TOY["id"]: f"{TOY['id']} is {token}"}}),
        ]
    )
    found = [one for one in (token, TOY["id"], "ab12cd34ef56", "c.example", "a1a1", "utoken") if one in shown]
    assert [] == found
    assert names is ("john" in shown)


@pytest.mark.parametrize("keeps", [False, True])
def test_a_name_like_a_link_or_a_token_is_still_one_name(keeps):
    """In its tip and in the queue."""
    for name in ("www.john.example/me", "a1" * 20):
        pseudonyms = Pseudonyms(names=keeps)
        in_tip = pseudonyms.name(name)
        assert in_tip == pseudonyms.event(queue_event([], [queued(name, 5)]))["detail"]["queue"][0]["tipperName"]


def test_no_toys_id_shows_however_it_comes():
    """As a map, as JSON in JSON in a map, in a list."""
    for kind in ("lan toys", "callback toys", "sdk toys", "extension toy"):
        assert "a1" not in json.dumps(told(recording("siblings")[kind])).replace("toy-001", "")


def test_what_is_no_name_stays():
    """A tipper called like a toy, a level or a number changes no state."""
    for kind in ("settings", "toy"):
        event = recording("camkit")[kind]
        seen = told(event, "lush", "22", "on", "level1", "earthquake")
        assert event == json.loads(json.dumps(seen).replace("toy-001", TOY["id"]))
    view = recording("camkit")["tipQueueStatus"]
    seen = told(view, "Basic Level", "lush", "20")["detail"]["running"][0]
    assert [20, 30, "Basic Level", "lush"] == [
        seen["amount"],
        seen["time"],
        seen["module"],
        seen["reactToys"][1]["toyType"],
    ]


def test_a_number_as_a_name_is_one():
    """'69' in the queue, as text and as number."""
    assert ["viewer-001"] * 2 == [
        told({"type": "tipRunning", "detail": {"tipperName": one}})["detail"]["tipperName"] for one in ("69", 69)
    ]


def test_unknown_events_lose_every_known_name():
    """In values and in keys, however deep."""
    seen = told({"type": "new", "by": {"john": [{"who": "it was john!"}]}, "to": "mary"}, "john")
    assert {"type": "new", "by": {"viewer-001": [{"who": "it was viewer-001!"}]}, "to": "viewer-002"} == seen


def test_recording_a_replay_changes_nothing():
    """What is a pseudonym stays one."""
    once = Pseudonyms().event({"type": "message", "detail": JOHN})
    assert once == Pseudonyms().event(once)


names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(str.strip)


@given(name=names.filter(lambda one: len(one) > 2 and one.casefold() not in JOHN.casefold() + "viewer-001"))
def test_no_name_is_left_in_a_sentence(name):
    """Whatever letters it has."""
    assert name not in detail(JOHN.replace("john", name), name)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=10,
    ),
    st.sampled_from(["message", "toy", "settings", "tipQueueStatus", "tip", "new"]),
)
def test_anything_can_be_recorded(raw, kind):
    """No event is too odd."""
    pseudonyms = Pseudonyms(secrets=["12345678"], alias="Anonymous")
    pseudonyms.name("john")
    pseudonyms.event(raw)
    pseudonyms.event({"type": kind, "detail": raw})


def test_a_hostile_event_is_quick():
    """Nothing searches it twice over."""
    for text in ("a" * 60_000, "a." * 30_000, "to " * 20_000, "1a-" * 20_000, "[" * 900):
        for kind in ("message", "new"):
            told({"type": kind, "detail": text}, "john", "a")
