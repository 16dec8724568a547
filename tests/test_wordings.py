"""A platform's own announcements, from a file: read at the start, or refused with what would be right."""

import json

import pytest

from relay.doctor import examine
from relay.errors import BadSettings
from relay.settings import read_settings
from relay.wordings import BUILT_IN, FILE_BYTES_MAX, KINDS, PLACEHOLDERS, TEMPLATES, load_wordings, placeholders

TOML = """
default = "de"

[de]
tip = "{tipper} gibt {amount} Tokens: {effect}."
nothing = "nichts"

[en]
held = "{name} takes a {{break}}."
"""


def write(folder, content, name="words.json"):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_every_template_has_its_kind_or_is_part_of_one():
    """And takes only what it is given."""
    worded = {template for templates in KINDS.values() for template in templates}
    assert {"level", "special", "nothing", "time", "exactly", "between", "from", "separator"} == set(TEMPLATES) - worded
    assert set() == set(PLACEHOLDERS) - set(TEMPLATES)
    for name, text in TEMPLATES.items():
        assert text.format(**dict.fromkeys(placeholders(name), "x"))


def test_a_file_replaces_what_it_names(tmp_path):
    """Per language; what a language leaves out is English, as the file has it."""
    wordings = load_wordings(write(tmp_path, TOML, "words.toml"))
    german = wordings.of(None)
    assert ("de", "nichts") == (german.language, german.say("nothing"))
    assert "john gibt 5 Tokens: x." == german.say("tip", name="Coco", tipper="john", amount=5, effect="x")
    assert "Coco takes a {break}." == german.say("held", name="Coco") == wordings.of("en").say("held", name="Coco")
    assert "Coco is online." == german.say("online", name="Coco")


def test_a_language_that_went_away_is_the_default():
    """A model keeps her choice; her room hears something all the same."""
    assert "en" == BUILT_IN.of("xx").language


def test_json_does_the_same(tmp_path):
    """Whichever a platform has."""
    assert "Hallo" == load_wordings(write(tmp_path, {"de": {"online": "Hallo"}})).of("de").say("online", name="x")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"de": {"tipp": "x"}}, r"'tipp' \(de\) is not an announcement: use one of tip,"),
        ({"de": {"tip": "{amuont}"}}, r"'tip' \(de\) has the placeholder {amuont}: use {name}, {tipper}, {amount}"),
        ({"de": {"tip": "{amount.real}"}}, "has the placeholder {amount.real}: use"),
        ({"de": {"tip": "{amount:>999999999}"}}, "has the placeholder {amount:>999999999}: use"),
        ({"de": {"tip": "{amount!r}"}}, "has the placeholder {amount}: use"),
        ({"de": {"tip": "{}"}}, "has the placeholder {}: use"),
        ({"de": {"tip": "{0}"}}, r"has the placeholder \{0\}: use"),
        ({"de": {"tip": "{name"}}, "has a brace that is no placeholder .*write {{ or }} for a brace"),
        ({"de": {"nothing": "{name}"}}, "has the placeholder {name}: it takes none"),
        ({"de": {"tip": ""}}, "must be a text of 1 to 1000 characters, not ''"),
        ({"de": {"tip": 5}}, "must be a text of 1 to 1000 characters, not '5'"),
        ({"de": {"tip": "x" * 1001}}, "must be a text of 1 to 1000"),
        ({"de": ["tip"]}, "'de' must be an object of announcements"),
        ({"german words": {}}, "'german words' is not a language: write it as"),
        ({"default": "fr", "de": {}}, "'default' is 'fr', which the file does not have: use one of de, en"),
        ({"default": ["de"]}, "'default' is .* use one of en"),
        ([], "must hold an object"),
        ("{", "is not JSON"),
        ('{"de": {"tip": "\\ud800"}}', "is not JSON"),
        ("x" * (FILE_BYTES_MAX + 1), "at most"),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(tmp_path, content, says):
    """Kind, language, placeholder, and what to write instead."""
    with pytest.raises(ValueError, match=says):
        load_wordings(write(tmp_path, content))


def test_a_start_names_everything_that_is_wrong(tmp_path):
    """All at once, with the variable."""
    path = write(tmp_path, {"de": {"tipp": "x", "held": "{x}"}})
    with pytest.raises(BadSettings, match=r"RELAY_ANNOUNCEMENTS: .*'tipp' \(de\).*; 'held' \(de\)"):
        read_settings({"RELAY_ANNOUNCEMENTS": path})
    with pytest.raises(BadSettings, match="cannot be read"):
        read_settings({"RELAY_ANNOUNCEMENTS": str(tmp_path / "nowhere.json")})
    with pytest.raises(BadSettings, match="not TOML"):
        read_settings({"RELAY_ANNOUNCEMENTS": write(tmp_path, "de = ", "words.toml")})


def test_the_doctor_shows_what_is_in_force(tmp_path):
    """Where the words come from, and in which languages."""
    path = write(tmp_path, TOML, "words.toml")
    (line,) = [line for line in examine({"RELAY_ANNOUNCEMENTS": path})[0] if line.startswith("RELAY_ANNOUNCEMENTS")]
    assert f"{path}: de (default), en" in line
    (line,) = [line for line in examine({})[0] if line.startswith("RELAY_ANNOUNCEMENTS")]
    assert "built in" in line
