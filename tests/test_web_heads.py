"""A request whose head is known takes a shorter way, and nothing else is different (web/heads.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from kit import KEY, Relay

from relay.web import protocol
from relay.web.heads import HEADS_MAX, Heads

HEAD = {"host": "relay", "authorization": f"Bearer {KEY}", "content-type": "application/json"}


class Connection:
    """A backend that keeps its connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, Any]:
        async with asyncio.timeout(5):
            head = await self.reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            return int(head.split()[1]), orjson.loads(await self.reader.readexactly(size))

    async def post(self, id: str, **more: Any) -> tuple[int, Any]:
        self.send(request(id, **more))
        return await self.answer()


def request(id: str, amount: int = 5, **headers: str) -> bytes:
    body = orjson.dumps({"id": id, "model": "coco", "tipper": "john", "amount": amount})
    given = HEAD | {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"{name}: {value}" for name, value in given.items()] + [f"Content-Length: {len(body)}"]
    return ("POST /tips HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n").encode() + body


@pytest.fixture
async def connection(relay: Relay) -> AsyncIterator[Connection]:
    host, port = relay.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, port)
    yield Connection(reader, writer)
    writer.close()


def known(relay: Relay) -> int:
    return len(relay.wiring.heads._sizes)


async def test_a_head_is_known_after_its_first_tip(relay, connection):
    """One for each length of body; whoever posts with it, the tip is another one each time."""
    for n in range(3):
        assert (202, f"t{n}", n + 1) == pick(await connection.post(f"t{n}", amount=n + 1))
    assert 1 == known(relay)
    assert (202, "t-longer", 5) == pick(await connection.post("t-longer"))
    assert 2 == known(relay)


def pick(answer: tuple[int, Any]) -> tuple[int, str, int]:
    status, receipt = answer
    return status, receipt["id"], receipt["amount"]


async def test_a_repeat_and_a_refusal_are_the_same_on_the_short_way(relay, connection):
    """200 with its header, 422, 400 and 404, and the connection lives on."""
    await connection.post("t1")
    assert (200, "t1", 5) == pick(await connection.post("t1"))
    assert 422 == (await connection.post("t1", amount=6))[0]
    broken = request("t2").replace(b'"amount":5', b'"amount":x')
    connection.send(broken)
    assert (400, "not_json") == refused(await connection.answer())
    connection.send(request("t3").replace(b"coco", b"nope"))
    assert (404, "unknown_model") == refused(await connection.answer())
    assert (1, (202, "t4", 5)) == (known(relay), pick(await connection.post("t4")))


def refused(answer: tuple[int, Any]) -> tuple[int, str]:
    return answer[0], answer[1]["type"]


async def test_only_a_good_key_is_learned(relay, connection):
    """A head that was refused is read and refused again."""
    for _ in range(2):
        assert 401 == (await connection.post("t1", authorization="Bearer wrong"))[0]
    assert 0 == known(relay)


async def test_what_a_head_says_of_one_tip_counts_for_that_one(relay, connection):
    """An idempotency key is not taken for the next tip."""
    body = orjson.dumps({"model": "coco", "tipper": "john", "amount": 5})
    for id in ("k1", "k2"):
        head = f"POST /tips HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nIdempotency-Key: {id}\r\n"
        connection.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert (202, id, 5) == pick(await connection.answer())
    assert 0 == known(relay)


@pytest.mark.parametrize("cut", [1, 20, 60, 100, 170, -1])
async def test_a_request_in_pieces_is_read_whole(connection, cut):
    """Wherever it was cut, also where its second half looks like a known one's beginning."""
    await connection.post("t1")
    whole = request("t2")
    connection.send(whole[:cut])
    await asyncio.sleep(0.02)  # a segment of its own
    connection.send(whole[cut:])
    assert (202, "t2", 5) == pick(await connection.answer())
    assert (202, "t3", 5) == pick(await connection.post("t3"))


async def test_a_body_that_looks_like_a_request_is_a_body(relay, connection):
    """Nobody smuggles a tip in: what belongs to another request is not read as one of its own."""
    await connection.post("t1")
    inner = request("smuggled")
    head = (
        f"POST /tips/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {len(inner)}\r\n\r\n"
    )
    connection.send(head.encode())
    await asyncio.sleep(0.02)
    connection.send(inner)
    assert (400, "not_json") == refused(await connection.answer())
    assert None is await relay.wiring.store.receipt("smuggled")
    connection.send(b"POST /tips HTTP/1.1\r\nHost: x\r\nX-Note: ")  # a head that is not at its end yet
    await asyncio.sleep(0.02)
    connection.send(request("t2"))
    assert (202, "t2", 5) == pick(await connection.answer())
    assert 2 == len(await relay.wiring.store.receipts())


async def test_requests_that_come_too_early_wait_their_turn(connection):
    """Several at once, known or not, are answered one after the other, each once."""
    await connection.post("t0")
    connection.send(b"".join(request(f"t{n}") for n in range(1, 6)))
    connection.send(request("t6"))
    connection.send(request("t7-longer"))
    answers = [pick(await connection.answer())[1] for _ in range(7)]
    assert ["t1", "t2", "t3", "t4", "t5", "t6", "t7-longer"] == answers


async def test_a_socket_on_a_connection_that_posted_tips_is_a_socket(relay, connection):
    """An upstream pool reuses connections: the last tip is not posted once more, and its answer is nobody else's."""
    ticket = await relay.platform.feed_ticket()
    assert 404 == (await refused_model(connection))[0]
    connection.send(
        f"GET /feed/coco?ticket={ticket} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    assert b"101" in await connection.reader.readuntil(b"\r\n\r\n")
    await relay.platform.register("later")
    await relay.flushed()
    assert None is await relay.wiring.store.receipt("t1")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(connection.reader.read(1), 0.1)


async def test_a_socket_asked_for_behind_a_tip_that_is_not_answered_yet_is_refused(relay, connection):
    """By the end of the connection; the tip is posted once, and a retry finds it."""
    ticket = await relay.platform.feed_ticket()
    connection.send(
        request("t1")
        + f"GET /feed/coco?ticket={ticket} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    assert b"101" not in await connection.reader.read()
    await relay.flushed()
    assert "t1" == (await relay.platform.receipt("t1"))["id"]
    assert 1 == len((await relay.platform.receipt("t1"))["timeline"])


async def refused_model(connection: Connection) -> tuple[int, Any]:
    connection.send(request("t1").replace(b"coco", b"nope"))
    return await connection.answer()


async def test_a_connection_that_closes_is_closed(relay, connection):
    """A head that ends its connection is not learned, and does."""
    assert 202 == (await connection.post("t1", connection="close"))[0]
    assert (0, b"") == (known(relay), await connection.reader.read())


async def test_an_idle_connection_is_given_up_and_a_busy_one_is_not(relay, connection, monkeypatch):
    """The time counts from the last answer, on the short way too."""
    protocols: list[protocol.RelayProtocol] = []
    made = protocol.RelayProtocol._rest
    monkeypatch.setattr(protocol.RelayProtocol, "_rest", lambda self: (protocols.append(self), made(self)))
    await connection.post("t1")
    (one,) = protocols
    assert one.timeout_keep_alive_task is not None
    one.timeout_keep_alive = 1.0
    for n in range(8):  # 1.6 s in all
        assert 202 == (await connection.post(f"b{n}"))[0]
        one.timeout_keep_alive_handler()  # due, as the timer that stood before would be
        await asyncio.sleep(0.2)
    async with asyncio.timeout(5):
        assert b"" == await connection.reader.read()


def test_no_more_heads_are_known_than_there_is_room_for():
    """A backend with very many kinds of heads costs no memory."""
    heads = Heads()
    for n in range(HEADS_MAX + 5):
        head = f"POST /tips HTTP/1.1\r\nauthorization: x\r\nx: {n}\r\n\r\n".encode()
        heads.learn(head + b"{}", {"authorization": "x"}, b"{}")
    assert 5 == len(heads._sizes)
    assert "authorization" not in repr(heads)
