"""Words for the chat room: the vendor's verbatim, the relay's from one table."""

import pytest
from unit_kit import T0

from relay.announcements import TEMPLATES, announce, pass_on
from relay.events import Message


@pytest.mark.parametrize("kind", TEMPLATES)
def test_the_relays_words_name_the_model_and_the_source(kind):
    """And what kind of words they are, for a platform that has its own."""
    draft = announce("coco", "Coco", kind, T0)
    assert ("announcement", "relay", kind) == (draft.type, draft.body["source"], draft.body["kind"])
    assert draft.body["text"].startswith("Coco")


def test_a_name_is_not_a_template():
    """Braces and tags in it stay what they are: text."""
    assert "{name} <b>{0}</b> has stopped the toy." == announce("coco", "{name} <b>{0}</b>", "stopped", T0).body["text"]


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
