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
from itsdangerous import BadSignature, SignatureExpired, TimestampSigner
from itsdangerous.encoding import base64_decode, base64_encode, want_bytes

from relay.clock import Clock
from relay.errors import TicketExpired, TicketRefused
from relay.feeds import Audience
from relay.secret import Secret
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


class Tickets:
    """Makes and reads tickets. `keys`: newest first; all of them are good for reading, the newest signs."""

    def __init__(self, keys: Sequence[Secret], clock: Clock) -> None:
        self._clock = clock
        self._page, self._resume, self._feed = (_Signer(keys, purpose, clock) for purpose in ("page", "resume", "feed"))

    def page(self, model: str) -> tuple[str, float]:
        """A ticket for the model's page, and when it expires (seconds since 1970)."""
        return self._page.write({"m": model, "i": secrets.token_urlsafe(12)}), self._clock.now() + TICKET_SECONDS

    def resume(self, model: str, journal: str, page: str) -> str:
        return self._resume.write({"m": model, "j": journal, "p": page})

    def feed(self, model: str, audience: Audience) -> tuple[str, float]:
        return self._feed.write({"m": model, "a": audience.value}), self._clock.now() + FEED_TICKET_SECONDS

    def read_page(self, ticket: str) -> PageTicket:
        data = self._page.read(ticket, TICKET_SECONDS)
        return PageTicket(data["m"], data["i"])

    def read_resume(self, ticket: str) -> Resume:
        data = self._resume.read(ticket, RESUME_SECONDS)
        return Resume(data["m"], data["j"], data["p"])

    def read_feed(self, ticket: str) -> FeedTicket:
        data = self._feed.read(ticket, FEED_TICKET_SECONDS)
        return FeedTicket(data["m"], Audience(data["a"]))


class _Signer(TimestampSigner):
    """Signs and reads the tickets of one purpose. Kept: a restart reads thousands of them in a second."""

    def __init__(self, keys: Sequence[Secret], purpose: str, clock: Clock) -> None:
        # Newest last, as itsdangerous wants them. Its own defaults are SHA-1.
        super().__init__(
            [key.reveal() for key in reversed(keys)],
            salt=f"relay.{purpose}",
            key_derivation="hmac",
            digest_method=hashlib.sha256,
        )
        self._clock = clock
        self._derived: dict[bytes, bytes] = {}

    def get_timestamp(self) -> int:
        return int(self._clock.now())

    def derive_key(self, secret_key: str | bytes | None = None) -> bytes:
        secret = self.secret_keys[-1] if secret_key is None else want_bytes(secret_key)
        if secret not in self._derived:
            self._derived[secret] = super().derive_key(secret)
        return self._derived[secret]

    def write(self, data: dict[str, str]) -> str:
        return self.sign(base64_encode(orjson.dumps(data))).decode()

    def read(self, ticket: str, age_seconds_max: int) -> dict[str, Any]:
        """Raises `TicketExpired`, `TicketRefused`."""
        try:
            data: dict[str, Any] = orjson.loads(base64_decode(self.unsign(ticket, max_age=age_seconds_max)))
        except SignatureExpired:
            raise TicketExpired(
                f"the ticket is older than {age_seconds_max} s: ask the platform for a new one"
            ) from None
        except BadSignature:
            raise TicketRefused(
                "the ticket is not one of ours, or not for this: ask the platform for a new one"
            ) from None
        return data
