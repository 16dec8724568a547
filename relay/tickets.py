"""Tickets: short-lived signed rights to one endpoint, for one model and one audience.

A ticket is `<base64url JSON>.<time>.<signature>` (itsdangerous, HMAC-SHA256). The JSON is readable on purpose: the shim
needs the model's id before it says hello. A salt per purpose keeps one kind from passing as another.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from itsdangerous import BadSignature, SignatureExpired, TimestampSigner, URLSafeTimedSerializer
from itsdangerous.encoding import base64_encode

from relay.clock import Clock
from relay.errors import TicketExpired, TicketRefused
from relay.feeds import Audience
from relay.settings import FEED_TICKET_SECONDS, RESUME_SECONDS, TICKET_SECONDS


@dataclass(frozen=True, slots=True)
class PageTicket:
    """A page's right to one model's socket. `id` is bound to the first journal that shows it."""

    model: str
    id: str


@dataclass(frozen=True, slots=True)
class Resume:
    """A page's right to come back, for the journal it was given to."""

    model: str
    journal: str
    page: str  # names one load of the page


@dataclass(frozen=True, slots=True)
class FeedTicket:
    """A reader's right to one model's feed as one audience."""

    model: str
    audience: Audience


class _Readable(URLSafeTimedSerializer):
    """Never compressed, so that the shim can read the model's id."""

    def dump_payload(self, obj: Any) -> bytes:
        return base64_encode(orjson.dumps(obj))


class Tickets:
    """Makes and reads tickets. `keys`: newest first; all of them are good for reading, the newest signs."""

    def __init__(self, keys: Sequence[str], clock: Clock) -> None:
        self._clock = clock
        self._page, self._resume, self._feed = (
            _serializer(keys, f"relay.{purpose}", clock) for purpose in ("page", "resume", "feed")
        )

    def page(self, model: str) -> tuple[str, float]:
        """A ticket for the model's page, and when it expires (seconds since 1970)."""
        return _text(self._page.dumps({"m": model, "i": secrets.token_urlsafe(12)})), self._clock.now() + TICKET_SECONDS

    def resume(self, model: str, journal: str, page: str) -> str:
        return _text(self._resume.dumps({"m": model, "j": journal, "p": page}))

    def feed(self, model: str, audience: Audience) -> tuple[str, float]:
        return _text(self._feed.dumps({"m": model, "a": audience.value})), self._clock.now() + FEED_TICKET_SECONDS

    def read_page(self, ticket: str) -> PageTicket:
        data = _read(self._page, ticket, TICKET_SECONDS)
        return PageTicket(data["m"], data["i"])

    def read_resume(self, ticket: str) -> Resume:
        data = _read(self._resume, ticket, RESUME_SECONDS)
        return Resume(data["m"], data["j"], data["p"])

    def read_feed(self, ticket: str) -> FeedTicket:
        data = _read(self._feed, ticket, FEED_TICKET_SECONDS)
        return FeedTicket(data["m"], Audience(data["a"]))


def _serializer(keys: Sequence[str], salt: str, clock: Clock) -> _Readable:
    class Signer(TimestampSigner):
        def get_timestamp(self) -> int:
            return int(clock.now())

    return _Readable(
        list(reversed(keys)),  # itsdangerous wants the newest last
        salt=salt,
        signer=Signer,
        signer_kwargs={"digest_method": hashlib.sha256, "key_derivation": "hmac"},  # its defaults are SHA-1
    )


def _read(serializer: _Readable, ticket: str, age_seconds_max: int) -> dict[str, Any]:
    try:
        data: dict[str, Any] = serializer.loads(ticket, max_age=age_seconds_max)
    except SignatureExpired:
        raise TicketExpired(f"the ticket is older than {age_seconds_max} s: ask the platform for a new one") from None
    except BadSignature:
        raise TicketRefused("the ticket is not one of ours, or not for this: ask the platform for a new one") from None
    return data


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
