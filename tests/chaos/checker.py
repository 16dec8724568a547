"""The judge: reads only what the outside saw (answers, vendor calls, receipts) and judges the seven rules of design
section 4. Every tip of a storm has a name of its own, so a vendor call names its tip."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from tests.chaos.shim_model import Ledger

PLAYED = {"played", "queued", "running", "done", "no_reaction", "cleared"}
CLOSED = {"done", "no_reaction", "cleared", "expired", "cancelled", "failed"}

ELSEWHERE = "moved to another browser"  # a cause


@dataclass
class Facts:
    """What the outside saw."""

    accepted: dict[str, dict[str, Any]] = field(default_factory=dict)  # id -> the body that got a 2xx
    ledger: Ledger = field(default_factory=Ledger)
    receipts: list[dict[str, Any]] = field(default_factory=list)  # all of them, in the order of acceptance
    causes: dict[str, str] = field(default_factory=dict)  # tip -> the injected fault that may leave it uncertain
    superseded: dict[int, float] = field(default_factory=dict)  # page load -> when a newer page was welcomed
    flight_seconds: float = 1.0  # how long a frame may have been on its way when its page was superseded


@dataclass
class Verdict:
    accepted: int = 0
    played: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    uncertain: dict[str, str] = field(default_factory=dict)  # tip -> its cause
    statuses: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)  # sentences about broken rules

    @property
    def holds(self) -> bool:
        return not self.broken

    def __str__(self) -> str:
        lines = [
            f"accepted   {self.accepted}",
            f"played     {self.played}",
            f"lost       {len(self.lost)}",
            f"doubled    {len(self.doubled)}",
            f"uncertain  {len(self.uncertain)}",
            *(f"  {count} x {cause}" for cause, count in Counter(self.uncertain.values()).most_common()),
            "ledger     " + " + ".join(f"{count} {status}" for status, count in sorted(self.statuses.items())),
            f"           = {sum(self.statuses.values())}",
            *(f"BROKEN {sentence}" for sentence in self.broken[:20]),
        ]
        return "\n".join(lines)


def judge(facts: Facts) -> Verdict:
    """Rules 1 to 7; every sentence in `broken` names its rule."""
    verdict = Verdict(accepted=len(facts.accepted))
    receipts = {one["id"]: one for one in facts.receipts}
    tip_of = {one["shown_as"]: one["id"] for one in facts.receipts}
    calls = Counter(tip_of.get(call.name, call.name) for call in facts.ledger.calls)
    verdict.played = len(calls)

    for tip, body in facts.accepted.items():
        receipt = receipts.get(tip)
        if receipt is None:
            verdict.lost.append(tip)
            verdict.broken.append(f"rule 1: {tip} got a 2xx and has no record")
        elif (receipt["model"], receipt["tipper"], receipt["amount"]) != (
            body["model"],
            body["tipper"],
            body["amount"],
        ):
            verdict.broken.append(f"rule 1: {tip} has a record with other content")
    if len(receipts) != len(facts.receipts):
        verdict.broken.append("rule 1: a tip has two records")

    for tip, count in calls.items():
        receipt = receipts.get(tip)
        if receipt is None:
            verdict.lost.append(tip)
            verdict.broken.append(f"rule 1: {tip} was played and has no record")
        elif count > 1 + len(replays(receipt)):
            verdict.doubled.append(tip)
            verdict.broken.append(f"rule 2: {tip} was played {count} times")

    verdict.broken += out_of_order(facts, receipts, tip_of)
    for call in facts.ledger.calls:
        until = facts.superseded.get(call.page)
        if until is not None and call.at > until + facts.flight_seconds:
            verdict.broken.append(
                f"rule 4: {call.name} was played {call.at - until:.1f} s after its page was superseded"
            )

    for tip, receipt in receipts.items():
        status = receipt["status"]
        verdict.statuses[status] += 1
        if status != receipt["timeline"][-1]["status"]:
            verdict.broken.append(f"truth: {tip} is {status} and its last step is {receipt['timeline'][-1]['status']}")
        verdict.broken += doubt_resolved_by_time(receipt)
        if status in PLAYED and not calls[tip] and not told(receipt):
            verdict.lost.append(tip)
            verdict.broken.append(f"truth: {tip} is {status} and was never played")
        if status in CLOSED - PLAYED and calls[tip] and not told(receipt):
            verdict.broken.append(f"truth: {tip} is {status} and was played")
        if status == "uncertain":
            verdict.uncertain[tip] = facts.causes.get(tip, "unexplained")
            if tip not in facts.causes:
                verdict.broken.append(f"doubt: {tip} is uncertain without a cause: {receipt['timeline'][-1]['why']}")
        elif status not in CLOSED:
            steps = [f"{step['at'][14:]} {step['status']}: {step['why']}" for step in receipt["timeline"]]
            verdict.broken.append(f"rule 6: {tip} of {receipt['model']} is still {status}: {steps}")
    if sum(verdict.statuses.values()) != len(facts.receipts):
        verdict.broken.append("rule 7: the ledger does not add up")
    return verdict


def replays(receipt: dict[str, Any]) -> list[str]:
    return [step["why"] for step in receipt["timeline"] if "says: replay" in step["why"]]


def told(receipt: dict[str, Any]) -> bool:
    """Somebody's word stands instead of evidence."""
    return any(" says: " in step["why"] for step in receipt["timeline"])


def out_of_order(facts: Facts, receipts: dict[str, dict[str, Any]], tip_of: dict[str, str]) -> Iterable[str]:
    """Rule 3: first calls of a model follow the order of acceptance, replays aside, and what a page that could not be
    reached any more had been given before another browser took over (docs/guarantees.md)."""
    place = {receipt["id"]: number for number, receipt in enumerate(facts.receipts)}
    last: dict[str, int] = defaultdict(lambda: -1)
    seen: set[str] = set()
    for call in facts.ledger.calls:
        tip = tip_of.get(call.name)
        if tip is None or tip in seen or replays(receipts[tip]) or facts.causes.get(tip) == ELSEWHERE:
            continue
        seen.add(tip)
        if place[tip] < last[call.model]:
            yield f"rule 3: {tip} was played after a tip that was accepted later"
        last[call.model] = max(last[call.model], place[tip])


def doubt_resolved_by_time(receipt: dict[str, Any]) -> Iterable[str]:
    """Rule 5."""
    steps = receipt["timeline"]
    for doubt, after in pairwise(steps):
        word = " says: " in after["why"]
        if (
            doubt["status"] == "uncertain"
            and after["evidence"] is None
            and not word
            and "speaks of it" not in after["why"]
        ):
            yield f"rule 5: {receipt['id']} left uncertain without evidence: {after['why']}"
