"""The ledger: every `receiveTip` call that a page made, as an outside witness. Bounded over all models together."""

from __future__ import annotations

from collections import deque
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

CALLS_MAX = 100_000  # over all models; the oldest leave first
REPORT_BYTES_MAX = 16 * 1024

_Short = Annotated[str, Meta(min_length=1, max_length=40)]
_Text = Annotated[str, Meta(max_length=2000)]


class Call(Struct, frozen=True):
    """One call, as the page reported it at the moment it was made."""

    page: _Short  # one load of model.js; a reload is another page
    n: int  # the page's own count of its calls, from 1
    name: _Text | float | bool | None  # as given: a name that came as a number is seen as a number
    amount: _Text | float | bool | None
    at: float  # epoch milliseconds on the page's clock
    outcome: Literal["taken", "threw", "rejected", "ignored"] = "taken"


class BadReport(ValueError):
    """What a page reported is no call."""


def read_call(body: bytes | str) -> Call:
    """One report; a page sends each on its socket and by fetch, so that a reload loses none."""
    if len(body) > REPORT_BYTES_MAX:
        raise BadReport(f"a report has at most {REPORT_BYTES_MAX} bytes")
    try:
        return msgspec.json.decode(body, type=Call)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as err:
        raise BadReport(str(err)) from err


class Ledger:
    """Keeps the calls of every model, each once however often it is reported."""

    def __init__(self, calls_max: int = CALLS_MAX) -> None:
        self._calls_max = calls_max
        self._by_model: dict[str, dict[tuple[str, int], Call]] = {}
        self._order: deque[tuple[str, tuple[str, int]]] = deque()
        self.dropped = 0

    def keep(self, token: str, call: Call) -> None:
        calls = self._by_model.setdefault(token, {})
        key = (call.page, call.n)
        if key in calls:
            return
        calls[key] = call
        self._order.append((token, key))
        if len(self._order) > self._calls_max:
            oldest, key = self._order.popleft()
            del self._by_model[oldest][key]
            self.dropped += 1
            if not self._by_model[oldest]:
                del self._by_model[oldest]

    def of(self, token: str) -> list[Call]:
        """A model's calls in the order they were made."""
        return sorted(self._by_model.get(token, {}).values(), key=lambda call: (call.at, call.n))

    def forget(self, token: str) -> None:
        self._by_model.pop(token, None)
        self._order = deque(item for item in self._order if item[0] != token)
