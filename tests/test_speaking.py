"""What a room says on its own: tips of one moment in one sentence, and what comes and goes once it has settled."""

import pytest
from unit_kit import T0, House, queue_event

from relay.settings import (
    FOLD_TIPPERS_MAX,
    FOLD_TIPS_MAX,
    QUEUE_WORDS_SECONDS,
    SETTLE_SECONDS,
    SETTLED_SECONDS,
    UNSETTLED_SECONDS_MAX,
)

TOY_SECONDS = SETTLED_SECONDS["toy", True]
OFFLINE_SECONDS = SETTLED_SECONDS["online", False]
SETTINGS = {
    "type": "settings",
    "detail": {"levels": {"level1": {"min": 1, "max": None, "time": 6, "vLevel": 5}}, "special": {}},
}


def toy(on):
    return {"type": "toy", "detail": [{"id": "a", "name": "", "type": "lush", "status": "on" if on else "off"}]}


@pytest.fixture
async def house():
    return await House().with_model()


async def said(house, kind=None):
    """Every announcement so far: of one kind the bodies, else the texts, without `online`."""
    bodies = [entry.body for entry in await house.store.entries() if "announcement" == entry.type]
    if kind is not None:
        return [body for body in bodies if kind == body.get("kind")]
    return [body["text"] for body in bodies if "online" != body.get("kind")]


async def mute(house, *kinds):
    from relay.models import Words

    await house.models.register("coco", None, words=Words({}, dict.fromkeys(kinds, False)))


# -- tips ----------------------------------------------------------


async def test_a_tip_is_announced_within_a_second(house):
    """Not before it is kept; with what it will do."""
    page = await house.page()
    await page.says(SETTINGS)
    await house.tip()
    assert [] == await said(house, "tip")
    await house.tick(1)
    (body,) = await said(house, "tip")
    assert ("john tipped 20 tokens: level 1 for 6 s.", "t1") == (body["text"], body["tip"])
    await house.tick(60)
    assert 1 == len(await said(house, "tip"))


async def test_tips_of_one_tipper_are_one_sentence(house):
    """A flood fills no chat; every tip's data is there."""
    for n in range(5):
        await house.tip(f"t{n}")
    await house.tip("other", tipper="kate")
    await house.tick(1)
    john, kate = await said(house, "tip")
    assert ("5 tips from john, 100 tokens together.", "kate tipped 20 tokens.") == (john["text"], kate["text"])
    assert [f"t{n}" for n in range(5)] == [twin["tip"] for twin in john["tips"]]
    fields = {"tip", "tipper", "amount", "level", "special", "seconds"}
    assert all(fields == twin.keys() for twin in john["tips"])


async def test_tips_of_a_crowd_are_one_sentence(house):
    """More tippers at once than anybody reads; still no tip is left out, and no entry grows without end."""
    count = FOLD_TIPS_MAX + FOLD_TIPPERS_MAX
    for n in range(count):
        await house.tip(f"t{n}", tipper=f"tipper{n}")
    await house.tick(1)
    first, second = await said(house, "tip")
    assert f"{FOLD_TIPS_MAX} tips from {FOLD_TIPS_MAX} tippers, 1000 tokens together." == first["text"]
    assert [f"t{n}" for n in range(count)] == [twin["tip"] for body in (first, second) for twin in body["tips"]]


async def test_a_repeat_is_not_announced(house):
    """The tip was, when it came first."""
    await house.tip()
    await house.tick(1)
    await house.tip()
    await house.tick(1)
    assert 1 == len(await said(house, "tip"))


async def test_a_tip_that_was_not_kept_is_not_announced(house):
    """What the store did not keep did not happen."""
    await house.hub.room("coco")
    house.store.failing = True
    with pytest.raises(Exception, match="out of order"):
        await house.tip()
    house.store.failing = False
    await house.tick(1)
    assert [] == await said(house)


async def test_a_private_tip_is_not_announced(house):
    """To nobody; the platform has its `tip` entry."""
    await house.tip(private=True)
    await house.tick(60)
    assert [] == await said(house)


async def test_an_anonymous_tip_is_announced_by_its_alias(house):
    """In the words and in the data."""
    await house.tip(anonymous=True, shown="Somebody")
    await house.tick(1)
    (body,) = await said(house, "tip")
    assert ("Somebody tipped 20 tokens.", "Somebody") == (body["text"], body["tips"][0]["tipper"])
    assert "john" not in repr(body)


async def test_the_last_words_are_said_before_the_relay_ends(house):
    """Tips that were kept are announced; a toy that may be back in a moment is not."""
    page = await house.page()
    await page.says(toy(True))
    await house.tip()
    house.hub.last_words()
    assert ["john tipped 20 tokens."] == await said(house)
    house.store.failing = True  # it is closed
    await house.tick(60)
    assert not page.room.broken


# -- what comes and goes ----------------------------------------------------------


async def test_a_toy_is_announced_once_it_has_settled(house):
    """On, and off again."""
    page = await house.page()
    await page.says(toy(True))
    assert [] == await said(house)
    await house.tick(TOY_SECONDS)
    await page.says(toy(False))
    await house.tick(TOY_SECONDS)
    assert ["Coco's toy is connected.", "Coco's toy is disconnected."] == await said(house)


async def test_a_flapping_toy_is_announced_when_it_has_settled(house):
    """Nothing is said meanwhile, and nothing at all where it ends as it was."""
    page = await house.page()
    await page.says(toy(True))
    await house.tick(TOY_SECONDS)
    for on in (False, True, False, True):
        await page.says(toy(on))
        await house.tick(TOY_SECONDS - 1)
    await house.tick(TOY_SECONDS)
    assert ["Coco's toy is connected."] == await said(house)


async def test_a_toy_that_never_settles_is_announced_all_the_same(house):
    """The wait is bounded: as it is then."""
    page = await house.page()
    for n in range(UNSETTLED_SECONDS_MAX):
        await page.says(toy(on=0 == n % 2))
        await house.tick(1)
    assert 1 >= len(await said(house))
    await house.tick(UNSETTLED_SECONDS_MAX)
    assert 1 >= len(await said(house))


async def test_a_toy_that_was_never_on_is_not_lost(house):
    """Nobody knew of it."""
    page = await house.page()
    await page.says(toy(False))
    await house.tick(TOY_SECONDS)
    assert [] == await said(house)


async def test_a_model_is_online_at_once_and_offline_when_she_stays_away(house):
    """A page that is reloaded is neither."""
    page = await house.page()
    await house.tick(0)
    await page.leave()
    await house.tick(OFFLINE_SECONDS - 1)
    page = await house.page()
    await house.tick(OFFLINE_SECONDS)
    assert (1, []) == (len(await said(house, "online")), await said(house, "offline"))
    await page.leave()
    await house.tick(OFFLINE_SECONDS)
    assert 1 == len(await said(house, "offline"))


async def test_the_toy_of_a_page_that_is_away_is_not_spoken_of(house):
    """She is offline: that is the news. With the next broadcast the toy is, too."""
    page = await house.page()
    await page.says(toy(True))
    await house.tick(TOY_SECONDS)
    await page.says(toy(False))
    await page.leave()
    await house.tick(OFFLINE_SECONDS)
    assert ["Coco's toy is connected.", "Coco is offline."] == await said(house)
    page = await house.page()
    await page.says(toy(True))
    await house.tick(TOY_SECONDS)
    assert "Coco's toy is connected." == (await said(house))[-1]


async def test_a_restart_repeats_nothing(house):
    """What the room was told last is kept: her page is back, and nobody hears of it."""
    page = await house.page()
    await page.says(toy(True))
    await house.tick(TOY_SECONDS)
    house.hub.drop(page.room)
    page = await house.page()
    await page.says(toy(True))
    await house.tick(60)
    assert (1, ["Coco's toy is connected."]) == (len(await said(house, "online")), await said(house))


async def test_a_model_that_does_not_come_back_after_a_restart_is_offline(house):
    """In words and in the `model` entry."""
    page = await house.page()
    await house.tick(0)
    house.hub.drop(page.room)
    await house.hub.find_absent()
    await house.tick(OFFLINE_SECONDS)
    assert ["Coco is offline."] == await said(house)
    models = [entry.body["online"] for entry in await house.store.entries() if "model" == entry.type]
    assert [True, False] == models


# -- settings and queue ----------------------------------------------------------


async def test_new_settings_are_a_menu_at_once_and_words_when_she_is_done(house):
    """A slider that is dragged is many settings and one sentence."""
    page = await house.page()
    for seconds in (5, 6, 7):
        SETTINGS["detail"]["levels"]["level1"]["time"] = seconds
        await page.says(SETTINGS)
    SETTINGS["detail"]["levels"]["level1"]["time"] = 6
    menus = [entry.body["text"] for entry in await house.store.entries() if "menu" == entry.type]
    assert [f"1 and more: level 1 for {seconds} s" for seconds in (5, 6, 7)] == menus
    await house.tick(SETTLE_SECONDS)
    assert ["Coco has changed what tips do: 1 and more: level 1 for 7 s."] == await said(house)


async def test_the_queues_length_is_said_now_and_then(house):
    """Tips in the line and in the vendor's queue, without private ones; an empty one is not worth a word."""
    page = await house.page(ready=False)
    await mute(house, "tip")
    for n in range(3):
        await house.tip(f"t{n}", private=0 == n)
    await page.says(queue_event([], [("jane", 20)], waiting=1))
    await house.tick(1)
    assert [4] == [body["count"] for body in await said(house, "queue")]
    assert "Tips waiting: 4." == (await said(house))[-1]
    await page.says(queue_event([], []))
    await house.tick(1)
    assert 1 == len(await said(house, "queue"))
    await house.tick(QUEUE_WORDS_SECONDS)
    assert [4, 2] == [body["count"] for body in await said(house, "queue")]


@pytest.mark.parametrize("why", ["away", "held"])
async def test_the_length_of_the_relays_own_line_is_said(house, why):
    """Also where the vendor says nothing: her page is away, or she is on hold."""
    if why == "held":
        await house.page()
        await house.desk.hold("coco", who="x")
    for n in range(30):
        await house.tip(f"t{n}", tipper=f"tipper{n}", expires_in=600.0, private=0 == n % 3)
    await house.tick(1)
    assert [20] == [body["count"] for body in await said(house, "queue")]
    for n in range(1, 8, 3):
        await house.desk.cancel(f"t{n}")
    await house.tick(1)
    assert 1 == len(await said(house, "queue"))
    await house.tick(QUEUE_WORDS_SECONDS)
    assert [20, 17] == [body["count"] for body in await said(house, "queue")]
    await house.tick(600)
    await house.desk.release("coco")
    await house.tick(600)
    assert 2 == len(await said(house, "queue"))


async def test_a_line_that_did_not_wait_is_not_spoken_of(house):
    """A live page takes its tips at once."""
    page = await house.page()
    for n in range(30):
        await house.tip(f"t{n}")
        await page.ack(f"t{n}")
        await house.tick(1)
    assert ([], float("inf")) == (await said(house, "queue"), page.room.announcer.due)


# -- switches ----------------------------------------------------------


async def test_each_kind_can_be_switched_off(house):
    """Nothing of it is said, and nothing else is missing."""
    await mute(house, "tip", "held", "settings", "toy_on", "online", "queue")
    page = await house.page()
    await page.says(SETTINGS)
    await page.says(toy(True))
    await house.tip()
    await house.desk.hold("coco", who="x")
    await house.tick(60)
    assert ([], []) == (await said(house), await said(house, "online"))
    await house.desk.release("coco")
    await page.leave()
    await house.tick(60)
    assert ["Coco continues: tips are played again.", "Coco is offline."] == await said(house)


async def test_words_have_their_time(house):
    """That of the moment when they are said."""
    await house.tip()
    await house.tick(1.5)
    (entry,) = [entry for entry in await house.store.entries() if "tip" == entry.body.get("kind")]
    assert T0 + 1.5 == entry.at
