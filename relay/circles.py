"""Circles: readers of the feed who hear the same bytes. What is published in one turn of the event loop is written to
all of them in one go: this loop is the fan-out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from relay.feeds import Audience

# An entry's id, type and JSON as a transport writes them. A heartbeat has no id.
Framing = Callable[[str, str, bytes], bytes]


class Out(Protocol):
    """What a transport does for its reader. All of it returns at once."""

    @property
    def write(self) -> Callable[[bytes], None]:
        """The connection's own: nothing stands between the loop over a circle and the kernel."""

    def allow(self, size: int) -> None:
        """From here on its follower is paused where more than `size` bytes were written and not taken."""

    def finish(self, code: int) -> None:
        """This is the end for now; `code` says how to come back, as for sockets (docs/protocol.md)."""


class Member(Protocol):
    """A reader as its circle sees it."""

    @property
    def out(self) -> Out: ...

    def keep(self, n: int, data: bytes) -> None:
        """Published while it is on its way."""


class Circle:
    """Readers that hear the same bytes: of one model's feed or of everything, as one audience, over one transport."""

    __slots__ = ("arriving", "audience", "framing", "members", "model", "pending", "reached", "spoke_at", "writes")

    def __init__(self, model: str | None, audience: Audience, framing: Framing, at: float) -> None:
        self.model = model
        self.audience = audience
        self.framing = framing
        self.members: set[Member] = set()
        self.arriving: set[Member] = set()
        self.writes: list[Callable[[bytes], None]] | None = []  # the members' own; None: to be gathered anew
        self.pending: list[bytes] = []  # published in this turn of the loop
        self.reached = 0  # the members were written everything up to this entry
        self.spoke_at = at

    def add(self, n: int, data: bytes) -> None:
        if self.members:
            self.pending.append(data)
        for follower in self.arriving:
            follower.keep(n, data)

    def flush(self, published: int, at: float) -> None:
        self.reached = published
        if self.pending:
            data = b"".join(self.pending)
            self.pending.clear()
            self.say(data, at)

    def say(self, data: bytes, at: float) -> None:
        self.spoke_at = at
        writes = self.writes
        if writes is None:
            writes = self.writes = [member.out.write for member in self.members]
        for write in writes:
            try:
                write(data)
            except RuntimeError:  # the connection ended in this turn of the loop, and its reader is about to hear it
                continue
