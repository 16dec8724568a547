"""Seats: the page that acts for a model, as the relay sees it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


class Socket(Protocol):
    """The relay's end of a page's socket. Both calls return at once."""

    def tell(self, frame: bytes, answers: int = 0) -> None:
        """`answers`: how many frames of the page's own it may bring."""

    def close(self, code: int, reason: str) -> None: ...


@dataclass(slots=True, eq=False)
class Seat:
    """The page that acts for a model: the newest generation's."""

    socket: Socket
    generation: int
    journal: str
    page: str = ""  # names one load of the page; its vendor's queue lives and dies with it
    ready: bool = False  # the vendor's script takes tips
    why: str | None = None  # why it does not
    run: int = 1  # rises when the page turned a tip away: what was sent before is turned away too
    runs: dict[str, int] = field(default_factory=dict)  # the run in which each unacknowledged tip was written
    asked: tuple[str, ...] = ()  # tips the page has to speak of before it gets new ones
    asked_at: float = 0.0
    turned_at: float | None = None  # when it turned a tip away and has not said that it is ready since
    hidden: bool = False

    def turn_away(self, at: float, *, held: bool) -> None:
        """It has turned a tip away, and everything of that run. On hold, that says nothing of its script."""
        self.run += 1
        if not held:
            self.ready, self.why, self.turned_at = False, "turned a tip away", at


# A tip that is being kept as given to a page already: that page's generation and run. None: kept as waiting.
Token = tuple[int, int] | None


class Pending(dict[Token, int]):
    """How many tips the store has not answered for yet, by the page that they are for."""

    def only(self, token: Token) -> bool:
        """None of them is for another page."""
        return all(other is None or other == token for other in self) if self else True

    def add(self, token: Token) -> None:
        """One more is being kept."""
        self[token] = self.get(token, 0) + 1

    def drop(self, token: Token) -> None:
        """One is answered for."""
        self[token] -= 1
        if not self[token]:
            del self[token]
