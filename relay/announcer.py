"""The announcer: what the relay is about to say of one model. Tips of one moment are folded into one sentence, and what
comes and goes is said once it has settled.

It has no timer: `due` is when the hub should have the room speak (relay/speaking.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from relay.announcements import Twin, announce
from relay.feeds import Draft
from relay.menus import Preview
from relay.settings import (
    FOLD_SECONDS,
    NO_REACTION_WATCH_SECONDS,
    QUEUE_WORDS_SECONDS,
    SETTLED_SECONDS,
    UNSETTLED_SECONDS_MAX,
)
from relay.stores import ModelRecord
from relay.tips import Receipt, Status, Tip
from relay.wordings import Wordings

NEVER = float("inf")
LINED = frozenset({Status.ACCEPTED, Status.SENT, Status.EXPIRED, Status.CANCELLED})  # steps into the line and out of it


def say(record: ModelRecord, wordings: Wordings, kind: str, at: float) -> tuple[Draft, ...]:
    """What needs no waiting, unless it is switched off for her."""
    if kind in record.muted:
        return ()
    return (announce(record.id, wordings.of(record.language), kind, at, name=record.name),)


@dataclass(slots=True, eq=False)
class Announcer:
    due: float = NEVER
    tips: list[Twin] = field(default_factory=list)  # kept, and not spoken of yet
    now: dict[str, bool] = field(default_factory=dict)  # `online` and `toy`, as last seen
    queue_length: int = 0  # as last said
    _hushed: dict[tuple[str, int], float] = field(default_factory=dict)  # private tips' names and amounts, when seen
    _queue_said_at: float = -NEVER
    _waits: dict[str, tuple[float, float]] = field(default_factory=dict)  # what -> since when, until when

    def tip(self, tip: Tip, preview: Preview, at: float) -> None:
        """A tip has been kept. About a private one nothing is said."""
        if tip.private:
            return
        self.tips.append(
            {
                "tip": tip.id,
                "tipper": tip.shown,
                "amount": tip.amount,
                "level": preview.level,
                "special": preview.special,
                "seconds": preview.seconds,
                "reacts": preview.reacts,
            }
        )
        if "tip" not in self._waits:
            self._wait("tip", at, at + FOLD_SECONDS)

    def seen(self, what: str, value: bool, at: float) -> None:
        """`online` or `toy` is so from now on. Every change puts its words off, but not for ever."""
        if self.now.get(what) is not value:
            self.now[what] = value
            self.settle(what, at, SETTLED_SECONDS[what, value])

    def settle(self, what: str, at: float, seconds: float) -> None:
        since = self._waits.get(what, (at, at))[0]
        self._wait(what, since, min(at + seconds, since + UNSETTLED_SECONDS_MAX))

    def queue(self, at: float) -> None:
        """The line may be longer or shorter."""
        if "queue" not in self._waits:
            self._wait("queue", at, max(at + FOLD_SECONDS, self._queue_said_at + QUEUE_WORDS_SECONDS))

    def ripe(self, at: float) -> list[str]:
        """What is to be said now; it is not waited for any more."""
        ripe = [what for what, (_, until) in self._waits.items() if until <= at]
        for what in ripe:
            del self._waits[what]
        self.due = min((until for _, until in self._waits.values()), default=NEVER)
        if "queue" in ripe:
            self._queue_said_at = at
        return ripe

    def hurry(self, at: float) -> None:
        """The relay is about to end: what has happened is said, what has not settled is left to the next relay."""
        self._waits = {what: (at, at) for what in ("tip", "settings") if what in self._waits}
        self.due = at if self._waits else NEVER

    def _wait(self, what: str, since: float, until: float) -> None:
        self._waits[what] = since, until
        self.due = min(until for _, until in self._waits.values())

    def moved(self, receipts: list[Receipt], at: float) -> None:
        """Tips have taken a step, maybe into the relay's line or out of it."""
        for one in receipts:
            if one.status in LINED:
                self.queue(at)
            self.hush(one.tip, at)

    def hush(self, tip: Tip, at: float) -> None:
        """A private tip's name and amount are kept from the public for a while, also once its life is over."""
        if tip.private:
            key, known = (tip.shown, tip.amount), self.hushed(at)
            self._hushed[key] = max(at, self._hushed[key]) if key in known else at

    def hushed(self, at: float) -> set[tuple[str, int]]:
        """Names and amounts of private tips that are to be kept from the public still."""
        self._hushed = {key: seen for key, seen in self._hushed.items() if seen + NO_REACTION_WATCH_SECONDS > at}
        return set(self._hushed)
