"""The line: one model's open tips in their order, and what each may become next. Pure; the hub keeps and moves.

Every change goes through `place`, which puts a receipt where its status belongs. Methods that decide return the
receipts they moved, for the store.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from relay.evidence import Finding, Watch
from relay.proofs import ACKS, ANSWERS, ran, was_replayed
from relay.settings import (
    ASK_AGAIN_SECONDS,
    CLOCKS_APART_SECONDS,
    NO_REACTION_WATCH_SECONDS,
    SENT_GRACE_SECONDS,
    SETTLE_SECONDS,
    SILENCE_SECONDS,
)
from relay.tips import LIFE, WATCHED, Receipt, Status, extend, move, note

Moved = list[Receipt]


class Line:
    """Where every open tip of one model stands."""

    def __init__(self, receipts: Iterable[Receipt] = (), uncertain_policy: str = "hold") -> None:
        self.waiting: dict[str, Receipt] = {}  # accepted, by rising seq
        self.sent: dict[str, Receipt] = {}  # given to a page, outcome unknown
        self.uncertain: dict[str, Receipt] = {}
        self.called: dict[str, Receipt] = {}  # played, queued or running
        self.late: dict[str, Receipt] = {}  # no_reaction, still open for late evidence
        self.watch = Watch()
        self._early: dict[str, list[Finding]] = {}  # the vendor's words about tips the page has not spoken of yet
        self._overtaken: set[str] = set()  # uncertain tips behind which a later one has been sent since
        self._policy = uncertain_policy
        for receipt in receipts:
            self._restore(receipt)

    def __len__(self) -> int:
        return len(self.waiting) + len(self.sent) + len(self.uncertain) + len(self.called)

    def find(self, tip: str) -> Receipt | None:
        for part in (self.sent, self.called, self.waiting, self.uncertain, self.late):
            if tip in part:
                return part[tip]
        return None

    def place(self, receipt: Receipt) -> None:
        """Put a receipt where its status belongs, and tell the watch."""
        tip, status = receipt.tip, receipt.status
        for part in (self.waiting, self.sent, self.uncertain, self.called, self.late):
            part.pop(tip.id, None)
        if status is not Status.UNCERTAIN:
            self._overtaken.discard(tip.id)
        match status:
            case Status.ACCEPTED:
                back = bool(self.waiting) and receipt.seq < next(reversed(self.waiting.values())).seq
                self.waiting[tip.id] = receipt
                if back:  # requeued: the order of acceptance is the order of the show
                    self.waiting = dict(sorted(self.waiting.items(), key=lambda item: item[1].seq))
                self.watch.drop(tip.id)
            case Status.SENT:
                self.sent[tip.id] = receipt
                self._overtaken.update([one.tip.id for one in self.uncertain.values() if one.seq < receipt.seq])
                self.watch.add(tip.id, tip.shown, tip.amount)
            case Status.UNCERTAIN:
                self.uncertain[tip.id] = receipt
                self.watch.demote(tip.id)
            case Status.PLAYED | Status.QUEUED | Status.RUNNING:
                self.called[tip.id] = receipt
            case Status.NO_REACTION:
                self.late[tip.id] = receipt
                self.watch.demote(tip.id)
            case _:
                self.watch.drop(tip.id)

    # -- decisions ----------------------------------------------------------

    def send_next(self, at: float, generation: int, journal: str) -> Receipt | None:
        """The first waiting tip, on its way to a page; or that tip, expired. None when nobody waits."""
        first = next(iter(self.waiting.values()), None)
        if first is None:
            return None
        if first.expires_at <= at:
            return self._move(first, Status.EXPIRED, at, "its time ran out before it could be played")
        return self._move(first, *sent_to(generation, at), generation=generation, journal=journal)

    def acknowledge(self, tip: str, outcome: str, at: float, generation: int, error: str | None = None) -> Moved:
        """A page's word about a tip. A page that is not the newest still proves that something was played."""
        receipt = self.find(tip)
        if receipt is None:
            return []
        evidence: dict[str, Any] = {"ack": outcome, "generation": generation}
        status, why = ACKS.get(outcome, (None, ""))
        given = receipt.generation or 0
        if status is None or (status is Status.ACCEPTED and given != generation):
            return []
        if status is Status.FAILED and receipt.status is Status.SENT and given > generation:
            return []  # somebody said "replay", and a newer page has it now: that one's word counts
        why = f"{why}: {error}" if status is Status.FAILED and error is not None else why
        moved = self._prove(receipt, status, at, why, evidence)
        if outcome == "stale" and moved and moved[-1].status is Status.ACCEPTED and not self._may_wait(receipt, at):
            moved.append(self._move(moved[-1], Status.EXPIRED, at, "its time ran out on the way to the page"))
        return moved

    def _may_wait(self, receipt: Receipt, at: float) -> bool:
        """A page says that a tip's time is over, and by the relay's clock it is not: somebody set one of them. It goes
        back into the line, unless a later one may be played meanwhile."""
        later = (one for one in self.sent.values() if one.seq > receipt.seq)
        until = receipt.expires_at + CLOCKS_APART_SECONDS
        return receipt.expires_at > at + CLOCKS_APART_SECONDS and all(one.expires_at <= until for one in later)

    def answer(self, answers: Mapping[str, str], asked: Iterable[str], at: float, generation: int) -> Moved:
        """A journal's answers about the tips a page was asked for. What it leaves out, it does not know."""
        moved: Moved = []
        for tip in asked:
            receipt = self.find(tip)
            answer = answers.get(tip, "left out")
            if answer == "calling":
                continue  # the vendor's script has it right now; its acknowledgement follows
            status, why = ANSWERS.get(answer, (Status.UNCERTAIN, f"the page's journal answers '{answer:.20}'"))
            if receipt is not None:
                moved += self._prove(receipt, status, at, why, {"journal": answer[:20], "generation": generation})
        return moved

    def doubt(self, receipts: Iterable[Receipt], at: float, why: str) -> Moved:
        """Nothing can tell whether these were played."""
        return [one for receipt in list(receipts) for one in self._prove(receipt, Status.UNCERTAIN, at, why, None)]

    def resolve(self, receipt: Receipt, choice: str, at: float, who: str) -> Moved:
        """Somebody's word about an uncertain tip: played, replay or skip."""
        status = {"played": Status.PLAYED, "replay": Status.ACCEPTED, "skip": Status.CANCELLED}[choice]
        moved = self._move(receipt, status, at, f"{who} says: {choice}", {"word": choice})
        if status is Status.ACCEPTED:
            moved = replace(moved, expires_at=at + receipt.tip.expires_in)
            self.place(moved)
        return [moved]

    def cancel(self, receipt: Receipt, at: float, why: str) -> Receipt:
        return self._move(receipt, Status.CANCELLED, at, why)

    def found(self, findings: Iterable[Finding], at: float) -> Moved:
        """The vendor's words, as `Watch` reads them."""
        moved: Moved = []
        for finding in list(findings):  # all of them first: what moves below changes what the watch goes through
            receipt = self.find(finding.tip)
            if receipt is None:
                continue
            if (
                receipt.status is Status.SENT
            ):  # the event overtook the acknowledgement, or speaks of somebody else's tip
                self._early.setdefault(finding.tip, []).append(finding)
                continue
            if receipt.status is Status.UNCERTAIN:
                receipt = self._move(receipt, Status.PLAYED, at, "the vendor speaks of it", finding.evidence)
                moved.append(receipt)
            if finding.status in LIFE[receipt.status]:
                moved.append(self._move(receipt, finding.status, at, finding.why, finding.evidence))
        return moved

    def release(self, held_since: float, at: float) -> Moved:
        """Waiting tips do not age while they are on hold."""
        moved: Moved = []
        for receipt in list(self.waiting.values()):
            until = receipt.expires_at + at - max(held_since, receipt.accepted_at)
            moved.append(extend(receipt, until, at, "the hold has ended; its time goes on"))
            self.waiting[receipt.tip.id] = moved[-1]
        return moved

    # -- what only time decides ----------------------------------------------------------

    def tick(
        self,
        at: float,
        *,
        held: bool,
        grace: float,
        busy_until: float,
        settle: float = SETTLE_SECONDS,
        spoke_at: float = 0.0,
        unwritten: Container[str] = (),
    ) -> Moved:
        """Deadlines that have passed. `busy_until`: until when the vendor's queue explained a missing reaction.
        `unwritten`: tips whose frame waits for the disk, so that no page can speak of them yet."""
        moved: Moved = []
        if not held:
            late = [one for one in self.waiting.values() if one.expires_at <= at]
            moved += [self._move(one, Status.EXPIRED, at, "its time ran out before it could be played") for one in late]
        silent = [one for one in self.sent.values() if one.expires_at + SENT_GRACE_SECONDS <= at]
        silent = [one for one in silent if one.tip.id not in unwritten]
        moved += self.doubt(silent, at, "its time is over and the page it was sent to has not spoken of it")
        moved += self.found(self.watch.tick(at, settle), at)
        for receipt in list(self.called.values()):
            since = receipt.timeline[-1].at
            if receipt.status is Status.PLAYED and max(since, busy_until) + grace <= at:
                moved.append(self._move(receipt, Status.NO_REACTION, at, f"no word from the vendor for {grace:g} s"))
            elif receipt.status is Status.QUEUED and max(since, spoke_at) + SILENCE_SECONDS <= at:
                why = f"the vendor has not spoken of its queue for {SILENCE_SECONDS} s"
                moved.append(self._move(receipt, Status.CLEARED, at, why))
            elif receipt.status is Status.RUNNING and receipt.timeline[-1].at + ran(receipt) + grace <= at:
                why = "the vendor showed it running; its time is long over"
                moved.append(self._move(receipt, Status.DONE, at, why))
        for receipt in list(self.late.values()):
            if receipt.timeline[-1].at + NO_REACTION_WATCH_SECONDS <= at:
                del self.late[receipt.tip.id]
                self.watch.drop(receipt.tip.id)
        return moved

    def due_of(self, receipt: Receipt, *, held: bool, grace: float) -> float:
        """When `tick` may have something to decide about a receipt; infinity when it does not wait for time."""
        at = receipt.timeline[-1].at
        match receipt.status:
            case Status.ACCEPTED if not held:
                return receipt.expires_at
            case Status.SENT:
                return receipt.expires_at + ASK_AGAIN_SECONDS
            case Status.PLAYED:
                return at + grace
            case Status.QUEUED:
                return at + SILENCE_SECONDS
            case Status.RUNNING:
                return at + ran(receipt) + grace
            case Status.NO_REACTION:
                return at + NO_REACTION_WATCH_SECONDS
            case _:
                return float("inf")

    def next_due(self, *, held: bool, grace: float, settle: float) -> float:
        """When `tick` may have something to decide about any of them."""
        parts = (self.waiting, self.sent, self.called, self.late)
        times = [self.due_of(one, held=held, grace=grace) for part in parts for one in part.values()]
        settled = self.watch.next_due(settle)
        return min(times if settled is None else [*times, settled], default=float("inf"))

    def overdue(self, at: float) -> tuple[str, ...]:
        """Tips a page has not spoken of although their time is over."""
        return tuple(one.tip.id for one in self.sent.values() if one.expires_at + ASK_AGAIN_SECONDS <= at)

    # -- inside ----------------------------------------------------------

    def _move(
        self,
        receipt: Receipt,
        status: Status,
        at: float,
        why: str,
        evidence: dict[str, Any] | None = None,
        **changes: Any,
    ) -> Receipt:
        moved = move(receipt, status, at, why, evidence, **changes)
        self.place(moved)
        return moved

    def _prove(self, receipt: Receipt, status: Status, at: float, why: str, evidence: dict[str, Any] | None) -> Moved:
        """Evidence about a tip whose outcome is open: nothing where it is known already."""
        moved: Moved = []
        if receipt.status is Status.ACCEPTED and status in (Status.PLAYED, Status.FAILED):
            # Put back into the line by somebody's word, and now its first page speaks after all.
            receipt = self._move(receipt, Status.SENT, at, "an earlier page speaks of it")
            moved.append(receipt)
        if receipt.status not in (Status.SENT, Status.UNCERTAIN) or status not in LIFE[receipt.status]:
            return moved
        if receipt.status is Status.UNCERTAIN and status is Status.ACCEPTED and receipt.tip.id in self._overtaken:
            # The order of acceptance is the order of the show: only somebody's word plays it behind its time.
            if receipt.timeline[-1].evidence and receipt.timeline[-1].evidence.get("journal") == "unseen":
                return moved  # it said so before
            moved.append(note(receipt, at, f"{why}; later tips went before it, so it waits for a word", evidence))
            self.place(moved[-1])
            return moved
        early = self._early.pop(receipt.tip.id, [])
        moved.append(self._move(receipt, status, at, why, evidence))
        if early and status in (Status.PLAYED, Status.UNCERTAIN):
            moved += self.found(early, at)
        # A standing "replay" is good for once: a tip that its page does not survive is somebody's to decide.
        if moved[-1].status is Status.UNCERTAIN and self._policy != "hold" and not was_replayed(receipt):
            moved += self.resolve(moved[-1], self._policy, at, "the setting RELAY_UNCERTAIN")
        return moved

    def _restore(self, receipt: Receipt) -> None:
        tip, last = receipt.tip, receipt.timeline[-1]
        self.place(receipt)
        if receipt.status is Status.UNCERTAIN:
            self._overtaken.add(tip.id)  # nobody remembers what was sent behind it
        if receipt.status is Status.PLAYED:
            self.watch.add(tip.id, tip.shown, tip.amount)
        elif receipt.status in WATCHED:
            running = receipt.status is Status.RUNNING
            seconds = (last.evidence or {}).get("seconds")
            self.watch.restore(tip.id, tip.shown, tip.amount, running=running, since=last.at, seconds=seconds)


def sent_to(generation: int, at: float) -> tuple[Status, float, str, dict[str, Any]]:
    """The step that gives a tip to a page."""
    return Status.SENT, at, "given to the page", {"generation": generation}
