"""The page's socket: docs/protocol.md, "The page's socket". Who may come in, and what is said in which code."""

import asyncio
import contextlib
import json

import pytest
from kit import KEY, ORIGIN, SECRET, Page, eventually, with_settings
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from relay.clock import TickingClock
from relay.secret import Secret
from relay.settings import FRAMES_PER_SECOND_MAX
from relay.tickets import Tickets
from relay.web import page_socket, websocket

HELLO = {"type": "hello", "journal": "j_first", "shim": "1.0.0", "vendor": {"kit": "camkit", "ready": True}}


async def closed_after(relay, *frames, **handshake):
    """The code that ends a socket which says this."""
    async with relay.socket(**handshake) as page:
        try:
            for frame in frames:
                await page.raw(frame if isinstance(frame, str | bytes) else json.dumps(frame))
        except ConnectionClosed:
            pass
        return await page.closed()


async def refused(relay, **hello):
    return await closed_after(relay, HELLO | hello)


# -- The handshake ----------------------------------------------------------


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://cam.example", "https://cam.example:8443", "null", None]
)
async def test_a_foreign_or_missing_origin_stays_away(relay, origin):
    """4003, whatever the ticket."""
    assert 4003 == await closed_after(relay, HELLO | {"ticket": await relay.platform.ticket()}, origin=origin)


async def test_the_origin_may_be_in_other_letters(relay, platform):
    """Browsers lower them; others need not."""
    async with relay.socket(origin=ORIGIN.replace("cam", "CAM")) as page:
        assert 1 == (await page.hello("j_first", ticket=await platform.ticket())).welcome["generation"]


@pytest.mark.parametrize("offered", [[], ["relay.v2"], ["chat"]])
async def test_a_socket_without_our_subprotocol_stays_away(relay, offered):
    """4005: another version's shim."""
    assert 4005 == await closed_after(relay, subprotocols=offered)


async def test_the_subprotocol_is_chosen_among_others(relay):
    """A newer shim may offer more than one."""
    async with relay.socket(subprotocols=["relay.v2", "relay.v1"]) as page:
        assert "relay.v1" == page.socket.subprotocol


async def test_the_sockets_frames_are_not_compressed(relay, platform):
    """Deflate is off even where the page offers it."""
    url = relay.url.replace("http", "ws") + "/page"
    async with connect(url, origin=ORIGIN, subprotocols=["relay.v1"], proxy=None) as socket:
        assert "sec-websocket-extensions" not in socket.response.headers
        await Page(socket, platform).hello("j_first", ticket=await platform.ticket())


async def test_there_is_no_socket_elsewhere(relay):
    """Another path refuses the upgrade."""
    with pytest.raises(InvalidStatus):
        async with connect(relay.url.replace("http", "ws") + "/pages", proxy=None):
            pass


# -- Tickets ----------------------------------------------------------


@pytest.mark.parametrize("ticket", ["", "nonsense", "a.b.c", "é", "x" * 5000, "....", "\ud83d", "e30.aaa.bbb"])
async def test_a_ticket_that_is_none_is_refused(relay, ticket):
    """4102: get a fresh one, then return."""
    assert 4102 == await refused(relay, ticket=ticket)


async def test_a_tampered_ticket_is_refused(relay, platform):
    """One letter changed anywhere, and it is not ours."""
    ticket = await platform.ticket()
    for place in (0, len(ticket) // 2, len(ticket) - 2):
        wrong = ticket[:place] + ("A" if ticket[place] != "A" else "B") + ticket[place + 1 :]
        assert 4102 == await refused(relay, ticket=wrong)


async def test_an_expired_ticket_says_so(relay, platform, clock):
    """4101 after five minutes, so that the shim knows it was good once."""
    ticket = await platform.ticket()
    clock.tick(301)
    assert 4101 == await refused(relay, ticket=ticket)


async def test_a_ticket_belongs_to_the_first_journal_that_shows_it(relay, platform):
    """Another browser with the same ticket is refused; the same one may come back with it."""
    ticket = await platform.ticket()
    async with relay.page(ticket=ticket):
        assert 4102 == await refused(relay, ticket=ticket, journal="j_other")
    async with relay.page(ticket=ticket) as again:
        assert 2 == again.welcome["generation"]


async def test_a_ticket_of_another_purpose_is_refused(relay, platform, page):
    """A feed ticket opens no page, a resume token is no ticket, a ticket no resume."""
    assert 4102 == await refused(relay, ticket=await platform.feed_ticket())
    assert 4102 == await refused(relay, ticket=page.welcome["resume"])
    assert 4102 == await refused(relay, resume=await platform.ticket())
    assert 4102 == await refused(relay, ticket=KEY)


async def test_a_resume_token_is_bound_to_its_journal(relay, page):
    """Another browser cannot take the page over with it."""
    assert 4102 == await refused(relay, resume=page.welcome["resume"], journal="j_other")


async def test_an_expired_resume_token_says_so(relay, page, clock):
    """4101 after a day."""
    clock.tick(24 * 3600 + 2)
    assert 4101 == await refused(relay, resume=page.welcome["resume"])


async def test_a_hello_without_any_right_is_refused(relay):
    """4102."""
    assert 4102 == await refused(relay)


async def test_a_ticket_of_another_relay_is_refused(relay):
    """Signed with another secret."""
    assert 4102 == await refused(relay, ticket=Tickets([Secret("x" * 32)], TickingClock()).page("coco")[0])


async def test_a_model_nobody_registered_stays_away(relay):
    """4004, though the signature is ours."""
    assert 4004 == await refused(relay, ticket=Tickets([Secret(SECRET)], TickingClock()).page("nobody")[0])


# -- Frames ----------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "ack", "id": "t1", "outcome": "played"},
        {"type": "event", "n": 1, "event": {}},
        {"type": "whatever"},
        {"type": "hello"},
        {"type": "hello", "journal": ""},
        {"type": "hello", "journal": "x" * 129, "ticket": "x"},
        {"type": "hello", "journal": 7},
        {},
        [],
        "nonsense",
        "",
        "null",
        "[" * 10_000,
        b"\x00\x01",
        b"",
    ],
)
async def test_the_first_frame_must_be_a_hello(relay, frame):
    """4002: whoever does not introduce himself speaks another protocol."""
    assert 4002 == await closed_after(relay, frame)


async def test_no_hello_in_time_ends_the_socket(relay, monkeypatch):
    """4201: back off, then return."""
    monkeypatch.setattr(page_socket, "HELLO_SECONDS_MAX", 0.05)
    assert 4201 == await closed_after(relay)


async def test_a_binary_frame_ends_the_socket(page):
    """4002: frames are text."""
    await page.raw(b'{"type":"pong"}')
    assert 4002 == await page.closed()


async def test_a_frame_of_65_kilobytes_ends_the_socket(page, platform):
    """1009 is the protocol's own word for it, and the model is offline then."""
    await page.raw(json.dumps({"type": "event", "n": 1, "event": "x" * 66_000}))
    assert 1009 == await page.closed()
    await platform.until_state(lambda state: not state["online"])


async def test_a_frame_of_60_kilobytes_is_read(page, platform):
    """What the shim may send, the relay takes."""
    await page.hear({"type": "mystery", "words": "x" * 59_000})
    await platform.until_state(lambda state: 1 == state["unknown_events"])


async def test_a_thousand_frames_a_second_end_the_socket(page):
    """4204, after a burst that an honest page may make."""
    with contextlib.suppress(ConnectionClosed):
        for _ in range(3000):
            await page.say(type="pong")
            await asyncio.sleep(0)
    assert 4204 == await page.closed()


@pytest.mark.parametrize(
    "frames",
    [[(Opcode.PING, True)], [(Opcode.PONG, True)], [(Opcode.TEXT, False), (Opcode.CONT, False)]],
    ids=["pings", "pongs", "pieces"],
)
async def test_a_flood_of_frames_that_say_nothing_ends_the_socket(relay, frames):
    """4204 for pings, pongs and pieces too, and nobody needs a ticket to be counted."""
    first, *more = [Frame(opcode, b"", fin=fin).serialize(mask=True) for opcode, fin in frames]
    async with relay.socket() as page:
        page.socket.transport.write(first + b"".join(more or [first]) * 5000)
        assert 4204 == await page.closed()


async def test_pings_have_the_same_allowance_as_frames(relay, page):
    """A burst is forgiven, however long nothing was said before; a ping is no sign of the page's own life."""
    (socket,) = relay.wiring.pages.sockets
    socket.heard_at = heard_at = socket.heard_at - 60
    socket._allowance = 0.0
    for _ in range(2 * FRAMES_PER_SECOND_MAX):
        socket.overheard()
    assert (False, heard_at) == (socket.closing, socket.heard_at)
    for _ in range(20 * FRAMES_PER_SECOND_MAX):
        socket.overheard()
    assert 4204 == await page.closed()


async def test_a_page_may_answer_whatever_it_is_told(relay, page, platform):
    """Thousands of tips at once are thousands of acknowledgements at once: those are no flood."""
    count = 1500
    tips = [{"id": f"t{n}", "model": "coco", "tipper": "john", "amount": 5} for n in range(count)]
    for some in (tips[:750], tips[750:]):
        assert {202} == {one["status_code"] for one in (await platform.http.post("/tips/batch", json=some)).json()}
    played = [(await page.play())["id"] for _ in range(count)]
    assert [one["id"] for one in tips] == played
    await platform.until("t1499", "played")


async def test_a_page_that_turns_tips_away_again_and_again_is_a_flood(page, platform):
    """Only what it is told for the first time makes room for answers."""
    for n in range(16):
        await platform.accepted(f"t{n}")
    with contextlib.suppress(ConnectionClosed, AssertionError):
        for _ in range(4000):
            tip = await page.next_tip()
            await page.say(type="ack", id=tip["id"], outcome="not_ready", run=tip["run"])
            await page.say(type="vendor", ready=True)
    assert 4204 == await page.closed()


async def test_a_burst_of_three_hundred_frames_is_forgiven(page, platform):
    """Twice the rate at once, as after a sleep."""
    for _ in range(300):
        await page.hear({"type": "mystery"})
    await platform.until_state(lambda state: 300 == state["unknown_events"])


@pytest.mark.parametrize(
    "frame",
    [
        '{"type":"future","x":1}',
        '{"type":"ack"}',
        '{"type":"ack","id":7,"outcome":"played"}',
        '{"type":"ack","id":"nobody","outcome":"played"}',
        '{"type":"ack","id":"t","outcome":"nonsense"}',
        '{"type":"answer","tips":[]}',
        '{"type":"answer","tips":{"nobody":"played"}}',
        '{"type":"vendor"}',
        '{"type":"resolve","id":"nobody","as":"replay"}',
        '{"type":"hello","journal":"j_first"}',
        '{"type":7}',
        "null",
        "[]",
        '"text"',
        "nonsense",
        "",
        "\u0000",
        '{"type":"event","n":1e400,"event":null}',
        '{"type":"event","n":-5,"event":null}',
        '{"type":"event","event":' + "[" * 10_000 + "]" * 10_000 + "}",
        '{"type":"pong","n":"x"}',
        '{"type":"pong","n":1,"hidden":false,"more":{"a":[1]}}',
    ],
)
async def test_a_frame_that_means_nothing_is_ignored(page, platform, frame):
    """The page goes on: a tip still reaches it and its ack still counts."""
    await page.raw(frame)
    await platform.accepted("t1")
    assert "t1" == (await page.play())["id"]
    await platform.until("t1", "played")


@pytest.mark.parametrize("outcome", ["interrupted", "duplicate"])
async def test_an_ack_for_another_models_tip_means_nothing(relay, platform, page, outcome):
    """A page speaks for its own model only."""
    await platform.register("kim", "Kim")
    async with relay.page("kim", "j_kim") as kims:
        await platform.accepted("k1", model="kim")
        await kims.next_tip()
        await page.ack("k1", "played")
        await page.ack("k1", outcome)
        await page.say(type="answer", tips={"k1": "played"})
        await page.say(type="resolve", id="k1", **{"as": "played"})
        await page.hear({"type": "mystery"})
        await platform.until_state(lambda state: 1 == state["unknown_events"])
        assert "sent" == (await platform.receipt("k1"))["status"]


# -- Life signs ----------------------------------------------------------


async def test_a_page_that_answers_is_kept(relay, page):
    """The welcome says how often it is asked."""
    assert 20 == page.welcome["heartbeat"]


class TestHeartbeat:
    @pytest.fixture
    def settings(self):
        return with_settings(heartbeat=0.08)

    async def test_pages_are_asked_for_signs_of_life(self, page):
        """Pings come by themselves, numbered; a pong keeps the page."""
        first = await page.next("ping")
        for _ in range(5):
            await page.say(type="pong", n=first["n"], hidden=True)
            assert first["n"] < (await page.next("ping"))["n"]

    async def test_a_silent_page_is_given_up(self, page, platform):
        """4202 after two and a half heartbeats of silence, and the model is offline."""
        assert 4202 == await page.closed()
        await platform.until_state(lambda state: not state["online"])

    async def test_any_frame_is_a_sign_of_life(self, page):
        """Not only a pong."""
        for _ in range(8):
            await page.hear({"type": "mystery"})
            await page.next("ping")


async def test_a_page_that_does_not_read_is_cut(relay, platform, page, monkeypatch):
    """4203 or a broken connection: nobody waits for it, and the relay's memory has an end."""
    monkeypatch.setattr(websocket, "CLOSING_SECONDS_MAX", 0.05)
    page.socket.transport.pause_reading()
    sockets = relay.wiring.pages.sockets
    (socket,) = sockets
    for _ in range(400):
        socket.tell(b'{"type":"ping","n":1,"x":"' + b"x" * 20_000 + b'"}')
    await eventually(lambda: socket not in sockets, "the end of the page")
    await platform.until_state(lambda state: not state["online"])
    page.vanish()
