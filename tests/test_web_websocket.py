"""The server's end of a WebSocket: whole messages however they come, and a code for every broken rule."""

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import InvalidHandshake
from websockets.frames import Close, Frame, Opcode
from websockets.utils import accept_key

from relay.web import websocket
from relay.web.websocket import BINARY, TEXT, WebSocket, frame, handshake

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455, 1.3


class Wire:
    """A transport that remembers."""

    def __init__(self):
        self.written = bytearray()
        self.ended = ""

    def write(self, data):
        self.written += data

    def close(self):
        self.ended = self.ended or "closed"

    def abort(self):
        self.ended = "aborted"


class Listener(WebSocket):
    bytes_max = 1000

    def __init__(self):
        super().__init__(Wire())
        self.messages = []
        self.others = 0
        self.gone = 0

    def heard(self, opcode, data):
        self.messages.append((opcode, data))

    def overheard(self):
        self.others += 1

    def lost(self):
        self.gone += 1

    @property
    def said(self):
        """The code that it closed with, None while it is open."""
        written = bytes(self.transport.written)
        at = written.rfind(b"\x88")
        return int.from_bytes(written[at + 2 : at + 4], "big") if self.closing and at >= 0 else None


def masked(opcode, data, fin=True):
    return Frame(opcode, data, fin=fin).serialize(mask=True)


parts = st.lists(st.binary(max_size=300), min_size=1, max_size=4)
messages = st.lists(st.tuples(st.sampled_from([Opcode.TEXT, Opcode.BINARY]), parts), max_size=5)


def as_frames(opcode, pieces):
    """One message in as many frames as it has pieces, with a ping between them."""
    for n, piece in enumerate(pieces):
        yield masked(Opcode.CONT if n else opcode, piece, fin=n == len(pieces) - 1)
        if n == 0:
            yield masked(Opcode.PING, b"?")


@given(messages, st.lists(st.integers(0, 5000), max_size=20))
def test_messages_come_whole_however_they_are_cut(said, cuts):
    """Frames of another library, fragmented, pinged between, and cut anywhere on their way."""
    asyncio.run(cut_and_heard(said, cuts))


async def cut_and_heard(said, cuts):
    said = [(opcode, pieces) for opcode, pieces in said if sum(map(len, pieces)) <= Listener.bytes_max]
    stream = b"".join(piece for one in said for piece in as_frames(*one))
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    socket = Listener()
    for begin, end in pairwise(places):
        socket.data_received(stream[begin:end])
    assert [(int(opcode), b"".join(pieces)) for opcode, pieces in said] == socket.messages
    assert frame(b"?", websocket.PONG) * len(said) == bytes(socket.transport.written)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70_000])
def test_what_is_sent_is_what_another_library_sends(size):
    """Every length form."""
    assert Frame(Opcode.TEXT, b"x" * size).serialize(mask=False) == frame(b"x" * size)


def test_a_handshake_is_answered_as_the_standard_says():
    """The sample of RFC 6455."""
    asked = {"sec-websocket-version": "13", "sec-websocket-key": KEY}
    assert f"Sec-WebSocket-Accept: {accept_key(KEY)}\r\n" in handshake(asked).decode()
    assert b"Sec-WebSocket-Protocol: relay.v1\r\n\r\n" in handshake(asked, "relay.v1")
    assert b"Protocol:" not in handshake(asked)


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"sec-websocket-key": KEY},
        {"sec-websocket-version": "8", "sec-websocket-key": KEY},
        {"sec-websocket-version": "13", "sec-websocket-key": "short"},
    ],
)
def test_half_a_handshake_is_refused(asked):
    """What is missing is named."""
    with pytest.raises(InvalidHandshake, match="Sec-WebSocket-"):
        handshake(asked)


BROKEN = {
    "not masked": (Frame(Opcode.TEXT, b"x" * 10).serialize(mask=False), 1002),
    "reserved bit": (b"\xc1\x80\0\0\0\0", 1002),
    "unknown opcode": (masked(Opcode.TEXT, b"x").replace(b"\x81", b"\x83", 1), 1002),
    "unknown control": (b"\x8b\x80\0\0\0\0", 1002),
    "continuation of nothing": (masked(Opcode.CONT, b"x"), 1002),
    "beginning inside a message": (masked(Opcode.TEXT, b"x", fin=False) + masked(Opcode.TEXT, b"y"), 1002),
    "unknown opcode inside a message": (masked(Opcode.TEXT, b"x", fin=False) + b"\x84\x80\0\0\0\0", 1002),
    "ping in pieces": (b"\x09\x80\0\0\0\0", 1002),
    "long ping": (b"\x89\xfe\0\x7e\0\0\0\0" + b"x" * 126, 1002),
    "too big": (masked(Opcode.TEXT, b"x" * 1001), 1009),
    "said to be huge": (b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 1009),
    "too big in pieces": (masked(Opcode.TEXT, b"x" * 900, fin=False) + masked(Opcode.CONT, b"x" * 900), 1009),
}


@pytest.mark.parametrize("how", BROKEN)
async def test_whoever_breaks_the_rules_is_closed_and_not_heard_again(how):
    """With the code of the rule; what comes after is not read."""
    stream, code = BROKEN[how]
    for step in (1, len(stream)):
        socket = Listener()
        for at in range(0, len(stream), step):
            socket.data_received(stream[at : at + step])
        socket.data_received(masked(Opcode.TEXT, b"after"))
        assert (code, []) == (socket.said, socket.messages)
        socket.connection_lost(None)


@pytest.mark.parametrize(
    ("payload", "code"),
    [(b"", 1000), (Close(4001, "x").serialize(), 4001), (b"\x03\xed", 1002), (b"\0\0", 1002), (b"x", 1000)],
)
async def test_a_goodbye_is_answered_and_the_connection_ended(payload, code):
    """With the same code where it is one."""
    socket = Listener()
    socket.data_received(masked(Opcode.CLOSE, payload) + masked(Opcode.TEXT, b"after"))
    assert (code, [], "closed") == (socket.said, socket.messages, socket.transport.ended)


async def test_what_is_said_after_our_goodbye_is_still_heard():
    """An acknowledgement on its way is evidence; a ping is not answered any more."""
    socket = Listener()
    socket.close(4001, "superseded")
    socket.close(4999, "a second word")
    written = bytes(socket.transport.written)
    socket.data_received(masked(Opcode.TEXT, b"ack") + masked(Opcode.PING, b"?"))
    socket.send(b"too late")
    assert (4001, [(TEXT, b"ack")], written) == (socket.said, socket.messages, bytes(socket.transport.written))
    socket.data_received(masked(Opcode.CLOSE, b""))
    assert ("closed", written) == (socket.transport.ended, bytes(socket.transport.written))


async def test_a_peer_that_does_not_take_our_goodbye_is_dropped(monkeypatch):
    """After a while; a peer that left meanwhile is not."""
    monkeypatch.setattr(websocket, "CLOSING_SECONDS_MAX", 0.01)
    stays, leaves = Listener(), Listener()
    stays.close(1000)
    leaves.close(1000)
    leaves.connection_lost(None)
    await asyncio.sleep(0.02)
    assert ("aborted", "", 1) == (stays.transport.ended, leaves.transport.ended, leaves.gone)


def test_who_takes_nothing_is_owed_one_pong():
    """While what was written is not taken no ping is answered, then the newest is (RFC 6455, 5.5.3)."""
    socket = Listener()
    socket.pause_writing()
    for n in range(1000):
        socket.data_received(masked(Opcode.PING, b"%d" % n))
    assert b"" == socket.transport.written
    socket.resume_writing()
    assert frame(b"999", websocket.PONG) == socket.transport.written
    socket.data_received(masked(Opcode.PING, b"again"))
    socket.pause_writing()
    socket.resume_writing()
    assert frame(b"999", websocket.PONG) + frame(b"again", websocket.PONG) == socket.transport.written


async def test_no_pong_comes_after_a_goodbye():
    """Not even the one that was owed."""
    socket = Listener()
    socket.pause_writing()
    socket.data_received(masked(Opcode.PING, b"?"))
    socket.close(1000)
    written = bytes(socket.transport.written)
    socket.resume_writing()
    assert written == socket.transport.written
    socket.connection_lost(None)


def test_every_frame_is_noticed():
    """Pings, pongs and pieces are no messages, but whoever counts frames hears of them."""
    socket = Listener()
    for opcode, fin in ((Opcode.TEXT, False), (Opcode.PING, True), (Opcode.CONT, False), (Opcode.PONG, True)):
        socket.data_received(masked(opcode, b"x", fin))
    socket.data_received(masked(Opcode.CONT, b"x"))
    assert (4, [(TEXT, b"xxx")]) == (socket.others, socket.messages)


async def test_a_long_reason_is_cut_at_a_letter():
    """A control frame has 125 bytes; half an umlaut is no text."""
    socket = Listener()
    socket.close(4001, "ü" * 100)
    assert "ü" * 61 == bytes(socket.transport.written)[4:].decode()
    assert BINARY == 2
