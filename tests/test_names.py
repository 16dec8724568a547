"""Names as they may be shown: cleaned once, by one rule (facts.md H8)."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relay.names import MARKS_IN_A_ROW_MAX, NAME_LENGTH_MAX, clean_name

ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=300)
NASTY = st.text(
    st.sampled_from(
        [*"ae \n\t\u0301\u0323\u200d\u200b\u202e\u2066\ufeff\ud83d\ude00\u1100\u1161\u115f\u0130\u2028\U0001f600"]
    ),
    max_size=40,
)
BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
ZERO_WIDTH = set("\u00ad\u034f\u180e\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\ufeff")


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("john", "john"),
        ("  john   smith \n", "john smith"),
        ("jo\u202ehn", "john"),
        ("\u200bjo\u200dhn\ufeff", "john"),
        ("jo\u034fhn", "john"),
        ("john\x00\x1b[31m", "john[31m"),
        ("a\r\nb\u2028c", "a b c"),
        ("e\u0301", "\u00e9"),
        ("<b onclick=x>&amp;", "<b onclick=x>&amp;"),
        ("\U0001f600", "\U0001f600"),
        ("a\ud83db", "a\ufffdb"),
        ("69", "69"),
        ("\u0301\u0301", ""),
        ("\u3164\u2800", ""),
        ("\u200b \u202e\n", ""),
        ("", ""),
    ],
)
def test_a_name_is_cleaned_by_one_rule(raw, cleaned):
    """NFC, without controls, bidi and zero-width characters, white space as one space; HTML stays text."""
    assert cleaned == clean_name(raw)


@given(ANY_TEXT | NASTY)
@example("e\u200d\u0301")
@example("\u1100\u115f\u1161")
@example("a\u0323\u200b\u0301\u0301\u0301\u0301\u0301")
def test_cleaning_twice_changes_nothing(raw):
    """The cleaned name is its own cleaned name: the vendor, the feed and the correlation agree."""
    assert clean_name(raw) == clean_name(clean_name(raw))


@given(ANY_TEXT | NASTY)
def test_a_cleaned_name_can_be_encoded(raw):
    """No lone surrogate is left."""
    assert clean_name(raw) == clean_name(raw).encode().decode()


@given(ANY_TEXT | NASTY)
def test_nothing_invisible_is_left(raw):
    """No control, bidi or zero-width character, no line break, no space at an end."""
    cleaned = clean_name(raw)
    assert [] == [char for char in cleaned if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn"}]
    assert not set(cleaned) & (BIDI | ZERO_WIDTH)
    assert all(char == " " for char in cleaned if char.isspace())
    assert cleaned == cleaned.strip()


@given(ANY_TEXT | NASTY)
def test_a_cleaned_name_is_normal(raw):
    """Two spellings of one letter are one name."""
    assert unicodedata.normalize("NFC", clean_name(raw)) == clean_name(raw)


@given(st.text(max_size=200).map(lambda text: text * 100))
def test_a_cleaned_name_is_short(raw):
    """However long the name was."""
    assert NAME_LENGTH_MAX >= len(clean_name(raw))


def test_a_name_of_10_kb_is_cut():
    """The first letters stand for it."""
    assert "x" * NAME_LENGTH_MAX == clean_name("x" * 10_240)


def test_letters_are_not_buried_under_marks():
    """At most a handful of combining marks stay on one letter."""
    assert 1 + MARKS_IN_A_ROW_MAX >= len(clean_name("q" + "\u0323\u0336\u0489\u0334" * 10))


def test_a_cut_does_not_end_in_a_space():
    """A space where the limit falls goes too."""
    assert "x" * (NAME_LENGTH_MAX - 1) == clean_name("x" * (NAME_LENGTH_MAX - 1) + " y")
