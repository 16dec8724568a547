"""The feed over both transports: docs/protocol.md, "The feed"."""

import asyncio
import json

import pytest
from kit import (
    FEED_KEY,
    KEY,
    ORIGIN,
    PROTOCOL,
    SETTINGS_EVENT,
    TIPS_KEY,
    TOY_EVENT,
    Platform,
    eventually,
    message_event,
    queue_event,
    read_sse,
    read_websocket,
    running,
)
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from relay import followers
from relay.clock import TickingClock
from relay.feeds import Audience, Draft
from relay.histories import PIECE_BYTES
from relay.secret import Secret
from relay.settings import FOLLOWER_BYTES_MAX, FOLLOWER_HISTORY_BYTES_MAX
from relay.stores import Change
from relay.tickets import Tickets
from relay.web import websocket
from relay.web.feed_websocket import FeedSocket
from relay.web.page_socket import PageSocket
from relay.web.protocol import RelayProtocol
from relay.web.websocket import CONTROL_BYTES_MAX

T0 = 1_700_000_000.0
HEAD = "GET {path} HTTP/1.1\r\nHost: relay\r\nAuthorization: Bearer {key}\r\n"
RAW = {
    read_sse: HEAD + "\r\n",
    read_websocket: HEAD + "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
}
UNREAD = b" " * 8_000_000  # more than the kernel takes for a peer that does not read


@pytest.fixture(params=[read_sse, read_websocket], ids=["sse", "websocket"])
def over(request):
    """How the reader reads."""
    return request.param


async def tips(platform, *ids, **more):
    for id in ids:
        await platform.accepted(id, **more)


async def ids_of(reader, count):
    return [(await reader.next("tip"))["tip"] for _ in range(count)]


# -- History, then live ----------------------------------------------------------


async def test_a_reader_hears_what_happens_from_now_on(relay, platform, over):
    """Without a wish there is no history."""
    await tips(platform, "t1")
    async with relay.feed(over=over) as reader:
        await tips(platform, "t2")
        assert "t2" == (await reader.next("tip"))["tip"]


async def test_a_reader_may_begin_with_history(relay, platform, over):
    """`last=2`, then live, with nothing between and nothing twice."""
    await tips(platform, "t1", "t2", "t3")
    async with relay.feed(over=over, last=2) as reader:
        assert ["t2", "t3"] == await ids_of(reader, 2)
        await tips(platform, "t4")
        assert "t4" == (await reader.next())["tip"]


async def test_an_entry_is_a_place_to_come_back_to(relay, platform, over):
    """`after` its id: what came since, then live."""
    async with relay.feed(over=over) as reader:
        await tips(platform, "t1", "t2")
        cursor = (await reader.next("tip"))["id"]
    await tips(platform, "t3")
    async with relay.feed(over=over, after=cursor) as reader:
        await tips(platform, "t4")
        assert ["t2", "t3", "t4"] == await ids_of(reader, 3)


async def test_last_event_id_does_the_same(relay, platform, over):
    """What an EventSource sends by itself; it wins over the address it was opened with."""
    await tips(platform, "t1", "t2", "t3")
    async with relay.feed(over=over, last=9) as reader:
        first, second = await reader.next("tip"), await reader.next("tip")
    headers = {"Last-Event-ID": second["id"]}
    async with relay.feed(over=over, headers=headers, after=first["id"]) as reader:
        assert "t3" == (await reader.next("tip"))["tip"]


async def test_every_entry_says_what_it_is(relay, platform, over):
    """Id, type, model and time, whatever the type."""
    async with relay.feed(over=over) as reader:
        await eventually(lambda: len(relay.wiring.followers), "the reader")
        await tips(platform, "t1")
        entry = await reader.next()
    assert ("tip", "coco", "2023-11-14T22:13:20.000Z") == (entry["type"], entry["model"], entry["at"])
    assert relay.wiring.store.epoch == entry["id"].partition("-")[0]


async def test_nothing_is_lost_between_history_and_live(relay, platform, over):
    """A hundred tips pour in while ten readers connect: each reads them all, in order, once."""
    await tips(platform, "first")
    cursor = f"{relay.wiring.store.epoch}-0"

    async def read():
        async with relay.feed(over=over, after=cursor) as reader:
            return await ids_of(reader, 101)

    async with asyncio.TaskGroup() as group:
        readers = []
        for n in range(100):
            if 0 == n % 10:
                readers.append(group.create_task(read()))
            await tips(platform, f"t{n}")
    expected = ["first", *(f"t{n}" for n in range(100))]
    assert [expected] * 10 == [reader.result() for reader in readers]


# -- Gaps ----------------------------------------------------------


async def test_a_cursor_of_another_store_gets_a_gap_first(relay, platform, over):
    """Never silence: then all the history there is."""
    await tips(platform, "t1")
    async with relay.feed(over=over, after="deadbeef-7") as reader:
        gap = await reader.next()
        assert ("gap", "deadbeef-7") == (gap["type"], gap["after"])
        assert "another store" in gap["why"]
        assert "t1" == (await reader.next("tip"))["tip"]


async def test_a_cursor_of_the_future_gets_a_gap(relay, platform, over):
    """A database restored from a backup knows less than its readers."""
    async with relay.feed(over=over, after=f"{relay.wiring.store.epoch}-99999") as reader:
        assert "gap" == (await reader.next())["type"]


async def test_a_cursor_beyond_the_history_gets_a_gap(relay, platform, clock, over):
    """What retention took away cannot be served, and that is said."""
    await tips(platform, "t1", "t2")
    clock.tick(8 * 86_400)
    await relay.wiring.store.sweep(tips_before=0, entries_before=clock.now() - 86_400)
    async with relay.feed(over=over, after=f"{relay.wiring.store.epoch}-0") as reader:
        gap = await reader.next()
        assert "older than the history" in gap["why"]
        await tips(platform, "t3")
        await reader.next("tip", tip="t3")
    async with relay.feed(over=over, after=gap["id"]) as reader:
        assert "gap" != (await reader.next())["type"]


@pytest.mark.parametrize("after", ["nonsense", "7", "abc", "a-b", "-1", "x" * 200, "é-1", "ABC-1", f"a-{'9' * 19}"])
async def test_a_cursor_that_is_none_is_refused(door, after):
    """400 that says what a cursor is."""
    answer = await door.http.get("/feed/coco", params={"after": after})
    assert (400, "bad_cursor") == (answer.status_code, answer.json()["type"])


@pytest.mark.parametrize(("field", "value"), [("last", "many"), ("last", "-1"), ("last", "99999"), ("audience", "god")])
async def test_a_wish_that_is_none_is_refused_by_name(door, field, value):
    """400."""
    answer = await door.http.get("/feed/coco", params={field: value})
    assert (400, field) == (answer.status_code, answer.json()["field"])


# -- Who may read ----------------------------------------------------------


@pytest.mark.parametrize("audience", ["viewer", "chat"])
async def test_a_feed_ticket_reads_one_models_feed(relay, platform, over, audience):
    """In the query, since a browser's EventSource cannot send headers."""
    async with relay.reader(audience, over=over) as reader:
        await tips(platform, "t1")
        assert "t1" == (await reader.next("tip"))["tip"]


async def wrong_tickets(platform):
    await platform.register("kim", "Kim")
    ticket = await platform.feed_ticket()
    return {
        "of another model": await platform.feed_ticket("kim"),
        "tampered": ticket[:-3] + ("AAA" if ticket[-3:] != "AAA" else "BBB"),
        "for the page": await platform.ticket(),
        "of another relay": Tickets([Secret("x" * 32)], TickingClock()).feed("coco", Audience.VIEWER)[0],
        "none": "nonsense",
        "empty": "",
    }


async def test_a_wrong_ticket_reads_nothing(relay, platform):
    """401 for each, and nothing of the feed."""
    async with Platform(relay.url, None) as nobody:
        for kind, ticket in (await wrong_tickets(platform)).items():
            answer = await nobody.http.get("/feed/coco", params={"ticket": ticket})
            assert (401, "ticket_refused") == (answer.status_code, answer.json()["type"]), kind


async def test_a_wrong_ticket_closes_the_websocket(relay, platform):
    """4102: get a fresh one, then return."""
    for kind, ticket in (await wrong_tickets(platform)).items():
        url = f"{relay.url.replace('http', 'ws')}/feed/coco?ticket={ticket}"
        async with connect(url, proxy=None) as socket:
            with pytest.raises(ConnectionClosed):
                await asyncio.wait_for(socket.recv(), 5)
            assert 4102 == socket.close_code, kind


async def test_an_expired_ticket_says_so(relay, platform, clock):
    """401 with ticket_expired, after an hour."""
    ticket = await platform.feed_ticket()
    clock.tick(3601)
    async with Platform(relay.url, None) as nobody:
        answer = await nobody.http.get("/feed/coco", params={"ticket": ticket})
        assert (401, "ticket_expired") == (answer.status_code, answer.json()["type"])


@pytest.mark.parametrize(
    ("model", "query", "after", "code"),
    [
        ("coco", "", 3601, 4101),
        ("nobody", "&audience=viewer", 0, 4102),
        ("coco", "&after=nonsense", 0, 4002),
    ],
)
async def test_a_refused_websocket_says_what_would_help(relay, platform, clock, model, query, after, code):
    """In its close code, which is all that a browser can read."""
    ticket = await platform.feed_ticket()
    clock.tick(after)
    async with connect(f"{relay.url.replace('http', 'ws')}/feed/{model}?ticket={ticket}{query}", proxy=None) as socket:
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(socket.recv(), 5)
        assert code == socket.close_code


async def test_a_model_that_is_not_known_closes_the_websocket_for_good(relay, platform):
    """4004, whoever asks."""
    async with relay.feed("nobody", over=read_websocket) as reader:
        await asyncio.wait_for(reader.socket.wait_closed(), 5)
        assert 4004 == reader.socket.close_code


async def test_any_page_may_read_why_it_was_refused(relay):
    """Pages of other origins tell an expired ticket from a broken line."""
    async with Platform(relay.url, None) as nobody:
        answer = await nobody.http.get(
            "/feed/coco", params={"ticket": "nonsense"}, headers={"Origin": "https://x.example"}
        )
        assert "*" == answer.headers["access-control-allow-origin"]


async def test_a_ticket_does_not_read_everything(relay, platform):
    """/feed is for keys only."""
    async with Platform(relay.url, None) as nobody:
        ticket = await platform.feed_ticket()
        assert 401 == (await nobody.http.get("/feed", params={"ticket": ticket})).status_code


async def test_a_key_needs_the_right_to_read(relay):
    """403 without it, 401 without a key."""
    for key, status in ((TIPS_KEY, 403), (None, 401), ("wrong", 401)):
        async with Platform(relay.url, key) as caller:
            assert status == (await caller.http.get("/feed/coco")).status_code


async def test_a_feed_key_gives_feed_tickets(relay):
    """A chat backend lets its viewers in."""
    async with Platform(relay.url, FEED_KEY) as chat:
        assert await chat.feed_ticket()


@pytest.mark.parametrize("audience", ["platform", "", "all", None, 1, ["chat"], {}])
async def test_a_ticket_for_another_audience_is_not_given(door, audience):
    """The platform's view is for keys."""
    answer = await door.http.post("/models/coco/feed-ticket", json={"audience": audience})
    assert (400, "audience") == (answer.status_code, answer.json()["field"])


async def test_a_feed_nobody_registered_is_not_found(door):
    """404, for key and ticket alike."""
    assert 404 == (await door.http.get("/feed/nobody")).status_code
    assert 404 == (await door.http.post("/models/nobody/feed-ticket", json={})).status_code


# -- Who sees what ----------------------------------------------------------


async def test_two_models_feeds_do_not_mix(relay, platform, over):
    """Coco's readers hear nothing of Kim; /feed hears both."""
    await platform.register("kim", "Kim")
    async with relay.feed(over=over) as coco, relay.feed(None, over=over) as everything:
        await tips(platform, "k1", model="kim")
        await tips(platform, "t1")
        assert "t1" == (await coco.next("tip"))["tip"]
        assert ["k1", "t1"] == await ids_of(everything, 2)


async def test_a_private_tip_is_not_for_the_room(relay, platform, page, viewer, chat, feed):
    """Neither its steps, nor its place in the queue, nor the vendor's words about it (facts.md H7)."""
    await tips(platform, "p1", tipper="shy", amount=7, private=True)
    await page.play()
    await page.hear(queue_event([running("shy", 7)]))
    await platform.until("p1", "running")
    await page.hear(message_event("Lush is now reacting to shy's tip."))
    await tips(platform, "t1")
    for reader in (viewer, chat):
        await reader.next("tip", tip="t1")
        assert "shy" not in json.dumps(reader.seen)
        assert "p1" not in json.dumps(reader.seen)
    await feed.next("tip", tip="t1")
    assert "shy" in json.dumps(feed.seen)


async def test_viewers_see_no_ids_of_toys(relay, platform, page, viewer, feed):
    """Type and whether it is on, nothing that identifies it."""
    await page.hear(TOY_EVENT)
    assert [{"type": "lush", "on": True}] == (await viewer.next("toy"))["list"]
    assert "l58f167da065" == (await feed.next("toy"))["list"][0]["id"]


async def test_everybody_sees_what_tips_do(relay, page, viewer, chat):
    """The menu is for the room."""
    await page.hear(SETTINGS_EVENT)
    for reader in (viewer, chat):
        assert 2 == len((await reader.next("settings"))["levels"])


async def test_the_room_hears_when_the_model_comes_and_goes(relay, platform, viewer):
    """Online, ready, held; nothing else."""
    async with relay.page():
        entry = await viewer.next("model", online=True)
        assert {"id", "type", "model", "at", "online", "ready", "held"} == entry.keys()
        await platform.hold()
        await viewer.next("model", held=True)
    await viewer.next("model", online=False)


async def test_a_platform_may_look_through_a_viewers_eyes(relay, platform, over):
    """`audience=viewer` with a key."""
    async with relay.feed(over=over, audience="viewer") as reader:
        await tips(platform, "p1", private=True)
        await tips(platform, "t1")
        assert "t1" == (await reader.next("tip"))["tip"]


# -- Carrying ----------------------------------------------------------


async def test_silence_is_filled_with_heartbeats(relay, platform, over, monkeypatch):
    """So that proxies and readers know that it lives; a heartbeat has no id."""
    monkeypatch.setattr(followers, "HEARTBEAT_SECONDS", 0.02)
    async with relay.feed(over=over) as reader:
        assert {"type", "at"} == (await reader.next("heartbeat")).keys()


async def test_the_stream_says_what_it_is(relay, platform):
    """An event stream that no cache keeps, no proxy buffers, and any page may read."""
    async with platform.http.stream("GET", "/feed/coco") as answer:
        assert "text/event-stream" == answer.headers["content-type"].partition(";")[0]
        assert ("no-store", "no", "*") == tuple(
            answer.headers[name] for name in ("cache-control", "x-accel-buffering", "access-control-allow-origin")
        )


async def test_a_reader_that_left_is_forgotten(relay, platform, over):
    """The relay learns of it without having to write."""
    async with relay.feed(over=over):
        await eventually(lambda: 1 == len(relay.wiring.followers), "the reader")
    await eventually(lambda: not len(relay.wiring.followers), "the reader's end")


async def test_a_reader_that_does_not_read_is_cut(relay, platform, over, monkeypatch):
    """After a while; what it did not take is there when it comes back."""
    monkeypatch.setattr(followers, "FOLLOWER_STUCK_SECONDS", 0.05)
    monkeypatch.setattr(websocket, "CLOSING_SECONDS_MAX", 0.05)
    path = "/feed/coco"
    reader, writer = await asyncio.open_connection(*relay.url.removeprefix("http://").split(":"), limit=1)
    writer.write(RAW[over].format(path=path, key=KEY).encode())
    await eventually(lambda: 1 == len(relay.wiring.followers), "the reader")
    reader._transport.pause_reading()
    text = "x" * 50_000
    for _ in range(30):
        await relay.wiring.store.keep(Change(entries=(Draft("coco", "announcement", T0, {"text": text}),)))
    async with relay.feed(over=over, last=30) as quick:
        for _ in range(30):
            assert text == (await quick.next("announcement"))["text"]
    await eventually(lambda: not len(relay.wiring.followers), "the reader's end")
    writer.close()


async def stuck_reader(relay, over, wish=""):
    """A connection that asks, and then takes nothing."""
    followers = len(relay.wiring.followers)
    reader, writer = await asyncio.open_connection(*relay.url.removeprefix("http://").split(":"), limit=1)
    reader._transport.pause_reading()
    writer.write(RAW[over].format(path=f"/feed/coco{wish}", key=KEY).encode())
    await eventually(lambda: followers < len(relay.wiring.followers), "the reader")
    return writer


async def test_what_waits_for_a_stuck_reader_has_an_end(relay, platform, over):
    """Little of its history, which is nobody's but its own; of what happens a bit more, which is everybody's."""
    text, count = "x" * 5000, 400
    drafts = [Draft("coco", "announcement", T0, {"text": text})] * 4
    for _ in range(count // len(drafts)):
        await relay.wiring.store.keep(Change(entries=tuple(drafts)))
    writers = [await stuck_reader(relay, over, wish) for wish in ("", "", f"?last={count}", f"?last={count}")]
    (circle,) = relay.wiring.followers._everybody()
    live, returning = set(circle.members), circle.arriving - circle.members
    async with relay.feed(over=over) as quick:
        await eventually(lambda: 5 == len(relay.wiring.followers), "the one that reads")
        for _ in range(count // len(drafts)):
            await relay.wiring.store.keep(Change(entries=tuple(drafts)))
        for _ in range(count):
            await quick.next("announcement")
        assert (2, 2) == (len(live), len(returning))
        assert not circle.members & (live | returning)
        assert max(map(waiting, live)) <= FOLLOWER_BYTES_MAX + len(drafts) * 5200
        assert max(map(waiting, returning)) <= FOLLOWER_HISTORY_BYTES_MAX + PIECE_BYTES + 5200
    for writer in writers:
        writer.close()


@pytest.fixture
async def unread(relay, monkeypatch):
    """A connection that has left earlier answers unread until the relay may write no more: both its ends."""
    made = []
    plain = RelayProtocol.connection_made

    def connection_made(self, transport):
        plain(self, transport)
        made.append(transport)

    monkeypatch.setattr(RelayProtocol, "connection_made", connection_made)
    reader, writer = await asyncio.open_connection(*relay.url.removeprefix("http://").split(":"), limit=1)
    reader._transport.pause_reading()
    await eventually(lambda: made, "the connection")
    (transport,) = made
    transport.write(UNREAD)
    assert transport.get_protocol().flow.write_paused
    yield reader, writer, transport
    writer.close()


async def test_a_reader_that_left_earlier_answers_unread_is_cut_too(relay, unread, over, monkeypatch):
    """It does not take what is written from the beginning, and the transport has said so before it was a reader's."""
    monkeypatch.setattr(followers, "FOLLOWER_STUCK_SECONDS", 0.05)
    monkeypatch.setattr(websocket, "CLOSING_SECONDS_MAX", 0.05)
    _, writer, transport = unread
    writer.write(RAW[over].format(path="/feed/coco", key=KEY).encode())
    await eventually(lambda: not isinstance(transport.get_protocol(), RelayProtocol), "the reader")
    await eventually(lambda: not len(relay.wiring.followers), "the reader's end")


async def test_a_reader_that_left_earlier_answers_unread_hears_all_once_it_reads(relay, platform, unread, over):
    """Little is kept for it meanwhile."""
    reader, writer, transport = unread
    writer.write(RAW[over].format(path="/feed/coco", key=KEY).encode())
    await eventually(lambda: len(relay.wiring.followers), "the reader")
    before = transport.get_write_buffer_size()
    text = "x" * 50_000
    for n in range(20):
        await relay.wiring.store.keep(Change(entries=(Draft("coco", "announcement", T0, {"text": f"{text}{n}."}),)))
    assert before == transport.get_write_buffer_size()
    reader._limit = len(UNREAD)
    reader._transport.resume_reading()
    async with asyncio.timeout(5):
        await reader.readexactly(len(UNREAD))
        for n in range(20):
            await reader.readuntil(f"x{n}.".encode())


async def test_a_page_that_left_earlier_answers_unread_is_owed_one_pong(relay, unread):
    """What it does not take does not grow by its pings."""
    _, writer, transport = unread
    more = f"Origin: {ORIGIN}\r\nSec-WebSocket-Protocol: {PROTOCOL}\r\n\r\n"
    writer.write((RAW[read_websocket].format(path="/page", key=KEY).removesuffix("\r\n") + more).encode())
    await eventually(lambda: isinstance(transport.get_protocol(), PageSocket), "the page")
    before = transport.get_write_buffer_size()
    for n in range(100):
        writer.write(Frame(Opcode.PING, b"%d" % n).serialize(mask=True))
    await eventually(lambda: b"99" == transport.get_protocol()._owed, "the last ping")
    assert before == transport.get_write_buffer_size()


async def test_pings_of_a_stuck_reader_fill_nothing(relay, platform, monkeypatch):
    """Megabytes of pings, no pong taken: what is kept for it stays within what its entries may take."""
    monkeypatch.setattr(followers, "FOLLOWER_STUCK_SECONDS", 60)
    heard = asyncio.Event()
    monkeypatch.setattr(FeedSocket, "heard", lambda *_: heard.set())
    writer = await stuck_reader(relay, read_websocket)
    (circle,) = relay.wiring.followers._everybody()
    (follower,) = circle.members
    for _ in range(80):
        writer.write(Frame(Opcode.PING, b"x" * CONTROL_BYTES_MAX).serialize(mask=True) * 1000)
        await writer.drain()
    writer.write(Frame(Opcode.TEXT, b"that was all").serialize(mask=True))
    await heard.wait()
    assert waiting(follower) <= FOLLOWER_BYTES_MAX + CONTROL_BYTES_MAX + 2
    writer.close()


def waiting(follower):
    """Bytes that were written to a reader and not taken."""
    return follower.out.write.__self__.get_write_buffer_size()


async def test_words_of_a_reader_are_ignored(relay, platform):
    """A feed is read only; what a reader says does no harm."""
    async with relay.feed(over=read_websocket) as reader:
        await reader.socket.send("hello?")
        await reader.socket.send(b"\x00")
        await tips(platform, "t1")
        assert "t1" == (await reader.next("tip"))["tip"]


async def test_a_feed_is_read_on_a_connection_of_its_own(relay):
    """Behind a request that is not answered yet there is no stream; other methods are refused by name."""
    reader, writer = await asyncio.open_connection(*relay.url.removeprefix("http://").split(":"))
    ask = HEAD.format(path="/models", key=KEY) + "\r\n"
    writer.write((ask + RAW[read_sse].format(path="/feed/coco", key=KEY)).encode())
    try:
        async with asyncio.timeout(5):
            assert b" 200 OK" in await reader.readline()
            assert (await reader.readuntil(b"400 Bad Request")).count(b"HTTP/1.1") == 1
    finally:
        writer.close()
    assert 405 == (await relay.platform.http.post("/feed/coco")).status_code


async def test_requests_behind_each_other_end_with_their_connection(unread):
    """The first waits until its answer is taken, the others for the first: none writes to who has left."""
    _, writer, transport = unread
    protocol, written = transport.get_protocol(), []
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: relay\r\n\r\n" * 3)
    await eventually(lambda: 2 == len(protocol.pipeline), "the requests")
    transport.write = written.append
    writer.transport.abort()
    await eventually(lambda: not protocol.tasks, "the end")
    assert [] == written


async def test_a_request_behind_a_refused_feed_is_answered_too(relay, caplog):
    """Each its own answer, in order, and the log has nothing to tell."""
    reader, writer = await asyncio.open_connection(*relay.url.removeprefix("http://").split(":"))
    asks = ["/feed/coco?ticket=none", "/healthz", "/feed?ticket=none", "/nowhere"]
    writer.write("".join(f"GET {ask} HTTP/1.1\r\nHost: relay\r\n\r\n" for ask in asks).encode())
    async with asyncio.timeout(5):
        assert [401, 200, 400, 404] == [await status_of(reader) for _ in asks]
        writer.write(f"GET {asks[0]} HTTP/1.1\r\nHost: relay\r\n\r\n".encode())
        assert 401 == await status_of(reader)
    assert [] == [record for record in caplog.records if record.levelname != "INFO"]
    writer.close()


async def test_a_body_that_comes_with_a_refused_feed_is_not_kept(relay, monkeypatch):
    """A reader's request has nothing to say behind its head, however long it goes on."""
    kept = []
    plain = RelayProtocol.on_body

    def on_body(self, body):
        plain(self, body)
        kept.append(len(self.cycle.body))

    monkeypatch.setattr(RelayProtocol, "on_body", on_body)
    reader, writer = await asyncio.open_connection(*relay.url.removeprefix("http://").split(":"))
    size = 1_000_000
    writer.write(f"GET /feed?ticket=none HTTP/1.1\r\nHost: relay\r\nContent-Length: {size}\r\n\r\n".encode())
    writer.write(b"x" * size + b"GET /healthz HTTP/1.1\r\nHost: relay\r\n\r\n")
    async with asyncio.timeout(5):
        assert [401, 200] == [await status_of(reader), await status_of(reader)]
    assert {0} == set(kept)
    writer.close()


async def status_of(reader):
    """Of the next answer, read to its end."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    await reader.readexactly(int(head.partition("content-length: ")[2].split()[0]))
    return int(head.split()[1])


async def test_a_request_behind_a_feed_is_not_answered(relay, platform, caplog):
    """The stream says that it is the connection's last answer; its reader's end is noticed all the same."""
    reader, writer = await asyncio.open_connection(*relay.url.removeprefix("http://").split(":"))
    ask = RAW[read_sse].format(path="/feed/coco", key=KEY) + "GET /healthz HTTP/1.1\r\nHost: relay\r\n\r\n"
    writer.write(ask.encode())
    async with asyncio.timeout(5):
        assert b"Connection: close" in await reader.readuntil(b"\r\n\r\n")
        await tips(platform, "t1")
        assert b"HTTP/1.1" not in await reader.readuntil(b"t1")
    writer.close()
    await eventually(lambda: not len(relay.wiring.followers), "the reader's end")
    assert [] == [record for record in caplog.records if record.levelname != "INFO"]


async def test_an_upgrade_that_is_none_is_refused(relay):
    """With what it lacks."""
    reader, writer = await asyncio.open_connection(*relay.url.removeprefix("http://").split(":"))
    writer.write(RAW[read_websocket].replace("13", "8").format(path="/feed/coco", key=KEY).encode())
    answer = (await reader.read()).decode()
    assert answer.startswith("HTTP/1.1 400 Bad Request")
    assert "Sec-WebSocket-Version must be 13" in answer
    writer.close()
