"""Rooms that are not there: forgotten, dropped, not made yet. Their tips' time runs, and their orders stand."""

import asyncio

import pytest
from unit_kit import House, a_tip, bringing_back, settle

from relay.errors import StoreUnavailable
from relay.hub import Hub
from relay.messages import Close
from relay.rooms import Room

HOUR = 3600.0


@pytest.fixture
async def house():
    return await House().with_model()


def restarted(house):
    house.hub = Hub(house.store, house.hub.vendor, house.settings, house.clock)
    return house.hub


# -- time goes on ----------------------------------------------------------


async def test_a_tip_of_a_model_nobody_asks_for_ends_after_a_restart(house):
    """Its page is away, nobody posts: its deadline is one all the same."""
    await house.tip(expires_in=60.0)
    async with bringing_back(restarted(house)):
        await house.tick(61)
        assert "expired" == (await house.store.receipt("t1")).status


async def test_a_tip_that_was_sent_is_doubted_after_a_restart(house):
    """Nobody comes back to say what became of it."""
    await house.page()
    await house.tip(expires_in=60.0)
    async with bringing_back(restarted(house)):
        await house.tick(120)
        assert "uncertain" == (await house.store.receipt("t1")).status


async def test_a_room_the_store_failed_under_comes_back_by_itself(house):
    """As soon as the store does; until then the rooms it did not fail under are asked for nothing."""
    await house.tip(expires_in=60.0)
    house.store.failing = True
    async with bringing_back(house.hub):
        with pytest.raises(StoreUnavailable):
            await house.tip("t2")
        await settle()
        assert [] == house.hub.rooms
        house.store.failing = False
        await settle()
        assert ["coco"] == [room.id for room in house.hub.rooms]
        await house.tick(61)
        assert "expired" == (await house.store.receipt("t1")).status


async def test_rooms_are_made_once_the_store_answers(house, monkeypatch):
    """A relay may begin before its store has."""
    await house.tip(expires_in=60.0)
    hub, open_models = restarted(house), house.store.open_models
    answers = [StoreUnavailable("not open yet", retry_after=1), StoreUnavailable("not open yet", retry_after=1)]

    async def not_yet():
        if answers:
            raise answers.pop()
        return await open_models()

    monkeypatch.setattr(house.store, "open_models", not_yet)
    async with bringing_back(hub):
        await settle()
        assert ["coco"] == [room.id for room in hub.rooms]


async def test_a_room_that_cannot_be_made_stops_no_other(monkeypatch):
    """It is tried again."""
    house = await (await House().with_model("ann")).with_model("coco")
    for model in ("ann", "coco"):
        await house.tip(f"t-{model}", model=model)
    hub, restore, faults = restarted(house), Room.restored, [ValueError("ours")]

    def faulty(record, *args):
        if record.id == "ann" and faults:
            raise faults.pop()
        return restore(record, *args)

    monkeypatch.setattr(Room, "restored", faulty)
    async with bringing_back(hub):
        await settle()
        assert {"ann", "coco"} == {room.id for room in hub.rooms}


# -- forgotten while something is still being kept ----------------------------------------------------------


async def test_a_cancellation_outlives_its_room(house):
    """The room is forgotten before the disk has the cancellation: the next one waits for it."""
    await house.tip(expires_in=HOUR)
    await house.tick(2)
    house.store.slow = True
    cancelling = asyncio.ensure_future(house.desk.cancel("t1"))
    await settle()
    await house.tick(60)  # what there is to say of it is said
    house.hub.forget_idle()
    posting = house.intake.delivered(a_tip("t2", expires_in=HOUR))
    await settle()
    assert ([], False) == (house.hub.rooms, posting.done())
    house.store.slow = False
    house.store.let_go()
    await settle()
    assert "cancelled" == (await cancelling).status
    await posting
    page = await house.page()
    assert (["t2"], "cancelled") == (page.socket.tips, await house.status())


async def test_a_release_outlives_its_room(house):
    """A model is not on hold for ever because of a moment."""
    await house.desk.hold("coco", who="x")
    await house.tick(20)
    house.store.slow = True
    releasing = asyncio.ensure_future(house.desk.release("coco"))
    await settle()
    house.hub.forget_idle()
    posting = house.intake.delivered(a_tip("t2", expires_in=HOUR))
    await settle()
    house.store.slow = False
    house.store.let_go()
    await releasing
    await posting
    assert ["t2"] == (await house.page()).socket.tips


async def test_what_was_forgotten_is_not_remembered_for_ever(house):
    """Once the disk has caught up, a room is made without waiting for it."""
    await house.hub.room("coco")
    house.hub.forget_idle()
    await settle()
    assert set() == house.hub._unread


# -- faults of ours ----------------------------------------------------------


def faulty_once(monkeypatch, owner, name):
    """Its first call raises, and does nothing."""
    real, faults = getattr(owner, name), [ZeroDivisionError()]

    def maybe(*args, **fields):
        if faults:
            raise faults.pop()
        return real(*args, **fields)

    monkeypatch.setattr(owner, name, maybe)


async def test_a_fault_on_the_way_to_the_page_loses_no_tip_and_no_order(house, monkeypatch):
    """The room begins anew, the page comes back and is asked: all are played, one after the other."""
    page = await house.page(ready=False)
    for n in range(3):
        await house.tip(f"t{n}")
    faulty_once(monkeypatch, Room, "hand_over")
    await page.ready()
    assert ([], [Close.STORE_UNAVAILABLE]) == (page.socket.tips, page.socket.closed)
    posted = await house.tip("t3")
    page = await house.page()
    await page.answer(t0="unseen", t1="unseen", t2="unseen")
    assert (["t0", "t1", "t2", "t3"], "t3") == (page.socket.tips, posted.tip.id)


async def test_a_fault_behind_the_commit_leaves_nobody_waiting(house, monkeypatch):
    """Whoever ordered something is answered; the order stands, for it was kept."""
    await house.tip()
    faulty_once(monkeypatch, Hub, "_tell_page")
    async with asyncio.timeout(5):
        assert "cancelled" == (await house.desk.cancel("t1")).status


async def test_a_fault_in_one_room_stops_time_in_no_other(monkeypatch):
    """Nor in its own, for that begins anew."""
    house = await (await House().with_model("ann")).with_model("coco")
    for model in ("ann", "coco"):
        await house.tip(f"t-{model}", model=model, expires_in=10.0)
    faulty_once(monkeypatch, Room, "tick")
    async with bringing_back(house.hub):
        await house.tick(11)
        await house.tick(1)
        assert ["expired", "expired"] == [await house.status(f"t-{model}") for model in ("ann", "coco")]


async def test_a_fault_in_last_words_ends_no_relay(house, monkeypatch):
    """The other rooms have theirs, and the store closes."""
    await house.tip()
    monkeypatch.setattr("relay.hub.speak", lambda *_: 1 / 0)
    house.hub.last_words()
