"""What static/shim.js does, in Python and without sockets, so that thousands of pages fit into one process.

A `Browser` outlives its pages (it is the localStorage), a `Page` is one load of the broadcaster's page with the
vendor's script in it, and `Ledger` is the outside witness: every vendor call, in order. `die` is asked at every named
step and may raise `PageDied`. The switches `journal` and `fence` exist for the negative controls only.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

PAGE_STEPS = (
    "page: frame received",
    "page: calling written",
    "page: vendor called",
    "page: played written",
)


class PageDied(Exception):
    """The page is gone, at the step that `args[0]` names."""


@dataclass
class Call:
    """One vendor call, as seen from outside."""

    at: float
    model: str
    name: str
    amount: int
    page: int
    generation: int


@dataclass
class Ledger:
    """Every vendor call there was."""

    calls: list[Call] = field(default_factory=list)


@dataclass
class Browser:
    """One browser's storage for one model."""

    journal: str = field(default_factory=lambda: "j_" + secrets.token_hex(8))
    entries: dict[str, str] = field(default_factory=dict)
    generation: int = 0


@dataclass
class Command:
    name: str
    amount: int
    seconds: float
    ends: float | None = None


class Vendor:
    """The vendor's script: first in, first out, by time. Dies with its page."""

    def __init__(self, now: Callable[[], float], seconds: float = 0.05) -> None:
        self._now = now
        self._seconds = seconds
        self.queue: list[Command] = []

    def receive(self, name: str, amount: int) -> None:
        self.queue.append(Command(name, amount, self._seconds))
        self.advance()

    def advance(self) -> bool:
        """Let time pass; whether anything changed."""
        now, changed = self._now(), False
        while self.queue and self.queue[0].ends is not None and self.queue[0].ends <= now:
            self.queue.pop(0)
            changed = True
        if self.queue and self.queue[0].ends is None:
            self.queue[0].ends = now + self.queue[0].seconds
            changed = True
        return changed

    def view(self) -> dict[str, Any]:
        """`tipQueueStatus`, with the documents' quirks: what waits carries a name and an amount only."""
        running = [
            {"amount": one.amount, "tipperName": one.name, "time": str(one.seconds), "cParameter": {}, "level": 1}
            for one in self.queue[:1]
        ]
        waits = [{"amount": one.amount, "tipperName": one.name} for one in self.queue[1:]]
        return {"type": "tipQueueStatus", "detail": {"running": running, "queue": waits, "waiting": []}}


class Page:
    """One load of the page."""

    loads = 0

    def __init__(
        self,
        model: str,
        browser: Browser,
        ledger: Ledger,
        now: Callable[[], float],
        *,
        die: Callable[[str, str], None] = lambda step, tip: None,
        journal: bool = True,
        fence: bool = True,
    ) -> None:
        Page.loads += 1
        self.load = Page.loads
        self.model = model
        self.browser = browser
        self.ledger = ledger
        self.vendor = Vendor(now)
        self.generation = 0
        self.resume: str | None = None
        self.held = False
        self.stopped = False
        self._now = now
        self._die = die
        self._keeps = journal
        self._fence = fence
        self._events = 0
        self._turned_away = 0

    def hello(self, ticket: str | None) -> dict[str, Any]:
        journal = self.browser.journal
        proof = {"resume": self.resume} if self.resume else {"ticket": ticket}
        return {"type": "hello", "journal": journal, "vendor": {"kit": "camkit", "ready": True}, **proof}

    def receive(self, frame: dict[str, Any]) -> list[dict[str, Any]]:
        """What the page says to a frame."""
        match frame["type"]:
            case "welcome":
                self.generation, self.resume = frame["generation"], frame["resume"]
                self.browser.generation = max(self.browser.generation, self.generation)
                self.held, self.stopped = frame["held"], frame["stopped"]
                self._turned_away = 0
                said = [self._answer(frame["ask"])] if frame["ask"] else []
                # The vendor's last view may have been lost with the socket before.
                return [*said, self.event()] if self._events and not self.stopped else said
            case "ask":
                return [self._answer(frame["tips"])]
            case "tip":
                return self._tip(frame)
            case "ping":
                return [{"type": "pong", "n": frame["n"]}]
            case "hold":
                self.held = True
            case "stop":
                self.held = self.stopped = True
                self.vendor.queue.clear()
            case "release":
                self.held = self.stopped = False
        return []

    def event(self) -> dict[str, Any]:
        self._events += 1
        return {"type": "event", "n": self._events, "event": self.vendor.view()}

    def _answer(self, tips: list[str]) -> dict[str, Any]:
        said = {"calling": "interrupted", None: "unseen"}
        entries = {tip: self.browser.entries.get(tip) for tip in tips}
        return {"type": "answer", "tips": {tip: said.get(entry, entry) for tip, entry in entries.items()}}

    def _tip(self, frame: dict[str, Any]) -> list[dict[str, Any]]:
        tip, run = frame["id"], frame.get("run", 0)
        self._die(PAGE_STEPS[0], tip)
        if self.held or run <= self._turned_away:
            self._turned_away = max(self._turned_away, run)
            return [self._ack(tip, "not_ready", run)]
        before = self.browser.entries.get(tip)
        if before is not None and self._keeps and not (frame.get("replay") and before == "calling"):
            return [self._ack(tip, "duplicate", run, was="interrupted" if before == "calling" else before)]
        if self._fence and self.browser.generation > self.generation:
            return []  # another tab acts: this one is as good as gone
        self._write(tip, "calling")
        self._die(PAGE_STEPS[1], tip)
        call = Call(self._now(), self.model, frame["tipper"], frame["amount"], self.load, self.generation)
        self.ledger.calls.append(call)
        self.vendor.receive(frame["tipper"], frame["amount"])
        self._die(PAGE_STEPS[2], tip)
        self._write(tip, "played")
        self._die(PAGE_STEPS[3], tip)
        return [self._ack(tip, "played", run), self.event()]

    def _write(self, tip: str, entry: str) -> None:
        if self._keeps:
            self.browser.entries[tip] = entry

    def _ack(self, tip: str, outcome: str, run: int, **more: str) -> dict[str, Any]:
        return {"type": "ack", "id": tip, "outcome": outcome, "run": run, **more}
