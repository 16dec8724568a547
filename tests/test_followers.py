"""Readers of the feed: history, then live, with nothing between and nothing twice; nobody waits for anybody."""

import asyncio
import time

import orjson
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from kit import eventually
from unit_kit import T0, settle

from relay import followers as followers_module
from relay import histories
from relay.clock import TickingClock
from relay.errors import StoreUnavailable
from relay.feeds import Audience, Cursor, Draft
from relay.followers import REST_SECONDS_MIN, Followers
from relay.histories import PAGE_ENTRIES, PIECE_BYTES
from relay.settings import FOLLOWER_BYTES_MAX, FOLLOWER_ENTRIES_MAX, FOLLOWER_HISTORY_BYTES_MAX
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

    async def before_last(self, **asked):
        await self._wait()
        found = await super().before_last(**asked)
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

    def follow(self, ear, **wish):
        ear.follower = self.followers.follow(
            ear, **{"model": "coco", "audience": Audience.VIEWER, "framing": line, **wish}
        )
        return ear

    async def read(self, *, count=None, meanwhile=None, **wish):
        """What a reader hears until the feed ends or `count` is reached: the texts, or the types of what has none."""
        ear = self.follow(Ear(), **wish)
        if meanwhile:
            meanwhile()
        async with asyncio.timeout(5):
            while ear.code is None and (count is None or len(ear.heard) < count):  # noqa: ASYNC110
                await asyncio.sleep(0)
        ear.follower.gone()
        return ear.heard


async def turns(count):
    for _ in range(count):
        await settle()


def line(id, kind, data):
    return data + b"\n"


class Ear:
    """Takes what is written to a reader, or, once it is `full`, does not."""

    def __init__(self):
        self.written = []
        self.code = None

    def write(self, data):
        assert self.code is None, "an entry after the end"
        self.written.append(data)

    def allow(self, size):
        self.allowed = size

    def finish(self, code):
        self.code = code
        self.follower.leave()

    @property
    def said(self):
        return [orjson.loads(one) for one in b"".join(self.written).splitlines()]

    @property
    def heard(self):
        return [one.get("text", one["type"]) for one in self.said]


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
    feed.say(2 * PAGE_ENTRIES + 7)
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
        while not reading.done():
            await settle()
            if any(circle.arriving for circle in feed.followers._everybody()):
                continue  # an end may come in the middle of history, and its reader comes back with a cursor
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
    ear = feed.follow(Ear(), after=Cursor("other", 7))
    await settle()
    gap, said = ear.said
    here = str(feed.cursor(0))
    assert (here, "gap", "other-7", here, "1") == (gap["id"], gap["type"], gap["after"], gap["until"], said["text"])
    assert "another store" in gap["why"]


async def test_a_gap_says_from_where_to_where(feed):
    """A model that said too much: her readers hear where their history begins, the platform that some of it is gone."""
    feed.say(2, model="mia")
    feed.say(4)
    feed.say(1, model="mia")
    await feed.store.sweep(tips_before=0, entries_before=0, entries_max=2)
    for wish, texts, here in (
        ({}, ["gap", "5", "6"], 4),
        ({"model": None, "audience": Audience.PLATFORM}, ["gap", "2", "5", "6", "7"], 1),
    ):
        ear = feed.follow(Ear(), after=feed.cursor(1), **wish)
        await settle()
        gap = ear.said[0]
        assert (texts, *map(str, map(feed.cursor, (here, 1, 4)))) == (ear.heard, gap["id"], gap["after"], gap["until"])
    assert ["6"] == await feed.read(last=1, count=1)


async def test_retention_that_overtakes_a_reader_in_its_history_is_no_silence(feed):
    """Between two pages its next entries go: a gap says so, in its place."""
    feed.say(2 * PAGE_ENTRIES + 1)
    ear = feed.follow(Ear(), after=feed.cursor(0))
    ear.follower.pause()
    await settle()
    await feed.store.sweep(tips_before=0, entries_before=0, entries_max=1, limit=2 * PAGE_ENTRIES)
    ear.follower.resume()
    await settle()
    assert [*numbers(1, PAGE_ENTRIES), "gap", str(feed.written)] == ear.heard
    ids = [int(one["id"].partition("-")[2]) for one in ear.said]
    assert sorted(ids) == ids


async def test_a_reader_that_waits_for_the_first_entry_hears_heartbeats(feed, monkeypatch):
    """It has read further than has been made known since the start, and nothing happens."""
    monkeypatch.setattr(followers_module, "HEARTBEAT_SECONDS", 0.04)
    feed.say(3)
    feed.followers.published = 0  # a fresh start over an old store
    ear = feed.follow(Ear(), after=feed.cursor(2))
    beating = asyncio.create_task(feed.followers.beat())
    async with asyncio.timeout(5):
        while "heartbeat" not in ear.heard:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    beating.cancel()
    feed.say()
    await settle()
    assert ["3", "4"] == [text for text in ear.heard if text != "heartbeat"]


async def test_readers_who_come_back_together_share_what_they_read(feed, monkeypatch):
    """A page is read and encoded once for all who ask for it; each looks for itself whether that was all."""
    looks = []
    plain = feed.store.entries

    async def entries(**asked):
        looks.append(asked["after"])
        return await plain(**asked)

    feed.store.entries = entries
    feed.store.turns = 2
    feed.say(PAGE_ENTRIES + 50)
    ears = [feed.follow(Ear(), after=feed.cursor(0)) for _ in range(5)]
    await turns(5)
    feed.say()
    ears += [feed.follow(Ear(), after=feed.cursor(0)) for _ in range(5)]
    await turns(20)
    assert [numbers(1, feed.written)] * 10 == [ear.heard for ear in ears]
    assert (1, 1) == (looks.count(0), looks.count(PAGE_ENTRIES))
    assert ears[0].written[0] is ears[9].written[0]


async def test_a_shared_page_is_kept_for_a_moment_and_within_bounds(feed, monkeypatch):
    """Memory for what others may want has an end."""
    monkeypatch.setattr(histories, "SHARED_SECONDS", 0.01)
    feed.say(PAGE_ENTRIES)
    feed.follow(Ear(), after=feed.cursor(0))
    await settle()
    assert (1, True) == (len(feed.followers.histories._pages), 0 < feed.followers.histories._bytes)
    await asyncio.sleep(0.03)
    assert ({}, 0) == (feed.followers.histories._pages, feed.followers.histories._bytes)
    monkeypatch.setattr(histories, "SHARED_BYTES_MAX", 1000)
    ear = feed.follow(Ear(), after=feed.cursor(0))
    await settle()
    assert ({}, numbers(1, PAGE_ENTRIES)) == (feed.followers.histories._pages, ear.heard)


async def test_who_leaves_takes_nobodys_page_along(feed):
    """The reader that began to read it goes; the others hear it."""
    feed.store.turns = 3
    feed.say(30)
    first, other = (feed.follow(Ear(), after=feed.cursor(0)) for _ in range(2))
    await asyncio.sleep(0)
    first.follower.gone()
    await turns(10)
    assert ([], numbers(1, 30)) == (first.heard, other.heard)


# -- slow readers, silence, the end ----------------------------------------------------------


async def test_a_slow_reader_delays_nobody_and_catches_up(feed):
    """Nothing is written to who does not take it (facts.md H23); once it reads again it gets all of it, once."""
    slow, quick = feed.follow(Ear()), feed.follow(Ear())
    feed.say(2)
    await settle()
    slow.follower.pause()
    feed.say(2 * PAGE_ENTRIES)
    await settle()
    assert (["1", "2"], numbers(1, feed.written)) == (slow.heard, quick.heard)
    slow.follower.resume()
    feed.say(3)
    await settle()
    feed.say(1)
    await settle()
    assert numbers(1, feed.written) == slow.heard == quick.heard


async def test_a_reader_that_stops_in_its_history_waits_there(feed):
    """History is written in small pieces, as they are taken: what waits for one reader is its own."""
    feed.say(3 * PAGE_ENTRIES, to="x" * 500)
    ear = feed.follow(Ear(), after=feed.cursor(0), model=None, audience=Audience.PLATFORM)
    ear.follower.pause()
    await settle()
    (piece,) = ear.written
    assert PIECE_BYTES <= len(piece) <= PIECE_BYTES + 1000
    assert FOLLOWER_HISTORY_BYTES_MAX == ear.allowed
    ear.follower.resume()
    await turns(20)
    assert (numbers(1, feed.written), FOLLOWER_BYTES_MAX) == (ear.heard, ear.allowed)


async def test_a_stuck_reader_is_cut(feed, monkeypatch):
    """4203 after a while; who reads again in time is not."""
    monkeypatch.setattr(followers_module, "FOLLOWER_STUCK_SECONDS", 0.02)
    stuck, slow = feed.follow(Ear()), feed.follow(Ear())
    stuck.follower.pause()
    slow.follower.pause()
    slow.follower.resume()
    await asyncio.sleep(0.04)
    feed.say()
    await settle()
    assert (4203, [], None, ["1"]) == (stuck.code, stuck.heard, slow.code, slow.heard)


async def test_who_was_cut_and_reads_again_hears_nothing_more(feed):
    """No entry comes after the goodbye; what it missed is there when it comes back."""
    ear = feed.follow(Ear())
    ear.follower.pause()
    feed.say(3)
    ear.finish(4203)
    for again in (ear.follower.resume, ear.follower.pause, ear.follower.resume):
        again()
        feed.say(3)
        await turns(3)
        assert ([], []) == (ear.heard, feed.followers._everybody())


@pytest.mark.parametrize("step", range(12))
async def test_an_end_on_the_way_into_the_circle_is_an_end(feed, step):
    """In whatever turn of the loop it is sent away, nothing comes after it, while others hear on."""
    feed.say(3)
    ear, other = feed.follow(Ear(), after=feed.cursor(0)), feed.follow(Ear())
    for _ in range(step):
        await asyncio.sleep(0)
    ear.finish(4301)
    heard = ear.heard
    await settle()
    feed.say()
    await settle()
    assert (heard, ["4"], {other.follower}) == (ear.heard, other.heard, other.follower.circle.members)


async def test_more_than_is_kept_meanwhile_comes_from_the_store(feed):
    """Memory for one reader has an end; what it hears has no hole."""
    feed.store.turns = 3
    feed.say(1)
    ear = feed.follow(Ear(), after=feed.cursor(0))
    await asyncio.sleep(0)
    feed.say(FOLLOWER_ENTRIES_MAX + PAGE_ENTRIES)
    assert FOLLOWER_ENTRIES_MAX >= len(ear.follower._kept)
    await turns(200)
    feed.say(1)
    await turns(20)
    assert numbers(1, feed.written) == ear.heard


async def test_a_store_that_cannot_be_read_ends_its_reader(feed):
    """4205: back off, then return; the others go on."""

    async def entries(**_):
        raise StoreUnavailable("out of order")

    feed.store.entries = entries
    returning, live = feed.follow(Ear(), after=feed.cursor(0)), feed.follow(Ear())
    await settle()
    feed.say()
    await settle()
    assert (4205, None, ["1"]) == (returning.code, live.code, live.heard)


async def test_silence_is_filled_with_heartbeats(feed, monkeypatch):
    """What a reader may not see is silence too; one that hears something needs none."""
    monkeypatch.setattr(followers_module, "HEARTBEAT_SECONDS", 0.04)
    viewer, platform = feed.follow(Ear()), feed.follow(Ear(), audience=Audience.PLATFORM)
    beating = asyncio.create_task(feed.followers.beat())
    async with asyncio.timeout(5):
        while "heartbeat" not in viewer.heard:
            feed.say(1, private=True)
            await asyncio.sleep(0.01)
    beating.cancel()
    assert "heartbeat" not in platform.heard
    assert {"type", "at"} == viewer.said[0].keys()


async def test_the_end_comes_after_what_is_left(feed):
    """A drain cuts nobody's words off, and who comes back too soon is sent away too."""
    ear = feed.follow(Ear())
    feed.say(2)
    feed.followers.end()
    assert (["1", "2"], 4301) == (ear.heard, ear.code)
    assert [] == await feed.read()


async def test_who_has_gone_is_forgotten(feed):
    """A reader's end frees its place."""
    ears = [feed.follow(Ear()), feed.follow(Ear(), model=None, audience=Audience.PLATFORM)]
    assert 2 == len(feed.followers)
    for ear in ears:
        ear.follower.gone()
    assert (0, {}) == (len(feed.followers), feed.followers._circles)


async def test_an_entry_is_encoded_once_per_audience(feed):
    """Thousands of viewers share the same bytes, and what one turn of the loop brings is one write."""
    one, other = feed.follow(Ear()), feed.follow(Ear())
    feed.say(3)
    await settle()
    assert numbers(1, 3) == one.heard
    assert 1 == len(one.written)
    assert one.written[0] is other.written[0]


async def test_after_a_long_round_what_comes_in_is_written_together(feed):
    """Writing to very many takes long, for one entry as for ten: the next round waits for more, but not for long."""
    ear = Ear()

    def slow(data):
        time.sleep(2 * REST_SECONDS_MIN)
        ear.written.append(data)

    ear.write = slow
    feed.follow(ear)
    feed.say()
    await settle()
    assert ["1"] == ear.heard
    for _ in range(3):
        feed.say()
        await settle()
    await eventually(lambda: numbers(1, 4) == ear.heard, "the next round")
    assert 2 == len(ear.written)
    ear.write, ear.follower.circle.writes = ear.written.append, None  # short rounds from here on
    feed.say()
    await eventually(lambda: numbers(1, 5) == ear.heard, "the round after a long one")
    for n in (6, 7):
        feed.say()
        await settle()
        assert numbers(1, n) == ear.heard  # at once


async def test_a_connection_that_ends_in_the_middle_harms_nobody(feed):
    """Its write fails; everybody else is written to."""
    ears = [feed.follow(Ear()) for _ in range(3)]
    ears[1].write = broken
    feed.say()
    await settle()
    assert [["1"], [], ["1"]] == [ear.heard for ear in ears]


def broken(_):
    raise RuntimeError("the handler is closed")
