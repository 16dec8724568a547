"""Tips on their way down: what the platform ordered, and what became of it.

The life of a tip is one table, `LIFE`, and one pure function, `move` (docs/protocol.md, "A tip's life").
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from relay.clock import iso
from relay.errors import Invalid
from relay.names import clean_name
from relay.settings import AMOUNT_MAX, MODEL_ID_LENGTH_MAX, TIP_ID_LENGTH_MAX
from relay.values import EXPIRES_IN_SECONDS_MAX


class Status(StrEnum):
    """Where a tip is in its life."""

    __hash__ = str.__hash__  # the enum's own is a Python function, and tables are looked up per tip

    ACCEPTED = "accepted"
    SENT = "sent"
    PLAYED = "played"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    NO_REACTION = "no_reaction"
    CLEARED = "cleared"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"
    UNCERTAIN = "uncertain"


LIFE: dict[Status, frozenset[Status]] = {
    Status.ACCEPTED: frozenset({Status.SENT, Status.EXPIRED, Status.CANCELLED}),
    Status.SENT: frozenset({Status.PLAYED, Status.ACCEPTED, Status.FAILED, Status.EXPIRED, Status.UNCERTAIN}),
    Status.PLAYED: frozenset({Status.QUEUED, Status.RUNNING, Status.DONE, Status.CLEARED, Status.NO_REACTION}),
    Status.QUEUED: frozenset({Status.RUNNING, Status.DONE, Status.CLEARED}),
    Status.RUNNING: frozenset({Status.DONE, Status.CLEARED}),
    Status.DONE: frozenset(),
    Status.NO_REACTION: frozenset({Status.QUEUED, Status.RUNNING, Status.DONE}),
    Status.CLEARED: frozenset(),
    Status.EXPIRED: frozenset(),
    Status.CANCELLED: frozenset(),
    # A journal that comes back late may also say that the vendor refused, or that the tip was never played.
    Status.UNCERTAIN: frozenset({Status.PLAYED, Status.ACCEPTED, Status.CANCELLED, Status.FAILED}),
    Status.FAILED: frozenset(),
}

OPEN = frozenset(
    {Status.ACCEPTED, Status.SENT, Status.PLAYED, Status.QUEUED, Status.RUNNING, Status.UNCERTAIN}
)  # the record still waits for something; everything else is closed
WATCHED = frozenset({Status.PLAYED, Status.QUEUED, Status.RUNNING})  # called; the vendor has not shown the end


class Tip(Struct, frozen=True, gc=False):
    """What the platform ordered. `shown` is what the vendor, the feed and the logs see."""

    id: str  # the platform's own, so that a retry is harmless
    model: str
    tipper: str  # cleaned; the real name, for the platform's eyes only when `anonymous`
    amount: int  # in the platform's tokens, 1 to 2**53 - 1
    anonymous: bool = False
    private: bool = False
    shown: str = ""
    expires_in: float = 120.0  # seconds it may wait before it is played

    def same_order(self, other: Tip) -> bool:
        """Whether a retry brings what was ordered first. Its remaining time and the alias in use may differ."""
        return (self.id, self.model, self.tipper, self.amount, self.anonymous, self.private) == (
            other.id,
            other.model,
            other.tipper,
            other.amount,
            other.anonymous,
            other.private,
        )


class Step(Struct, frozen=True, array_like=True, gc=False):
    """One change in a tip's life, kept in the same transaction as the status it led to."""

    status: Status
    at: float  # seconds since 1970, the relay's clock
    why: str
    evidence: dict[str, Any] | None = None


class Receipt(Struct, frozen=True, gc=False):
    """What became of a tip, with its timeline."""

    tip: Tip
    accepted_at: float
    expires_at: float
    timeline: tuple[Step, ...]
    status: Status  # of the newest step
    seq: int = 0  # the order of acceptance, given by the store
    generation: int | None = None  # of the page it was last sent to
    journal: str | None = None  # of that page

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


class IllegalMove(AssertionError):
    """A change that `LIFE` does not know: a bug of ours, never the caller's."""


def accept(tip: Tip, at: float) -> Receipt:
    """The receipt of a tip that has just been taken."""
    first = Step(Status.ACCEPTED, at, "the platform posted it")
    return Receipt(tip, at, at + tip.expires_in, (first,), first.status)


def move(
    receipt: Receipt, status: Status, at: float, why: str, evidence: dict[str, Any] | None = None, **changes: Any
) -> Receipt:
    """The receipt one step further. Raises `IllegalMove` for an arrow that is not in `LIFE`."""
    if status not in LIFE[receipt.status]:
        raise IllegalMove(f"tip {receipt.tip.id}: {receipt.status} does not lead to {status}")
    timeline = folded((*receipt.timeline, Step(status, at, why, evidence)))
    return replace(receipt, timeline=timeline, status=status, **changes)


def folded(timeline: tuple[Step, ...]) -> tuple[Step, ...]:
    """A tip that goes to a page and comes back for the same reason again and again tells so once, with a count."""
    if len(timeline) < 4 or timeline[-1].status is not Status.ACCEPTED:
        return timeline
    first, before, again, last = timeline[-4:]
    if (first.status, before.status, again.status) != (Status.SENT, Status.ACCEPTED, Status.SENT):
        return timeline
    if before.why != last.why:
        return timeline
    times = (before.evidence or {}).get("times", 1) + 1
    return (*timeline[:-3], replace(last, evidence={**(last.evidence or {}), "times": times}))


def extend(receipt: Receipt, expires_at: float, at: float, why: str) -> Receipt:
    """The receipt of a waiting tip with another deadline; its timeline says why."""
    return replace(note(receipt, at, why, {"expires_at": iso(expires_at)}), expires_at=expires_at)


def note(receipt: Receipt, at: float, why: str, evidence: dict[str, Any] | None = None) -> Receipt:
    """The receipt with something new in its timeline that does not change its status."""
    return replace(receipt, timeline=(*receipt.timeline, Step(receipt.status, at, why, evidence)))


def receipt_as_json(receipt: Receipt) -> dict[str, Any]:
    """The receipt as `GET /tips/{id}` shows it."""
    tip = receipt.tip
    return {
        "id": tip.id,
        "model": tip.model,
        "status": receipt.status,
        "tipper": tip.tipper,
        "shown_as": tip.shown,
        "amount": tip.amount,
        "anonymous": tip.anonymous,
        "private": tip.private,
        "accepted_at": iso(receipt.accepted_at),
        "expires_at": iso(receipt.expires_at),
        "generation": receipt.generation,
        "timeline": [
            {"status": step.status, "at": iso(step.at), "why": step.why, "evidence": step.evidence}
            for step in receipt.timeline
        ],
    }


# -- Reading a tip at the edge ----------------------------------------------------------

TIP_ID = re.compile(r"[\x21-\x7e]+")
MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~@:+=-]*")
WHOLE = re.compile(r"[0-9]{1,16}(\.0+)?")


def read_tip(
    body: Any, *, anonymous_name: str, ttl: float, key: str | None = None, amount_max: int = AMOUNT_MAX
) -> Tip:
    """A `Tip` out of a decoded body, or `Invalid` that says which field and what it held.

    `key` is the request's `Idempotency-Key`; `ttl` is the default for `expires_in`, in seconds.
    """
    if not isinstance(body, dict):
        raise Invalid(f'a tip must be a JSON object like {{"id": …, "model": …}}, not {shown(body)}', field=None)
    anonymous = _read_flag(body, "anonymous")
    tipper = _read_tipper(body.get("tipper"), anonymous)
    return Tip(
        id=_read_id(body.get("id"), key),
        model=read_model_id(body.get("model"), "model"),
        tipper=tipper,
        amount=_read_amount(body.get("amount"), amount_max),
        anonymous=anonymous,
        private=_read_flag(body, "private"),
        shown=anonymous_name if anonymous else tipper,
        expires_in=_read_expires_in(body.get("expires_in"), ttl),
    )


def read_model_id(value: Any, field: str = "model") -> str:
    if isinstance(value, str) and len(value) <= MODEL_ID_LENGTH_MAX and MODEL_ID.fullmatch(value):
        return value
    raise Invalid(
        f"'{field}' must be the model's id, 1 to {MODEL_ID_LENGTH_MAX} letters, digits or . _ ~ @ : + = -, "
        f"beginning with a letter or digit, not {shown(value)}",
        field=field,
    )


def _read_id(value: Any, key: str | None) -> str:
    if key is not None:
        key = key.strip().strip('"')  # the header draft writes it as a quoted string
        if value is not None and str(value) != key:
            raise Invalid(
                f"'id' is {shown(value)} and Idempotency-Key is {shown(key)}: send one, or the same", field="id"
            )
        value = key
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    # Some sources send 0 for every test tip (facts.md H4): as a key it would make all of them one.
    if isinstance(value, str) and value != "0" and len(value) <= TIP_ID_LENGTH_MAX and TIP_ID.fullmatch(value):
        return value
    raise Invalid(
        f"'id' must be your own id of this tip, 1 to {TIP_ID_LENGTH_MAX} visible ASCII characters and not '0' "
        f"(or send it as Idempotency-Key), not {shown(value)}",
        field="id",
    )


def _read_amount(value: Any, amount_max: int) -> int:
    """Whole and positive; backends do send `184.0` and `"184"` for 184 (facts.md H5)."""
    number: int | None = None
    if isinstance(value, str) and WHOLE.fullmatch(value):
        number = int(value.partition(".")[0])
    elif isinstance(value, float) and value.is_integer() and abs(value) <= AMOUNT_MAX:
        number = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    if number is None or not 1 <= number <= amount_max:
        raise Invalid(
            f"'amount' must be a positive whole number of tokens, at most {amount_max}, not {shown(value)}",
            field="amount",
        )
    return number


def _read_tipper(value: Any, anonymous: bool) -> str:
    if value is None and anonymous:
        return ""
    name = clean_name(value) if isinstance(value, str) else ""
    if not name:
        raise Invalid(
            f"'tipper' must be a name with at least one visible character, not {shown(value)}; "
            'for a tip without a name send "anonymous": true',
            field="tipper",
        )
    return name


def _read_flag(body: dict[str, Any], field: str) -> bool:
    value = body.get(field)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise Invalid(f"'{field}' must be true or false, not {shown(value)}", field=field)
    return value


def _read_expires_in(value: Any, ttl: float) -> float:
    if value is None:
        return ttl
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= EXPIRES_IN_SECONDS_MAX:
        return float(value)
    raise Invalid(
        f"'expires_in' must be seconds above 0 and at most {EXPIRES_IN_SECONDS_MAX}, not {shown(value)}",
        field="expires_in",
    )


def shown(value: Any) -> str:
    """A value as an error may quote it: short, printable, encodable."""
    text = "nothing" if value is None else str(value).lower() if isinstance(value, bool) else ascii(value)
    return text if len(text) <= 60 else text[:57] + "…"
