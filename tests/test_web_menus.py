"""The tip menu and the words of a model's room, over HTTP."""

import pytest
from kit import FEED_KEY, KEY, SETTINGS, TIPS_KEY, Platform, serving, serving_coco, with_settings

from relay.clock import TickingClock
from relay.secret import Secret
from relay.settings import ApiKey
from relay.stores.sqlite import SqliteStore
from relay.wordings import KINDS, read_wordings

MODELS_KEY = "a-key-for-the-models-only-4"


@pytest.fixture
def settings():
    words = read_wordings({"de": {"from": "ab {min}: {effect}", "held": "{name} macht Pause."}}, "words.json")
    models = ApiKey("studio", Secret(MODELS_KEY), frozenset({"models"}))
    return with_settings(announcements=words, api_keys=(*SETTINGS.api_keys, models))


async def menu(platform, key=KEY, **query):
    async with Platform(platform.url, key) as somebody:
        return await somebody.http.get("/models/coco/menu", params=query)


async def test_a_menu_is_read_over_http(relay, platform, page, feed, vendor_settings):
    """As data and as text, the same as in the feed."""
    await page.hear(vendor_settings)
    entry = await feed.next("menu")
    body = (await menu(platform)).json()
    assert ("coco", "Coco", True, "en") == tuple(body[name] for name in ("model", "name", "fresh", "language"))
    assert (entry["rows"], entry["text"]) == (body["rows"], body["text"])
    assert [(1, 9, 1, None), (10, 119, 2, None), (120, 120, None, "earthquake"), (121, None, 2, None)] == [
        tuple(row[name] for name in ("min", "max", "level", "special")) for row in body["rows"]
    ]
    assert "120: earthquake for 22 s" in body["text"]


async def test_a_menu_nobody_has_seen_is_unknown(platform):
    """Which is not "no reaction"."""
    assert {
        "model": "coco",
        "name": "Coco",
        "fresh": False,
        "rows": None,
        "text": None,
        "language": "en",
    } == (await menu(platform)).json()


async def test_viewers_read_the_menu_with_their_ticket(relay, platform):
    """From any origin, and only that model's."""
    await platform.register("dana")
    answer = await menu(platform, None, ticket=await platform.feed_ticket())
    assert (200, "*") == (answer.status_code, answer.headers["access-control-allow-origin"])
    answer = await menu(platform, None, ticket=await platform.feed_ticket("dana"))
    assert (401, "ticket_refused") == (answer.status_code, answer.json()["type"])
    assert 401 == (await menu(platform, None, ticket="x")).status_code


@pytest.mark.parametrize(("key", "status"), [(FEED_KEY, 200), (MODELS_KEY, 200), (TIPS_KEY, 403), (None, 401)])
async def test_the_menu_is_for_who_may_read_feed_or_models(platform, key, status):
    """Either right will do."""
    assert status == (await menu(platform, key)).status_code


async def test_the_menu_of_nobody_is_not_there(door):
    """404."""
    assert "unknown_model" == (await door.http.get("/models/nobody/menu")).json()["type"]


async def test_a_model_has_her_language(relay, platform, page, feed, vendor_settings):
    """For announcements and menu; null brings the default back."""
    answer = await platform.http.put("/models/coco", json={"language": "de"})
    assert ("Coco", "de") == (answer.json()["name"], answer.json()["language"])
    await page.hear(vendor_settings)
    assert "ab 121: level 2 for 6 s" in (await feed.next("menu"))["text"]
    await platform.hold()
    assert "Coco macht Pause." == (await feed.next("announcement", text="Coco macht Pause."))["text"]
    await platform.register()
    assert "de" == (await platform.state())["language"]
    await platform.http.put("/models/coco", json={"language": None})
    assert "en" == (await platform.state())["language"]


async def test_kinds_of_announcements_are_switched_per_model(relay, platform, feed):
    """What is not named stays as it was."""
    assert dict.fromkeys(KINDS, True) == (await platform.state())["announcements"]
    await platform.http.put("/models/coco", json={"announcements": {"held": False, "tip": False}})
    await platform.http.put("/models/coco", json={"announcements": {"tip": True}})
    assert dict.fromkeys(KINDS, True) | {"held": False} == (await platform.state())["announcements"]
    await platform.hold()
    await platform.release()
    assert "Coco continues: tips are played again." == (await feed.next("announcement"))["text"]


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"language": "xx"}, "language", "must be one of en, not 'xx'"),
        ({"language": 5}, "language", "must be one of en, not 5"),
        ({"announcements": ["tip"]}, "announcements", 'must be an object such as {"tip": false}'),
        ({"announcements": None}, "announcements", 'must be an object such as {"tip": false}'),
        ({"announcements": {"tipp": False}}, "announcements", "holds 'tipp': false; give true or false for tip, queue"),
        ({"announcements": {"tip": 0}}, "announcements", "holds 'tip': 0; give true or false for"),
    ],
)
async def test_a_wish_that_is_none_is_refused(door, body, field, says):
    """With field, value and remedy; nothing is changed."""
    answer = await door.http.put("/models/coco", json=body)
    assert (400, field) == (answer.status_code, answer.json()["field"])
    assert says in answer.json()["detail"]


async def test_wishes_outlive_the_relay(settings, tmp_path):
    """They are part of the model's record."""
    path = str(tmp_path / "relay.db")
    async with serving_coco(settings, TickingClock(), store=SqliteStore(path)) as relay:
        await relay.platform.http.put("/models/coco", json={"language": "de", "announcements": {"tip": False}})
        async with Platform(relay.url) as platform:
            before = await platform.state()
    async with serving(settings, TickingClock(), store=SqliteStore(path)) as relay:
        state = await relay.platform.state()
    assert ("de", before["announcements"]) == (state["language"], state["announcements"])
    assert not state["announcements"]["tip"]
