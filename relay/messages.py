"""The frames of the page's socket (docs/protocol.md): what a page may say, and what it is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

from relay.clock import iso
from relay.settings import DOUBTS_ASKED_MAX
from relay.surrogates import half_an_emoji, mended
from relay.tips import Receipt

PROTOCOL = "relay.v1"


# -- Up: what a page says. Unknown fields are ignored. ----------------------------------------------------------


class VendorState(msgspec.Struct):
    kit: str = "camkit"
    ready: bool = False


class Hello(msgspec.Struct, tag="hello"):
    journal: str
    ticket: str | None = None
    resume: str | None = None
    storage: str = "local"  # "memory": the journal dies with the page
    shim: str = ""
    vendor: VendorState = msgspec.field(default_factory=VendorState)


class Answer(msgspec.Struct, tag="answer"):
    tips: dict[str, str]  # id -> played | failed | unseen | interrupted


class Ack(msgspec.Struct, tag="ack"):
    id: str
    outcome: str  # played | failed | not_ready | stale | duplicate
    error: str | None = None
    was: str | None = None  # with duplicate: what the journal says: played | failed | interrupted
    run: int | None = None


class EventFrame(msgspec.Struct, tag="event"):
    event: Any = None
    n: int = 0  # rises per page load


class VendorFrame(msgspec.Struct, tag="vendor"):
    ready: bool
    why: str | None = None


class Pong(msgspec.Struct, tag="pong"):
    n: int = 0
    hidden: bool = False


class Stop(msgspec.Struct, tag="stop"):
    """The broadcaster's own stop button."""


class Release(msgspec.Struct, tag="release"):
    """The broadcaster continues."""


class Resolve(msgspec.Struct, tag="resolve", rename={"choice": "as"}):
    """The broadcaster's word about an uncertain tip."""

    id: str
    choice: str


Frame = Hello | Answer | Ack | EventFrame | VendorFrame | Pong | Stop | Release | Resolve
KNOWN = frozenset({"hello", "answer", "ack", "event", "vendor", "pong", "stop", "release", "resolve"})

_decoder: msgspec.json.Decoder[Frame] = msgspec.json.Decoder(Frame)
_kind = msgspec.json.Decoder(dict[str, Any])


class BadFrame(Exception):
    """A frame that cannot be read. `known`: its type is ours, its fields are not as they must be."""

    def __init__(self, why: str, known: bool) -> None:
        super().__init__(why)
        self.known = known


def read_frame(data: str | bytes) -> Frame:
    """The frame in one message. Raises `BadFrame`."""
    try:
        try:
            return _decoder.decode(data)
        except msgspec.DecodeError as error:
            if not half_an_emoji(error):
                raise
            return _decoder.decode(mended(data))
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        why = str(error)[:200] or type(error).__name__
    try:
        kind = _kind.decode(data).get("type")
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise BadFrame(why, known=True) from None
    raise BadFrame(why, known=kind in KNOWN)


# -- Down: what a page is told ----------------------------------------------------------


def welcome(
    *,
    model: str,
    generation: int,
    resume: str,
    heartbeat: float,
    held: bool,
    stopped: bool,
    ask: Sequence[str],
    script: str | None,
    at: float,
) -> bytes:
    return orjson.dumps(
        {
            "type": "welcome",
            "model": model,
            "generation": generation,
            "resume": resume,
            "heartbeat": heartbeat,
            "held": held,
            "stopped": stopped,
            "ask": ask,
            "vendor": {"script": script},
            "at": at,
        }
    )


def tip(receipt: Receipt, *, run: int, at: float) -> bytes:
    """A tip to play. `ttl`: seconds left at `at`, the relay's clock. `replay`: somebody's word allows what the journal
    would forbid, a second call after an interrupted one."""
    tip = receipt.tip
    frame: dict[str, Any] = {
        "type": "tip",
        "id": tip.id,
        "tipper": tip.shown,
        "amount": tip.amount,
        "ttl": round(receipt.expires_at - at, 3),
        "run": run,
        "at": round(at, 3),
    }
    doubted = receipt.timeline[3:]  # somebody's word comes after accepted, sent and uncertain
    if any(step.evidence and step.evidence.get("word") == "replay" for step in doubted):
        frame["replay"] = True
    return orjson.dumps(frame)


def ask(tips: Sequence[str]) -> bytes:
    return orjson.dumps({"type": "ask", "tips": tips})


def uncertain(receipts: Sequence[Receipt]) -> bytes:
    """What a broadcaster is asked about: did these play? The newest of them: a frame has its bound."""
    tips = [
        {"id": one.tip.id, "tipper": one.tip.shown, "amount": one.tip.amount, "at": iso(one.timeline[-1].at)}
        for one in receipts[-DOUBTS_ASKED_MAX:]
    ]
    return orjson.dumps({"type": "uncertain", "tips": tips})


def ping(n: int, at: float) -> bytes:
    return orjson.dumps({"type": "ping", "n": n, "at": round(at, 3)})


def drain(seconds: float) -> bytes:
    return orjson.dumps({"type": "drain", "in": round(seconds, 2)})


HOLD = b'{"type":"hold"}'
RELEASE = b'{"type":"release"}'
STOP = b'{"type":"stop"}'


class Close:
    """Close codes: instructions by range (docs/protocol.md)."""

    SUPERSEDED = 4001
    PROTOCOL = 4002
    ORIGIN = 4003
    UNKNOWN_MODEL = 4004
    VERSION = 4005
    TICKET_EXPIRED = 4101
    TICKET_REFUSED = 4102
    NO_HELLO = 4201
    HEARTBEAT_LOST = 4202
    TOO_SLOW = 4203
    TOO_MANY_FRAMES = 4204
    STORE_UNAVAILABLE = 4205
    CLOCKS_APART = 4206
    DRAINING = 4301
