"""Words for the chat room: the vendor's verbatim, the relay's from templates."""

import pytest
from unit_kit import T0

from relay.announcements import MENU_TEXT_ROWS_MAX, announce, announce_tips, described, effect, menu_text, pass_on
from relay.events import Message
from relay.menus import Level, Menu, Special
from relay.wordings import BUILT_IN, KINDS

ENGLISH = BUILT_IN.of(None)
PLAIN = [kind for kind, templates in KINDS.items() if (kind,) == templates and kind not in ("settings", "queue")]


def twin(n=1, tipper="john", **fields):
    return {
        "tip": f"t{n}",
        "tipper": tipper,
        "amount": 20,
        "level": 2,
        "special": None,
        "seconds": 6,
        "reacts": True,
    } | fields


def told(*twins):
    return announce_tips("coco", "Coco", ENGLISH, list(twins), T0).body


@pytest.mark.parametrize("kind", PLAIN)
def test_the_relays_words_name_the_model_and_the_source(kind):
    """And what kind of words they are, for a platform that has its own."""
    draft = announce("coco", ENGLISH, kind, T0, name="Coco")
    assert ("announcement", "relay", kind) == (draft.type, draft.body["source"], draft.body["kind"])
    assert draft.body["text"].startswith("Coco")


def test_a_name_is_not_a_template():
    """Braces and tags in it stay what they are: text."""
    body = announce("coco", ENGLISH, "stopped", T0, name="{name} <b>{0}</b>").body
    assert "{name} <b>{0}</b> has stopped the toy." == body["text"]


# -- tips ----------------------------------------------------------


def test_a_tip_is_told_with_what_it_will_do():
    """The sentence, and beside it the same as data."""
    body = told(twin())
    assert "john tipped 20 tokens: level 2 for 6 s." == body["text"]
    (data,) = body["tips"]
    assert {"tip": "t1", "tipper": "john", "amount": 20, "level": 2, "special": None, "seconds": 6} == data
    assert ("relay", "tip", "t1") == (body["source"], body["kind"], body["tip"])


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"level": None, "special": "earthquake", "seconds": 22.5}, "john tipped 20 tokens: earthquake for 22.5 s."),
        ({"seconds": None}, "john tipped 20 tokens: level 2."),
        ({"level": None, "seconds": None, "reacts": False}, "john tipped 20 tokens: no reaction."),
        ({"level": None, "seconds": None, "reacts": None}, "john tipped 20 tokens."),
        ({"tipper": "{amount} <i>"}, "{amount} <i> tipped 20 tokens: level 2 for 6 s."),
    ],
)
def test_what_is_not_known_is_not_told(fields, text):
    """Without settings nobody knows; a level whose time the vendor left out has none."""
    assert text == told(twin(**fields))["text"]


def test_several_tips_are_one_sentence_and_all_of_their_data():
    """Folded in the text only."""
    body = told(*(twin(n) for n in range(5)))
    assert ("5 tips from john, 100 tokens together.", 5) == (body["text"], len(body["tips"]))
    assert "tip" not in body
    assert "2 tips from 2 tippers, 40 tokens together." == told(twin(), twin(2, "kate"))["text"]


# -- the menu ----------------------------------------------------------

MENU = Menu((Level(1, 5, 9, 2.0, 5, 0), Level(2, 10, None, 6.0, 9, 0)), (Special("earthquake", 120, 22.0),))


def test_a_menu_is_one_line():
    """Gaps, exact amounts and open ends included."""
    assert (
        "1 to 4: no reaction; 5 to 9: level 1 for 2 s; 10 to 119: level 2 for 6 s; 120: earthquake for 22 s; "
        "121 and more: level 2 for 6 s"
    ) == menu_text(ENGLISH, MENU)


def test_a_menu_is_data_with_its_words():
    """Each row has both, for who draws it and who reads it."""
    body = described(ENGLISH, MENU)
    assert {
        "min": 5,
        "max": 9,
        "reacts": True,
        "level": 1,
        "special": None,
        "seconds": 2.0,
        "vibrate": 5,
        "rotate": 0,
        "text": "5 to 9: level 1 for 2 s",
    } == body["rows"][1]
    assert (menu_text(ENGLISH, MENU), "en") == (body["text"], body["language"])


def test_an_absurd_menu_is_cut_short_for_people():
    """The data is whole."""
    menu = Menu(specials=tuple(Special(f"s{n}", 2 * n + 1, 1) for n in range(400)))
    body = described(ENGLISH, menu)
    assert (800, MENU_TEXT_ROWS_MAX) == (len(body["rows"]), body["text"].count("; "))
    assert body["text"].endswith("; …")


def test_a_time_is_a_plain_number():
    """Not 1e+06, not 2.0."""
    assert ["level 1 for 2000000 s", "level 1 for 2 s"] == [effect(ENGLISH, True, 1, None, n) for n in (2e6, 2.0)]


# -- the vendor's ----------------------------------------------------------


@pytest.mark.parametrize("text", ["", "<script>alert(1)</script>", "a\nb", "{name}", "x" * 2000])
def test_the_vendors_words_are_passed_on_verbatim(text):
    """As text, with their source (facts.md H31, H42)."""
    assert {"text": text, "source": "vendor"} == pass_on("coco", Message(text), T0, None, False).body


def test_the_tip_they_are_about_is_named():
    """Where it is known."""
    assert "t1" == pass_on("coco", Message("hi"), T0, "t1", False).body["tip"]


@pytest.mark.parametrize(
    ("to", "private", "marked"), [(None, False, False), (None, True, True), ("john", False, True), ("", False, True)]
)
def test_private_words_are_marked(to, private, marked):
    """To somebody, or about a private tip (facts.md H7, H32)."""
    body = pass_on("coco", Message("psst", to), T0, None, private).body
    assert (marked, to) == (body.get("private", False), body.get("to"))
