"""Refusals: everything the relay says no with, each with a stable code and a sentence that says what to do."""

from __future__ import annotations

from typing import Any, ClassVar


class Refusal(Exception):
    """A no with a reason. `code` is stable, the problem's `type`; `detail` names field, value and remedy."""

    code: ClassVar[str] = "refused"

    def __init__(self, detail: str, *, retry_after: float | None = None, **extra: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after  # seconds until trying again makes sense; None: trying again does not help
        self.extra = extra  # more members of the problem document


class Invalid(Refusal):
    """A field holds what it cannot hold."""

    code = "invalid"


class NotJson(Refusal):
    """The body is not the JSON that was asked for."""

    code = "not_json"


class TooLarge(Refusal):
    """The body is over the limit; nothing of it was kept."""

    code = "too_large"


class Unauthenticated(Refusal):
    """Nobody we know signed this request."""

    code = "unauthenticated"


class Forbidden(Refusal):
    """The key is good, its rights do not reach this call."""

    code = "forbidden"


class UnknownModel(Refusal):
    """No such model; `PUT /models/{model}` registers one."""

    code = "unknown_model"


class UnknownTip(Refusal):
    """No such tip within the retention."""

    code = "unknown_tip"


class NotFound(Refusal):
    """No such path."""

    code = "not_found"


class MethodNotAllowed(Refusal):
    """The path exists, the method does not."""

    code = "method_not_allowed"


class IdReused(Refusal):
    """A tip's id came again with other content; the first one stands."""

    code = "id_reused"


class AlreadySent(Refusal):
    """The tip has left for the page: it cannot be taken back any more."""

    code = "already_sent"


class NotUncertain(Refusal):
    """Only an uncertain tip waits for somebody's word."""

    code = "not_uncertain"


class LineFull(Refusal):
    """The model's line of waiting tips is at its limit."""

    code = "line_full"


class StoreUnavailable(Refusal):
    """The store does not keep right now, so nothing was accepted."""

    code = "store_unavailable"


class TicketRefused(Refusal):
    """Not a ticket of ours, or not for this endpoint, model or journal."""

    code = "ticket_refused"


class TicketExpired(TicketRefused):
    """The ticket was good once; ask for a new one."""

    code = "ticket_expired"


class BadCursor(Refusal):
    """The cursor is not one of ours."""

    code = "bad_cursor"


class VendorRefused(Refusal):
    """The vendor's server said no; the detail says which no, and what to do."""

    code = "vendor_refused"


class VendorUnavailable(Refusal):
    """The vendor's server gave no usable answer."""

    code = "vendor_unavailable"


class VendorUntouched(VendorUnavailable):
    """The vendor's server was not reached, or turned us away: it did nothing."""


class UnknownAccount(Refusal):
    """No such linked account."""

    code = "unknown_account"


class AuthCodeUsed(Refusal):
    """The auth code came before: it is good for one use."""

    code = "auth_code_used"


class NoAccounts(Refusal):
    """This relay links no accounts."""

    code = "no_accounts"


class UnknownSink(Refusal):
    """No such sink."""

    code = "unknown_sink"


class SinksFull(Refusal):
    """There are as many sinks as there may be."""

    code = "sinks_full"


class NoVendorToken(Refusal):
    """The model has no vendor token yet."""

    code = "no_vendor_token"


class TooManyCaptures(Refusal):
    """As many captures as the relay has room for run already."""

    code = "too_many_captures"


class BadSettings(Exception):
    """One or more settings are missing or wrong; `problems` names each variable."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
