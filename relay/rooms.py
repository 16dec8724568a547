"""Rooms: one model as the relay holds her in memory: her page, her line of tips, what is known of her broadcast.

A room decides; it keeps nothing and sends nothing. Each method takes what happened and returns the `Change` it makes;
the hub has it kept and then moves (design section 3).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from relay.announcer import Announcer, say
from relay.broadcasts import State, doubted
from relay.feeds import Draft, tip_entry
from relay.lines import Line, sent_to
from relay.menus import menu_from_json
from relay.proofs import TURNED_AWAY
from relay.queue_views import emptied
from relay.seats import Pending, Seat, Socket, Token
from relay.settings import (
    ANSWER_SECONDS_MAX,
    DOUBTS_ASKED_MAX,
    FLIGHT_TIPS_MAX,
    LINE_TIPS_MAX,
    SETTLE_SECONDS,
    SILENCE_SECONDS,
    TURNED_AWAY_SECONDS,
    Settings,
)
from relay.stores import Change, ModelRecord
from relay.tips import Receipt, Status, move
from relay.wordings import Wording


@dataclass(slots=True, eq=False)
class Room:
    record: ModelRecord
    settings: Settings
    line: Line
    state: State = field(default_factory=State)
    seat: Seat | None = None
    changing: bool = False  # a page is being replaced: nothing is sent
    since: float | None = None  # when the page came
    left_at: float | None = None  # when the last page went
    page: str = ""  # the load of the page that came last; "" before one has, as after a restart of the relay
    heard: tuple[str, int] = ("", 0)  # the page last heard, and the number of its newest event
    spoke_at: float = 0.0  # when the vendor last showed its queue
    busy_until: float = 0.0  # the vendor's queue explained missing reactions until then
    due: float = float("inf")  # when `tick` is next needed
    announcer: Announcer = field(default_factory=Announcer)
    pending: Pending = field(default_factory=Pending)
    unwritten: dict[str, Token] = field(default_factory=dict)  # sent tips whose frame has not been written yet
    broken: bool = False  # the store failed under it: what is kept counts, a new room is made of that
    shown: dict[str, Any] = field(default_factory=dict)  # the last `model` entry's body
    queue_view: dict[str, Any] = field(default_factory=lambda: {"running": None, "queued": None, "waiting": None})

    @classmethod
    def restored(cls, record: ModelRecord, receipts: Iterable[Receipt], settings: Settings) -> Room:
        room = cls(record, settings, Line(receipts, settings.uncertain))
        if record.menu is not None:
            room.state = State(menu=menu_from_json(record.menu))
        room.due = room._next_due()
        room.shown = {} if "online" in record.said else room._picture()
        return room

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def idle(self) -> bool:
        quiet = self.announcer.due == float("inf") and not self.pending
        return self.seat is None and not self.changing and not self.line and not self.line.late and quiet

    @property
    def wording(self) -> Wording:
        return self.settings.announcements.of(self.record.language)

    @property
    def is_full(self) -> bool:
        return len(self.line.waiting) + sum(self.pending.values()) >= LINE_TIPS_MAX

    # -- tips going down ----------------------------------------------------------

    @property
    def token(self) -> Token:
        """The page that would take a tip right now; None when it has to wait."""
        seat = self.seat
        if seat is None or not seat.ready or seat.asked or self.changing or self.record.held:
            return None
        token = (seat.generation, seat.run)
        if not self.pending.only(token):
            return None  # tips from before the page turned one away come back into the line first
        for tip, other in self.unwritten.items():
            if other != token and tip in self.line.sent:
                return None  # and so do those that were pumped before, and are not written yet
        return token if len(self.line.sent) + self.pending.get(token, 0) < FLIGHT_TIPS_MAX else None

    def accept(self, receipt: Receipt, at: float) -> tuple[Receipt, Token]:
        """A tip just taken: on its way at once where a page is free and nobody waits."""
        token = None if self.line.waiting or None in self.pending else self.token
        if token is not None:
            assert self.seat is not None
            receipt = move(receipt, *sent_to(token[0], at), generation=token[0], journal=self.seat.journal)
        self.pending.add(token)
        return receipt, token

    def accepted(self, receipt: Receipt | None, token: Token) -> None:
        """The store has answered: `receipt` is what it kept of the tip, None: nothing."""
        self.pending.drop(token)
        if receipt is None:
            return
        self.line.place(receipt)
        self._schedule([receipt])
        self.announcer.hush(receipt.tip, receipt.accepted_at)
        if token is not None:
            self.unwritten[receipt.tip.id] = token

    def hand_over(self, receipt: Receipt, at: float) -> Change | None:
        """The store has kept that a tip is given to a page. None: write the frame now. Else the tip goes back into the
        line: its page left or turned away before anything was written, so nobody can have played it."""
        token = self.unwritten.pop(receipt.tip.id, None)
        seat = self.seat
        if seat is not None and token == (seat.generation, seat.run) and not self.record.held and not self.changing:
            seat.runs[receipt.tip.id] = seat.run
            return None
        back = move(receipt, Status.ACCEPTED, at, "its page left or turned away before it was handed over")
        self.line.place(back)
        return self.moved([back], at)

    def pump(self, at: float) -> Change:
        """Waiting tips that may go now, in their order."""
        moved: list[Receipt] = []
        while self.line.waiting and (token := self.token) is not None:
            assert self.seat is not None
            receipt = self.line.send_next(at, token[0], self.seat.journal)
            if receipt is None:
                break
            moved.append(receipt)
            if receipt.status is Status.SENT:
                self.unwritten[receipt.tip.id] = token
        return self.moved(moved, at)

    def acknowledge(
        self, tip: str, outcome: str, at: float, generation: int, error: str | None, run: int | None
    ) -> Change:
        seat = self.seat if self.seat is not None and self.seat.generation == generation else None
        written_in = seat.runs.pop(tip, None) if seat is not None and run in (None, seat.runs.get(tip)) else None
        if outcome in TURNED_AWAY and run is not None and run != written_in:
            return Change()  # it turned away an earlier frame of this tip, which has been sent again since
        moved = self.line.acknowledge(tip, outcome, at, generation, error)
        turned_away = outcome == "not_ready" or (outcome == "stale" and moved and moved[-1].status is Status.ACCEPTED)
        if turned_away and seat is not None and run in (None, seat.run):
            # The shim turns away everything of this run, so that no later tip overtakes.
            seat.turn_away(at, held=self.record.held)
            self.due = min(self.due, at + TURNED_AWAY_SECONDS)
        return self.moved(moved, at)

    def cancel(self, receipt: Receipt, at: float, why: str) -> Change:
        return self.moved([self.line.cancel(receipt, at, why)], at)

    def resolve(self, receipt: Receipt, choice: str, at: float, who: str) -> Change:
        return self.moved(self.line.resolve(receipt, choice, at, who), at)

    # -- the page ----------------------------------------------------------

    def arrive(
        self, socket: Socket, journal: str, page: str, ready: bool, resumed: bool, at: float
    ) -> tuple[Seat, Change]:
        """A page takes the seat. What an earlier page with another journal was given, nobody can tell any more."""
        moved, gone = list[Receipt](), list[Draft]()
        if not resumed or self.page not in ("", page):  # the vendor's queue of another page is not this one's
            elsewhere = self.seat is not None and self.seat.journal != journal
            why = "another page took over" if elsewhere else "it was reloaded"
            moved += self.line.found(self.line.watch.end(self.left_at or at, why), at)
            self.state, self.queue_view, gone = emptied(self.id, self.state, self.queue_view, self.announcer, at)
        given = [one for one in self.line.sent.values() if one.tip.id not in self.unwritten]
        lost = [one for one in given if one.journal != journal]
        moved += self.line.doubt(lost, at, "sent to a page in another browser, which did not say what became of it")
        self.page = page
        self.record = replace(self.record, generation=self.record.generation + 1)
        ask = [one.tip.id for one in given if one.journal == journal]
        doubtful = [one.tip.id for one in self.line.uncertain.values() if one.journal == journal]
        ask += doubtful[-DOUBTS_ASKED_MAX:]  # the answer has to fit into one frame
        self.seat = Seat(socket, self.record.generation, journal, page, ready, asked=tuple(ask), asked_at=at)
        if ask:
            self.due = min(self.due, at + ANSWER_SECONDS_MAX)
        self.state, self.since, self.left_at = doubted(self.state), at, None
        return self.seat, self.moved(moved, at, *gone, model=self.record)

    def leave(self, seat: Seat, at: float) -> Change:
        """The page's socket is gone. An older page's end means nothing (facts.md H16)."""
        if self.seat is not seat:
            return Change()
        self.seat, self.left_at, self.since = None, at, None
        self.state = doubted(self.state)
        self.due = min(self.due, at + self.settings.reaction_grace)
        return self.moved([], at)

    def answer(self, seat: Seat, answers: dict[str, str], at: float) -> Change:
        """The page's journal has spoken. Also counts where the page was replaced meanwhile."""
        asked, seat.asked = seat.asked, ()  # an answer nobody asked for, or a second one, proves nothing about now
        # What another journal or a newer page was given since, it can only prove to be played, not to be unplayed.
        asked = tuple(tip for tip in asked if answers.get(tip) in ("played", "failed") or self._was_given(tip, seat))
        return self.moved(self.line.answer(answers, asked, at, seat.generation), at)

    def _was_given(self, tip: str, seat: Seat) -> bool:
        receipt = self.line.find(tip)
        return receipt is not None and receipt.journal == seat.journal and (receipt.generation or 0) <= seat.generation

    def vendor(self, seat: Seat, ready: bool, why: str | None, at: float) -> Change:
        seat.ready, seat.why, seat.turned_at = ready, why, None
        return self.moved([], at)

    def hold(self, at: float, *, stop: bool, who: str) -> Change:
        """Nothing is sent from now on. With `stop` the vendor's script was taken down too, and its queue with it."""
        record = replace(
            self.record, held=True, stopped=self.record.stopped or stop, held_since=self.record.held_since or at
        )
        if record == self.record:
            return Change()
        said = "stopped" if stop else "held"
        self.record = record
        moved, gone = list[Receipt](), list[Draft]()
        if stop:
            moved = self.line.found(self.line.watch.end(at, f"{who} stopped the toy"), at)
            self.state, self.queue_view, gone = emptied(self.id, self.state, self.queue_view, self.announcer, at)
        return self.moved(moved, at, *gone, *say(record, self.settings.announcements, said, at), model=record)

    def cancel_waiting(self, since: float, at: float, why: str) -> Change:
        """Of those that were accepted until then."""
        waiting = [one for one in self.line.waiting.values() if one.accepted_at <= since]
        return self.moved([self.line.cancel(one, at, why) for one in waiting], at)

    def release(self, at: float) -> Change:
        if not self.record.held:
            return Change()
        moved = self.line.release(self.record.held_since or at, at)  # their time goes on; the feed need not know
        self.record = replace(self.record, held=False, stopped=False, held_since=None)
        said = say(self.record, self.settings.announcements, "released", at)
        return self.moved(moved, at, *said, model=self.record)

    # -- time ----------------------------------------------------------

    def tick(self, at: float) -> Change:
        """What only time decides. Cheap to call early."""
        grace, held = self.settings.reaction_grace, self.record.held
        seat = self.seat
        if self.state.vendor_busy and seat is not None and self.spoke_at + SILENCE_SECONDS > at:
            self.busy_until = at
        if seat is not None and seat.turned_at is not None and seat.turned_at + TURNED_AWAY_SECONDS <= at:
            seat.ready, seat.why, seat.turned_at = True, None, None
        moved = self.line.tick(
            at, held=held, grace=grace, busy_until=self.busy_until, spoke_at=self.spoke_at, unwritten=self.unwritten
        )
        if self.seat is None and self.left_at is not None and self.left_at + grace <= at:
            moved += self.line.found(self.line.watch.end(self.left_at, "the page left"), at)
        self.due = max(self._next_due(), at + 0.2)
        return self.moved(moved, at)

    def _picture(self) -> dict[str, Any]:
        """The body of the `model` entry."""
        return {
            "online": self.seat is not None,
            "ready": self.seat is not None and self.seat.ready,
            "held": self.record.held,
            "generation": self.record.generation,
        }

    def _next_due(self) -> float:
        due = self.line.next_due(held=self.record.held, grace=self.settings.reaction_grace, settle=SETTLE_SECONDS)
        if self.left_at is not None and self.line.called:
            due = min(due, self.left_at + self.settings.reaction_grace)
        if self.seat is not None and self.seat.asked:
            due = min(due, self.seat.asked_at + ANSWER_SECONDS_MAX)
        if self.seat is not None and self.seat.turned_at is not None:
            due = min(due, self.seat.turned_at + TURNED_AWAY_SECONDS)
        return due

    # -- what it all makes ----------------------------------------------------------

    def _schedule(self, receipts: Iterable[Receipt]) -> None:
        grace, held = self.settings.reaction_grace, self.record.held
        for receipt in receipts:
            self.due = min(self.due, self.line.due_of(receipt, held=held, grace=grace))

    def moved(self, moved: list[Receipt], at: float, *entries: Draft, model: ModelRecord | None = None) -> Change:
        """The change: receipts moved, their entries, and the `model` entry where that picture changed."""
        self._schedule(moved)
        self.announcer.moved(moved, at)
        drafts = [*entries, *filter(None, map(tip_entry, moved))]
        shown = self._picture()
        if shown != self.shown:
            self.shown = shown
            self.announcer.seen("online", shown["online"], at)
            drafts.append(Draft(self.id, "model", at, shown))
        # A tip that took two steps at once is written once, with both in its timeline.
        newest = tuple(moved) if len(moved) == 1 else tuple({one.tip.id: one for one in moved}.values())
        return Change(moved=newest, entries=tuple(drafts), model=model)
