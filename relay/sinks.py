"""Sinks: addresses of a platform that the feed is posted to, how each stands, and when it is tried again. Pure."""

from __future__ import annotations

from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import orjson
from msgspec import Struct
from msgspec.structs import replace

from relay.clock import iso
from relay.errors import Invalid
from relay.feeds import SHOW, Audience, Cursor, Entry, encode
from relay.tips import read_model_id, shown

SINKS_MAX = 100
SINK_MODELS_MAX = 100
URL_LENGTH_MAX = 2048
# Seconds before each try (the schedule that Standard Webhooks suggests): three days, then the sink is disabled.
SCHEDULE = (0.0, 5.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
JITTER = 0.1  # of a wait, added at random: sinks of one receiver do not come back together
RETRY_AFTER_SECONDS_MAX = 86_400.0  # whatever a receiver asks for
OLD_SECRET_SECONDS = 86_400.0  # a replaced secret signs along
SECRETS_MAX = 4  # that sign at the same time
GONE = 410


class Wish(Struct, frozen=True):
    """What a platform asked for. None: all of them."""

    url: str
    types: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    audience: Audience = Audience.PLATFORM


class Answer(Struct, frozen=True):
    """What came of one try. `status` None: no answer came; `why` is empty where the receiver took it."""

    at: float
    message: str  # its webhook-id
    status: int | None = None
    why: str = ""
    retry_after: float | None = None  # seconds, as the receiver asked

    @property
    def taken(self) -> bool:
        return not self.why


class Sink(Struct, frozen=True):
    """What is kept of a sink."""

    id: str
    wish: Wish
    created_at: float
    cursor: int  # everything up to this entry was taken, or is not for this sink
    sealed: str  # its secrets, encrypted: [[secret, until], …], newest first
    old_secret_until: float | None = None
    tries: int = 0  # failed in a row
    again_at: float | None = None
    failing_since: float | None = None
    disabled_at: float | None = None
    why: str = ""  # it is disabled
    last: Answer | None = None

    def __repr__(self) -> str:
        return f"Sink({self.id!r}, cursor={self.cursor}, state={self.state!r})"

    @property
    def state(self) -> str:
        if self.disabled_at is not None:
            return "disabled"
        return "failing" if self.failing_since is not None else "active"


class Message(NamedTuple):
    """One request's content. Where it was taken, everything up to the entry `n` has been."""

    id: str  # the same for every try: receivers drop what they have seen
    n: int
    body: bytes


# -- Read at the edge ----------------------------------------------------------


def read_wish(data: dict[str, Any], *, private: bool) -> Wish:
    """A `Wish` out of a decoded body. `private`: http and our own network are allowed. Raises `Invalid`."""
    strange = sorted(data.keys() - {"url", "types", "models", "audience"})
    if strange:
        raise Invalid(f"a sink has url, types, models and audience, not {shown(strange[0])}", field=strange[0][:60])
    audience = data.get("audience", Audience.PLATFORM)
    if audience not in list(Audience):
        raise Invalid(f"'audience' must be one of {', '.join(Audience)}, not {shown(audience)}", field="audience")
    return Wish(
        url=read_url(data.get("url"), private=private),
        types=_some(data.get("types"), "types", f"some of {', '.join(SHOW)}", len(SHOW), _read_type),
        models=_some(data.get("models"), "models", "ids of models", SINK_MODELS_MAX, _read_model),
        audience=Audience(audience),
    )


def read_url(value: object, *, private: bool) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= URL_LENGTH_MAX:
        raise Invalid(f"'url' must be an https address of at most {URL_LENGTH_MAX} characters", field="url")
    if not value.isascii() or not value.isprintable() or {" ", "\\"} & set(value):
        raise Invalid("'url' must be ASCII, its host in Punycode, without spaces or backslashes", field="url")
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise Invalid(f"'url' is no address: {error}", field="url") from None
    schemes = ("https", "http") if private else ("https",)
    if parts.scheme.lower() not in schemes or not host:
        raise Invalid(f"'url' must be {' or '.join(schemes)}://host…, not {shown(value[:40])}", field="url")
    if "@" in parts.netloc:
        raise Invalid("'url' must hold no user or password: the signature shows who sends", field="url")
    if "#" in value:
        raise Invalid("'url' must hold no #: what is behind it is never sent", field="url")
    return value


def _some(value: object, field: str, what: str, most: int, read: Callable[[object], str]) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not 1 <= len(value) <= most:
        raise Invalid(f"'{field}' must be a list of 1 to {most}: {what}; leave it out for all", field=field)
    return tuple(dict.fromkeys(read(one) for one in value))


def _read_type(value: object) -> str:
    if isinstance(value, str) and value in SHOW:
        return value
    raise Invalid(f"'types' must be some of {', '.join(SHOW)}, not {shown(value)}", field="types")


def _read_model(value: object) -> str:
    return read_model_id(value, "models")


# -- What it is sent ----------------------------------------------------------


def wants(wish: Wish, entry: Entry) -> bool:
    """Whether an entry is of a type and a model that were asked for."""
    return (wish.types is None or entry.type in wish.types) and (wish.models is None or entry.model in wish.models)


def entry_message(epoch: str, entry: Entry, wish: Wish) -> Message | None:
    """The request that carries an entry, or None where it is not for this sink."""
    data = encode(epoch, entry, wish.audience) if wants(wish, entry) else None
    if data is None:
        return None
    return Message(str(Cursor(epoch, entry.n)), entry.n, envelope(entry.type, entry.at, orjson.Fragment(data)))


def gap_message(epoch: str, cursor: int, here: int, until: int, at: float) -> Message:
    """Said instead of entries between `cursor` and `until` that retention has taken before the sink could; it goes on
    from `here`."""
    after, end = str(Cursor(epoch, cursor)), str(Cursor(epoch, until))
    why = "those entries are older than the history"
    gap = {"id": str(Cursor(epoch, here)), "type": "gap", "at": iso(at), "after": after, "until": end, "why": why}
    return Message(f"gap-{after}-{until}", here, envelope("gap", at, gap))


def check_message(id: str, sink: Sink, at: float) -> Message:
    """A platform tries its receiver out."""
    return Message(id, sink.cursor, envelope("test", at, {"type": "test", "at": iso(at), "sink": sink.id}))


def envelope(type: str, at: float, data: object) -> bytes:
    """The body that Standard Webhooks has: type, timestamp, data."""
    return orjson.dumps({"type": type, "timestamp": iso(at), "data": data})


# -- What comes of it ----------------------------------------------------------


def took(sink: Sink, answer: Answer, n: int) -> Sink:
    return replace(sink, cursor=max(sink.cursor, n), tries=0, again_at=None, failing_since=None, last=answer)


def failed(sink: Sink, answer: Answer, jitter: float) -> Sink:
    """After a try in vain. `jitter` from 0 to 1."""
    tries = sink.tries + 1
    sink = replace(sink, tries=tries, last=answer, failing_since=sink.failing_since or answer.at, again_at=None)
    if answer.status == GONE:
        return replace(sink, disabled_at=answer.at, why="the receiver said that it is gone (410)")
    if tries >= len(SCHEDULE):
        return replace(sink, disabled_at=answer.at, why=f"{tries} tries in a row failed, the last: {answer.why}")
    wait = max(SCHEDULE[tries] * (1 + JITTER * jitter), answer.retry_after or 0.0)
    return replace(sink, again_at=answer.at + wait)


def enabled(sink: Sink) -> Sink:
    """As if nothing had failed: tried at once, from where it was."""
    return replace(sink, tries=0, again_at=None, failing_since=None, disabled_at=None, why="")


def retry_after(header: str | None, now: float) -> float | None:
    """Seconds out of `Retry-After`, which holds seconds or a date; None where it holds neither."""
    if header is None:
        return None
    if header.isascii() and header.isdecimal():
        return min(float(header[:12]), RETRY_AFTER_SECONDS_MAX)
    try:
        wait = parsedate_to_datetime(header).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return min(max(wait, 0.0), RETRY_AFTER_SECONDS_MAX)


# -- As kept, as shown ----------------------------------------------------------


def sink_to_body(sink: Sink) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(sink)
    return body


def sink_from_body(body: dict[str, Any]) -> Sink:
    return msgspec.convert(body, Sink)


def sink_as_json(sink: Sink, epoch: str, last: int) -> dict[str, Any]:
    """As the platform sees it. `last`: the feed's newest entry. No secret is in it."""
    wish = sink.wish
    return {
        "id": sink.id,
        "url": wish.url,
        "types": wish.types,
        "models": wish.models,
        "audience": wish.audience,
        "state": sink.state,
        "why": sink.why or None,
        "created_at": iso(sink.created_at),
        "failing_since": _iso(sink.failing_since),
        "disabled_at": _iso(sink.disabled_at),
        "tries": sink.tries,
        "again_at": _iso(sink.again_at),
        "old_secret_until": _iso(sink.old_secret_until),
        "cursor": str(Cursor(epoch, sink.cursor)),
        "lag": max(0, last - sink.cursor),
        "last": None if sink.last is None else answer_as_json(sink.last),
    }


def answer_as_json(answer: Answer) -> dict[str, Any]:
    return {
        "at": iso(answer.at),
        "message": answer.message,
        "status": answer.status,
        "taken": answer.taken,
        "why": answer.why or None,
    }


def _iso(at: float | None) -> str | None:
    return None if at is None else iso(at)
