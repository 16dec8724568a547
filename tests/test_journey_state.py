"""What the page's events add up to: GET /models/{model} and the feed, as design section 8 shows them."""

import json

import pytest
from kit import SETTINGS_EVENT, TOY, TOY_EVENT, message_event, queue_event, queued, running, running_event

EMPTY = {
    "toys": {"on": None, "fresh": False, "list": None},
    "settings": {"fresh": False, "levels": None, "specials": None},
}


async def after(platform, page, *events):
    """The state once these events have been heard."""
    known = (await platform.state())["unknown_events"]
    for event in events:
        await page.hear(event)
    await page.hear({"type": "the last one"})
    mystery = 1 + known
    return await platform.until_state(lambda state: state["unknown_events"] >= mystery)


async def test_what_is_not_known_is_null(platform):
    """Before any page: offline, nothing known, nothing open."""
    state = await platform.state()
    assert {
        "model": "coco",
        "name": "Coco",
        "online": False,
        "ready": False,
        "held": False,
        "generation": 0,
        "since": None,
        **EMPTY,
    }.items() <= state.items()
    assert {"fresh": False, "running": None, "queued": None, "waiting": None}.items() <= state["queue"].items()
    assert {"open": 0, "uncertain": 0} == state["tips"]


async def test_a_page_makes_the_model_online(platform, page, clock):
    """With its generation, and since when."""
    state = await platform.state()
    assert (True, True, 1) == (state["online"], state["ready"], state["generation"])
    assert "2023-11-14T22:13:20.000Z" == state["since"]


async def test_settings_become_numbers(platform, page, feed):
    """Strings are numbers, an open end is null, and the feed has the same."""
    levels = [
        {"level": 1, "min": 1, "max": 9, "seconds": 2, "vibrate": 5, "rotate": 0},
        {"level": 2, "min": 10, "max": None, "seconds": 6, "vibrate": 10, "rotate": None},
    ]
    specials = {"earthquake": {"tokens": 120, "seconds": 22}}
    state = await after(platform, page, SETTINGS_EVENT)
    assert {"fresh": True, "levels": levels, "specials": specials} == state["settings"]
    entry = await feed.next("settings")
    assert (levels, specials) == (entry["levels"], entry["specials"])


async def test_toys_are_listed(relay, platform, page, feed, clock):
    """With id and type, on or off; the room hears that the toy is connected."""
    state = await after(platform, page, TOY_EVENT)
    listed = [{"id": TOY["id"], "type": "lush", "name": "", "on": True}]
    assert {"on": True, "fresh": True, "list": listed} == state["toys"]
    assert listed == (await feed.next("toy"))["list"]
    clock.tick(3)
    relay.wiring.hub.tick()
    assert "Coco's toy is connected." == (await feed.next("announcement", text="Coco's toy is connected."))["text"]


async def test_a_toy_that_goes_off_is_told(relay, platform, page, feed, clock):
    """Per-toy words are the truth, whatever the top-level word says (facts.md H33)."""
    await after(platform, page, TOY_EVENT)
    clock.tick(3)
    relay.wiring.hub.tick()
    state = await after(platform, page, TOY_EVENT | {"detail": [TOY | {"status": 0}]})
    assert (False, False) == (state["toys"]["on"], state["toys"]["list"][0]["on"])
    clock.tick(3)
    relay.wiring.hub.tick()
    await feed.next("announcement", text="Coco's toy is disconnected.")


async def test_the_queue_is_shown_with_its_tips(platform, page, feed):
    """Running and queued entries, matched with our tips; `waiting` is counted."""
    for n, name in enumerate(("john", "jane")):
        await platform.accepted(f"t{n}", name, 20)
        await page.play()
    await platform.until("t1", "played")
    state = await after(platform, page, queue_event([running("john", 20)], [queued("jane", 20)], [{}, {}]))
    ran = {"tip": "t0", "tipper": "john", "amount": 20, "seconds": 6, "level": 2, "special": None, "external": False}
    waits = {
        "tip": "t1",
        "tipper": "jane",
        "amount": 20,
        "seconds": None,
        "level": None,
        "special": None,
        "external": False,
    }
    shown = {"fresh": True, "running": [ran], "queued": [waits], "waiting": 2}
    assert shown.items() <= state["queue"].items()
    entry = await feed.next("queue")
    assert ([ran], [waits], 2) == (entry["running"], entry["queued"], entry["waiting"])


async def test_tip_running_updates_only_what_runs(platform, page):
    """The queue stays as it was."""
    state = await after(platform, page, queue_event([], [queued("x", 1)]), running_event([running("y", 2)]))
    assert ["y"] == [one["tipper"] for one in state["queue"]["running"]]
    assert ["x"] == [one["tipper"] for one in state["queue"]["queued"]]


async def test_a_message_is_passed_on_verbatim_and_once(platform, page, viewer):
    """The vendor's own sentence, markup and all, as text."""
    text = "My LOVENSE Lush is now reacting to <b>john</b>'s tip. It will stop after 5 sec! 🎉\n"
    await page.hear(message_event(text))
    entry = await viewer.next("announcement")
    assert (text, "vendor") == (entry["text"], entry["source"])
    await page.hear(message_event("the next"))
    assert "the next" == (await viewer.next("announcement"))["text"]


async def test_a_message_with_half_an_emoji_is_passed_on(platform, page, viewer):
    """JSON.stringify writes lone surrogates as escapes (facts.md 1.4): U+FFFD instead, and not lost."""
    await page.raw('{"type":"event","n":1,"event":{"type":"message","detail":"half \\ud83d an emoji \\ud83c\\udf89"}}')
    assert "half \ufffd an emoji 🎉" == (await viewer.next("announcement"))["text"]


async def test_a_private_message_is_for_the_platform_only(platform, page, viewer, feed):
    """A legacy `to` never reaches the public (facts.md H32)."""
    await page.hear(message_event("your control link is …", to="john"))
    await page.hear(message_event("public"))
    assert "public" == (await viewer.next("announcement"))["text"]
    entry = await feed.next("announcement")
    assert ("your control link is …", "john") == (entry["text"], entry["to"])


async def test_a_message_about_a_tip_names_it(platform, page, viewer):
    """So that a chat can show the vendor's sentence beside the tip."""
    await platform.accepted("t1", "john", 20)
    await page.play()
    await platform.until("t1", "played")
    await page.hear(message_event("Lush is now reacting to john's tip."))
    assert "t1" == (await viewer.next("announcement", source="vendor"))["tip"]


@pytest.mark.parametrize(
    "event",
    [
        None,
        "a string",
        "",
        [],
        [1, 2],
        7,
        True,
        {},
        {"type": None},
        {"type": 7},
        {"type": ["toy"]},
        {"type": "brandNew", "detail": {"x": [1]}},
        {"type": "x" * 5000},
        {"type": "message"},
        {"type": "message", "detail": None},
        {"type": "message", "detail": {"text": "x"}},
        {"type": "toy"},
        {"type": "toy", "detail": "x"},
        {"type": "settings"},
        {"type": "settings", "detail": None},
        {"type": "settings", "detail": []},
        {"type": "settings", "detail": {}},
        {"type": "tipQueueStatus", "detail": 5},
        {"type": "tipRunning", "detail": None},
        {"type": "__proto__"},
        {"error": "cyclic", "type": "toy"},
    ],
)
async def test_words_we_do_not_know_are_counted_and_harm_nothing(platform, page, event):
    """The page goes on, good state stays, and somebody can see that there was something."""
    before = await after(platform, page, SETTINGS_EVENT, TOY_EVENT, queue_event([running("x", 1)]))
    state = await after(platform, page, event)
    assert 2 + before["unknown_events"] == state["unknown_events"]
    assert [before[part] for part in ("toys", "settings", "queue")] == [
        state[part] for part in ("toys", "settings", "queue")
    ]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "toy", "status": "on", "detail": [None, 7, "x", [], {}]},
        {"type": "toy", "status": {"isEnabled": True}},
        {"type": "settings", "detail": {"levels": {"level1": None, "levelX": {}, "level2": {"min": "x"}}}},
        {"type": "settings", "detail": {"levels": {"level1": {"min": 1, "max": {}, "time": [], "vLevel": "NaN"}}}},
        {"type": "settings", "detail": {"special": {"x": None, "y": {"token": "many"}, "z": {"token": 1e300}}}},
        {"type": "tipQueueStatus", "detail": {"running": [None, 1, {}], "queue": [[], {"amount": []}], "waiting": 7}},
        {"type": "tipRunning", "detail": {"running": [{"tipperName": None, "amount": True, "time": {"a": 1}}]}},
        {"type": "tipQueueStatus", "detail": {"queue": [{"amount": 1}] * 2000}},
        {"type": "message", "detail": "x" * 50_000},
        {"type": "message", "detail": 7},
        {"type": "tip", "detail": None},
        {"type": "cLink", "detail": "https://secret.example", "to": "john"},
    ],
)
async def test_half_readable_words_harm_nothing(platform, page, feed, event):
    """What can be read counts, the rest is null; the page lives, and everything is still JSON."""
    state = await after(platform, page, event)
    assert state["online"]
    await platform.accepted("t1")
    assert "t1" == (await page.play())["id"]
    await feed.next("tip")
    assert len(json.dumps(feed.seen)) < 200_000


async def test_a_control_links_address_goes_nowhere(platform, page, feed):
    """A link for one tipper's eyes: not in the platform's feed, nor in the state."""
    state = await after(platform, page, {"type": "cLink", "detail": "https://secret.example", "to": "john"})
    await platform.accepted("t1")
    await feed.next("tip")
    assert "secret.example" not in json.dumps([feed.seen, state])


async def test_an_older_event_changes_nothing(platform, page):
    """Numbers rise per page load; what comes late is old."""
    await after(platform, page, TOY_EVENT)
    await page.say(type="event", n=1, event=TOY_EVENT | {"detail": [TOY | {"status": "off"}]})
    await page.hear({"type": "mystery"})
    assert (await platform.until_state(lambda state: 2 == state["unknown_events"]))["toys"]["on"]


async def test_an_older_pages_events_change_nothing(relay, platform, page):
    """Only the newest page speaks for the model."""
    async with relay.page(journal="j_second") as second:
        await page.closed()
        assert (await after(platform, second, TOY_EVENT))["toys"]["on"]


async def test_what_a_leaving_page_knew_is_no_longer_fresh(platform, page):
    """Shown still, and marked as doubtful, until a page speaks again."""
    await after(platform, page, TOY_EVENT, SETTINGS_EVENT, queue_event())
    await page.leave()
    state = await platform.until_state(lambda state: not state["online"])
    assert [False] * 3 == [state[part]["fresh"] for part in ("toys", "settings", "queue")]
    assert state["toys"]["list"]
    assert state["settings"]["levels"]


async def test_the_menu_is_remembered_without_a_page(relay, platform, page):
    """A tip taken while she is away still says what it will do."""
    await after(platform, page, SETTINGS_EVENT)
    await page.leave()
    await platform.until_state(lambda state: not state["online"])
    relay.wiring.hub.forget_idle()
    assert 2 == (await platform.accepted("t1", amount=20))["preview"]["level"]


async def test_open_tips_are_counted(platform, page):
    """Everything whose life goes on."""
    for n in range(3):
        await platform.accepted(f"t{n}")
    await page.play()
    await platform.until("t0", "played")
    assert 3 == (await platform.state())["tips"]["open"]


async def test_two_models_do_not_mix(relay, platform, page):
    """Kim's page, tips and events are hers alone."""
    await platform.register("kim", "Kim")
    async with relay.page("kim", "j_kim") as kims:
        await platform.accepted("k1", model="kim")
        assert "k1" == (await kims.play())["id"]
        await kims.hear(TOY_EVENT)
        await platform.until_state(lambda state: state["toys"]["on"], "kim")
        assert (await platform.state())["toys"]["on"] is None
        assert [] == await page.tips_so_far()


async def test_the_list_of_models_says_who_is_live(platform, page):
    """Everybody, and whether she is online, ready, held."""
    await platform.register("kim", "Kim")
    models = (await platform.http.get("/models")).json()["models"]
    coco = {"model": "coco", "name": "Coco", "online": True, "ready": True, "held": False}
    kim = {"model": "kim", "name": "Kim", "online": False, "ready": False, "held": False}
    assert [coco, kim] == models
