"""Grants: what a vendor's user allowed us and until when, and how her account stands."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from relay.clock import iso
from relay.secret import Secret

MARGIN_SECONDS = 60.0  # before its end an access token counts as ended: clocks differ (facts.md 3.2, row 7)
LEAD_SHARE = 0.25  # of an access token's life is left when it is refreshed: time for an outage to pass
LEAD_SECONDS_MAX = 86400.0
PAUSE_SECONDS = 60.0  # between two refreshes of one account, however short-lived the vendor's tokens are
CHECK_SECONDS = 6 * 3600.0  # between two looks whether the vendor still knows a token: a user may cancel at any time
NAMELESS_SECONDS = 12 * 3600.0  # between two refreshes where only a refresh tells whether the vendor knows a token
DOUBT_SECONDS = 24 * 3600.0  # without a word of the vendor's about a token nobody says that it is good
SET_BACK_SECONDS = 60.0  # a clock that goes back further was set: what was planned by it is planned anew
EXPIRING_SECONDS = 7 * 86400.0  # before an authorization's end, her account says so
TRIES_MAX = 2  # refreshes with one pair without knowing what the first did (facts.md 3.3, rule 2)


class AccountStatus(StrEnum):
    LINKED = "linked"
    EXPIRING = "expiring"  # works, but not for long: or nobody can tell at this moment
    REAUTH_REQUIRED = "reauth_required"  # the tokens are no good any more; a new auth code is needed
    REVOKED = "revoked"  # the vendor takes the tokens no more: the user cancelled


@dataclass(frozen=True, slots=True)
class Grant:
    """A pair of tokens as the vendor gave it. Deadlines: seconds since 1970; None: unknown, so good until refused."""

    access: Secret
    refresh: Secret
    access_until: float | None = None
    refresh_until: float | None = None
    user: str | None = None  # a refresh may leave it out


@dataclass(frozen=True, slots=True)
class Account:
    """A vendor's user who allowed us something: what is kept of her."""

    user: str  # the vendor's id: opaque, case-sensitive, may hold / + = (facts.md 3.3, rule 4)
    sealed: str = field(repr=False)  # the pair, encrypted
    linked_at: float  # by her auth code
    granted_at: float  # the pair in force
    checked_at: float  # when the vendor last showed that it takes this pair
    access_until: float | None = None
    refresh_until: float | None = None  # of the first grant: no refresh extends it
    model: str | None = None
    name: str | None = None  # as she agreed to show it
    nameless: bool = False  # the vendor refuses her name even to a fresh token: her scope does not reach so far
    tries: int = 0  # refreshes begun with this pair whose outcome nobody knows
    doubted_at: float | None = None  # since when the vendor refuses her and everybody else alike: it may be about us
    ended: str | None = None  # the status it ended in: nothing is asked of the vendor any more
    why: str = ""  # it ended


def standing(account: Account, now: float) -> tuple[AccountStatus, str]:
    """How an account stands, and why where that is not `linked`. Never `linked` where its tokens may be dead."""
    if account.ended is not None:
        return AccountStatus(account.ended), account.why
    end = account.refresh_until
    if end is not None and now >= end:
        return AccountStatus.REAUTH_REQUIRED, f"the authorization ended at {iso(end)}: ask the user for a new one"
    if account.tries:
        return AccountStatus.EXPIRING, "the vendor did not answer when the tokens were refreshed: it is being asked"
    if account.doubted_at is not None:
        return AccountStatus.EXPIRING, "the vendor refuses every account: the operator has to check the settings"
    if now >= account.checked_at + DOUBT_SECONDS:
        return AccountStatus.EXPIRING, f"the vendor has not been heard about the tokens since {iso(account.checked_at)}"
    if account.access_until is not None and now >= account.access_until:
        return AccountStatus.EXPIRING, "the access token is past its time, and the vendor has not given a new one yet"
    if end is not None and now >= end - EXPIRING_SECONDS:
        return AccountStatus.EXPIRING, f"the authorization ends at {iso(end)}: ask the user for a new one before"
    return AccountStatus.LINKED, ""


def usable(account: Account, now: float) -> bool:
    """Whether the access token is within its time, as far as anybody knows."""
    return account.access_until is None or now < account.access_until - MARGIN_SECONDS


def refresh_at(account: Account, now: float) -> float | None:
    """When the pair wants refreshing; None: not before it is refused."""
    if account.granted_at > now + SET_BACK_SECONDS:
        return now  # the clock was set back: what was read by the wrong time says nothing
    times = [account.granted_at + NAMELESS_SECONDS] if account.nameless else []
    if account.access_until is not None:
        lead = min((account.access_until - account.granted_at) * LEAD_SHARE, LEAD_SECONDS_MAX)
        times.append(account.access_until - max(lead, MARGIN_SECONDS))
    return max(min(times), account.granted_at + PAUSE_SECONDS) if times else None


def check_at(account: Account, now: float) -> float | None:
    """When the vendor is asked whether it knows the token; None: it does not tell."""
    if account.nameless:
        return None
    return now if account.checked_at > now + SET_BACK_SECONDS else account.checked_at + CHECK_SECONDS


def due_at(account: Account, now: float) -> float | None:
    """When something is to be done about an account; None: she is left in peace."""
    if account.ended is not None:
        return None
    if account.tries or account.doubted_at is not None:
        return 0.0
    return earlier(refresh_at(account, now), check_at(account, now))


def earlier(first: float | None, second: float | None) -> float | None:
    """The earlier of two times, either of which may be unknown."""
    return min((time for time in (first, second) if time is not None), default=None)


# -- As JSON -----------------------------------------------------------------------------------------------------------


def account_to_body(account: Account) -> dict[str, Any]:
    """What a store keeps. Of the tokens only `sealed`."""
    return {item.name: getattr(account, item.name) for item in fields(account) if item.name != "user"}


def account_from_body(user: str, body: dict[str, Any]) -> Account:
    known = {item.name for item in fields(Account)}
    return Account(user=user, **{name: value for name, value in body.items() if name in known - {"user"}})


def account_as_json(account: Account, now: float) -> dict[str, Any]:
    """For the platform: everything but the tokens."""
    return {"userId": account.user, "name": account.name, "model": account.model} | standing_as_json(account, now)


def standing_as_json(account: Account, now: float) -> dict[str, Any]:
    """What support needs, without who she is at the vendor."""
    status, why = standing(account, now)

    def time(at: float | None) -> str | None:
        return None if at is None else iso(at)

    return {
        "status": status.value,
        "why": why or None,
        "linked_at": time(account.linked_at),
        "refreshed_at": time(account.granted_at),
        "checked_at": time(account.checked_at),
        "access_until": time(account.access_until),
        "authorized_until": time(account.refresh_until),
    }
