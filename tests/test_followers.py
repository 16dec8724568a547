"""Readers of the feed: history, then live, with nothing between and nothing twice; nobody waits for anybody."""

import asyncio

import orjson
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from unit_kit import T0, settle

from relay.clock import TickingClock
from relay.feeds import Audience, Cursor, Draft
from relay.followers import HISTORY_PAGE, Followers, TooSlow
from relay.settings import FOLLOWER_ENTRIES_MAX
from relay.stores import Change
from relay.stores.memory import MemoryStore


class SlowStore(MemoryStore):
    """Reading takes a few turns of the loop, before and after the look."""

    def __init__(self, turns=0):
        super().__init__()
        self.turns = turns

    async def _wait(self):
        for _ in range(self.turns):
            await asyncio.sleep(0)

    async def last(self):
        await self._wait()
        found = await super().last()
        await self._wait()
        return found

    async def entries(self, **asked):
        await self._wait()
        found = await super().entries(**asked)
        await self._wait()
        return found

    async def newest(self, **asked):
        await self._wait()
        found = await super().newest(**asked)
        await self._wait()
        return found


class Feed:
    """A store, its followers, and somebody who writes."""

    def __init__(self, turns=0):
        self.store = SlowStore(turns)
        self.followers = Followers(self.store, TickingClock())
        self.store.follow(self.followers.publish)
        self.written = 0

    def say(self, count=1, model="coco", **body):
        for _ in range(count):
            self.written += 1
            draft = Draft(model, "announcement", T0, {"text": str(self.written), "source": "vendor"} | body)
            self.store.keep(Change(entries=(draft,)))

    def cursor(self, n):
        return Cursor(self.store.epoch, n)

    async def read(self, *, after=None, last=0, count=None, model="coco", audience=Audience.VIEWER, meanwhile=None):
        """What a reader gets until the feed ends or `count` is reached: the texts, or the types of what has none."""
        got = []
        with self.followers.follow(model, audience) as follower:
            if meanwhile:
                meanwhile()
            async for batch in self.followers.read(follower, after=after, last=last, heartbeat=0.01):
                got += [orjson.loads(data).get("text", kind) for _, kind, data in batch]
                if count is not None and len(got) >= count:
                    break
        return got


@pytest.fixture
async def feed():
    return Feed()


def numbers(low, high):
    return [str(n) for n in range(low, high + 1)]


async def test_a_reader_hears_what_comes(feed):
    """Without a cursor it starts now."""
    feed.say(3)
    assert ["4", "5"] == await feed.read(count=2, meanwhile=lambda: feed.say(2))


async def test_a_cursor_leads_back(feed):
    """Everything behind it, then what comes."""
    feed.say(5)
    assert numbers(3, 6) == await feed.read(after=feed.cursor(2), count=4, meanwhile=feed.say)


async def test_a_start_with_history(feed):
    """The last so many, then what comes; fewer where there are fewer."""
    feed.say(5)
    assert numbers(4, 6) == (await feed.read(last=3, count=3, meanwhile=feed.say))[-3:]
    assert numbers(1, 6) == await feed.read(last=50, count=6)


async def test_a_long_history_comes_in_pages(feed):
    """All of it, in order."""
    feed.say(2 * HISTORY_PAGE + 7)
    assert numbers(1, feed.written) == await feed.read(after=feed.cursor(0), count=feed.written)


async def test_a_reader_of_one_model_hears_that_model(feed):
    """A reader of everything hears all."""
    feed.say(2, model="mia")
    feed.say(1)
    assert ["3"] == await feed.read(after=feed.cursor(0), count=1)
    assert ["1", "2", "3"] == await feed.read(after=feed.cursor(0), count=3, model=None, audience=Audience.PLATFORM)


async def test_every_audience_hears_its_own(feed):
    """Private words reach the platform's reader, live and from history."""
    feed.say(1, private=True)
    feed.say(1)
    assert ["2"] == await feed.read(after=feed.cursor(0), count=1)
    assert ["1", "2"] == await feed.read(after=feed.cursor(0), count=2, audience=Audience.PLATFORM)


@hypothesis_settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 4), st.integers(0, 30), st.integers(0, 30), st.lists(st.integers(0, 5), max_size=25), st.booleans()
)
def test_nothing_is_between_history_and_live_and_nothing_twice(turns, before, after, bursts, from_cursor):
    """However slow the store reads, and whatever comes in while it does."""

    async def run():
        feed = Feed(turns)
        feed.say(before)
        start = min(after, before)
        wanted = {"after": feed.cursor(start)} if from_cursor else {"last": max(1, before - start)}
        reading = asyncio.create_task(feed.read(**wanted))
        for burst in bursts:
            await asyncio.sleep(0)
            feed.say(burst)
        await asyncio.sleep(0)
        while feed.followers._by_model and not reading.done():
            await settle()
            feed.followers.end()
        got = await reading
        first = start + 1 if from_cursor or not got else int(got[0])
        assert numbers(first, feed.written)[: len(got)] == got
        assert len(got) == feed.written - first + 1 if from_cursor else True

    asyncio.run(run())


# -- gaps ----------------------------------------------------------


async def test_a_cursor_of_another_store_gets_a_gap(feed):
    """Then all that there is, never silence."""
    feed.say(2)
    assert ["gap", "1", "2"] == await feed.read(after=Cursor("other", 1), count=3)


async def test_a_cursor_from_the_future_gets_a_gap(feed):
    """The store was put back to an older copy."""
    feed.say(2)
    assert ["gap", "1", "2"] == await feed.read(after=feed.cursor(99), count=3)


async def test_a_cursor_that_retention_has_passed_gets_a_gap(feed):
    """What was trimmed cannot be served; from the trimmed place on it can."""
    feed.say(4)
    for n in (1, 2):
        feed.store._entries.pop(n)
    feed.store._trimmed = 2
    assert ["gap", "3", "4"] == await feed.read(after=feed.cursor(1), count=3)
    assert ["3", "4"] == await feed.read(after=feed.cursor(2), count=2)


async def test_a_gap_is_a_place_to_resume_from(feed):
    """Its id is a cursor, and it says what for and why."""
    feed.say(1)
    with feed.followers.follow("coco", Audience.VIEWER) as follower:
        async for batch in feed.followers.read(follower, after=Cursor("other", 7), last=0, heartbeat=1):
            ((id, kind, data),) = batch
            break
    body = orjson.loads(data)
    assert (str(feed.cursor(0)), "gap", "other-7", id) == (id, kind, body["after"], body["id"])
    assert "another store" in body["why"]


# -- slow readers, silence, the end ----------------------------------------------------------


async def test_a_slow_reader_is_cut(feed):
    """Its backlog has a size; nobody waits for it, and the others go on (facts.md H23)."""
    with (
        feed.followers.follow("coco", Audience.VIEWER) as slow,
        feed.followers.follow("coco", Audience.VIEWER) as quick,
    ):
        feed.say(FOLLOWER_ENTRIES_MAX)
        assert FOLLOWER_ENTRIES_MAX == len(await quick.take(1))
        feed.say()
        assert 1 == len(await quick.take(1))
        with pytest.raises(TooSlow):
            await slow.take(1)


async def test_a_reader_at_its_limit_is_not_cut(feed):
    """It gets all of it."""
    with feed.followers.follow("coco", Audience.VIEWER) as follower:
        feed.say(FOLLOWER_ENTRIES_MAX)
        assert FOLLOWER_ENTRIES_MAX == len(await follower.take(1))


async def test_silence_is_an_empty_batch(feed):
    """Every so often, for a heartbeat; what the reader may not see is silence too."""
    with feed.followers.follow("coco", Audience.VIEWER) as follower:
        feed.say(1, private=True)
        reading = feed.followers.read(follower, after=None, last=0, heartbeat=0.001)
        assert [[], []] == [await anext(reading), await anext(reading)]
        await reading.aclose()


async def test_the_end_comes_after_what_is_left(feed):
    """A drain cuts nobody's words off, and who comes back too soon is sent away too."""
    with feed.followers.follow("coco", Audience.VIEWER) as follower:
        feed.say(2)
        feed.followers.end()
        assert (2, None) == (len(await follower.take(1)), await follower.take(1))
    assert [] == await feed.read()


async def test_who_has_gone_is_forgotten(feed):
    """A reader's end frees its place."""
    with feed.followers.follow("coco", Audience.VIEWER), feed.followers.follow(None, Audience.PLATFORM):
        assert 2 == len(feed.followers)
    assert (0, {}) == (len(feed.followers), feed.followers._by_model)


async def test_an_entry_is_encoded_once_per_audience(feed):
    """Thousands of viewers share the same bytes."""
    with feed.followers.follow("coco", Audience.VIEWER) as one, feed.followers.follow("coco", Audience.VIEWER) as other:
        feed.say()
        assert (await one.take(1))[0][1] is (await other.take(1))[0][1]
