"""A model's settings in the sandbox: read strictly, refused by field, in effect after a while."""

import orjson
import pytest
from msgspec import to_builtins
from sandbox_kit import sandbox

from relay.sandbox.models import Page
from relay.sandbox.rules import DEFAULTS, RulesRefused, read_rules, warnings

LEVEL = {"min": 1, "max": 9, "time": 2, "vLevel": 5, "rLevel": 0}


def levels(*changes: dict) -> dict:
    return {"levels": [LEVEL | change for change in changes]}


def special(name: str, **fields: object) -> dict:
    return {"special": {name: fields}}


def test_the_default_settings_round_trip():
    """What the page shows may be saved as it stands."""
    assert read_rules(orjson.loads(orjson.dumps(to_builtins(DEFAULTS))), DEFAULTS) == DEFAULTS


def test_what_an_order_does_not_name_stays():
    """Levels alone leave the specials, one special leaves the others."""
    rules = read_rules(levels({"max": None}) | special("wave", token=161, time=5), DEFAULTS)
    assert rules.levels[0].max is None
    assert (161, 120) == (rules.special["wave"].token, rules.special["earthquake"].token)


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ([], "body", "must be a JSON object"),
        ({"level": []}, "level", "is not a part of the rules"),
        ({"levels": []}, "levels", "1 to 20 levels"),
        ({"levels": [LEVEL] * 21}, "levels", "1 to 20 levels"),
        ({"levels": [7]}, "levels.0", "must be an object"),
        (levels({"min": 0}), "levels.0.min", "a whole number from 1 to 1000000000, not '0'"),
        (levels({"min": "1"}), "levels.0.min", "not '1'"),
        (levels({"min": True}), "levels.0.min", "not 'True'"),
        (levels({}, {"min": 20, "max": 10}), "levels.1.max", "at least 20"),
        (levels({"time": None}), "levels.0.time", "is missing"),
        (levels({"time": 3601}), "levels.0.time", "1 to 3600"),
        (levels({"vLevel": 21}), "levels.0.vLevel", "0 to 20"),
        (levels({"rLevel": -1}), "levels.0.rLevel", "0 to 20"),
        ({"special": []}, "special", "must be an object"),
        (special("tornado", token=1, time=1), "special.tornado", "must be one of earthquake"),
        (special("wave", token=1.5, time=1), "special.wave.token", "not '1.5'"),
        (special("wave", token=1, time=1, enabled="yes"), "special.wave.enabled", "true or false"),
        (special("wave", token=120, time=1), "special.wave.token", "which already means earthquake"),
    ],
)
def test_a_bad_setting_is_named(body, field, words):
    """The refusal says which field, what it held and what it may hold."""
    with pytest.raises(RulesRefused) as refused:
        read_rules(body, DEFAULTS)
    assert words in refused.value.errors[field]


def test_odd_levels_are_allowed_and_said():
    """The vendor lets levels overlap and leave gaps; the sandbox does, and warns."""
    rules = read_rules(levels({}, {"min": 5, "max": 20}, {"min": 30, "max": None}), DEFAULTS)
    assert [
        "Levels 1 and 2 overlap: level 1 takes what both want.",
        "Nothing happens between level 2 and level 3 (21 to 29 tokens).",
    ] == warnings(rules)
    assert [] == warnings(DEFAULTS)


async def test_saved_settings_take_effect_after_the_delay():
    """Until then the old ones hold, and the page says how long still; a second edit starts the wait anew."""
    async with sandbox(settings_delay=0.05) as vendor:
        token = await vendor.token()
        model = vendor.app.state.sandbox.find(token)
        at = f"/sandbox/models/{token}"
        assert 0.05 == (await vendor.put(f"{at}/settings", json=levels({"min": 7}))).json()["takes_effect_in"]
        answer = await vendor.put(f"{at}/settings", json=special("wave", token=170, time=9))
        assert (202, 7) == (answer.status_code, answer.json()["saved"]["levels"][0]["min"])
        state = (await vendor.get(at)).json()
        assert (1, 7) == (state["rules"]["levels"][0]["min"], state["saved"]["levels"][0]["min"])
        assert 0 <= state["takes_effect_in"] <= 0.05
        model.pages.add(page := Page())
        assert 7 == orjson.loads(await page.outbox.get())["rules"]["levels"][0]["min"]
        state = (await vendor.get(at)).json()
        assert (7, 170, None) == (
            state["rules"]["levels"][0]["min"],
            state["rules"]["special"]["wave"]["token"],
            state["takes_effect_in"],
        )


async def test_refused_settings_change_nothing():
    """422 with the errors by field; a body that is no JSON is a 400."""
    async with sandbox() as vendor:
        at = f"/sandbox/models/{await vendor.token()}"
        answer = await vendor.put(f"{at}/settings", json=levels({"min": "abc"}))
        assert (422, ["levels.0.min"]) == (answer.status_code, list(answer.json()["errors"]))
        assert 400 == (await vendor.put(f"{at}/settings", content=b"{")).status_code
        assert 400 == (await vendor.put(f"{at}/settings", content=b"[" * 70_000)).status_code
        assert (await vendor.get(at)).json()["takes_effect_in"] is None


async def test_the_settings_page_shows_the_model():
    """The page carries the state where nothing in it can end the script; an unknown token gets a 404 page."""
    async with sandbox() as vendor:
        token = await vendor.token("m1", "</script><b>Coco")
        page = await vendor.get("/api/cam/model/v2/setting", params={"mToken": token})
        assert (200, "text/html; charset=utf-8") == (page.status_code, page.headers["content-type"])
        assert "\\u003c/script>\\u003cb>Coco" in page.text
        unknown = await vendor.get("/api/cam/model/v2/setting", params={"mToken": "nobody"})
        assert (404, True) == (unknown.status_code, "unknown" in unknown.text)
