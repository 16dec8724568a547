"""`relay serve` with a fault in it: `python -m tests.chaos.launcher FAULT [serve options]`.

The product knows none of this. A crash point kills the process with SIGKILL between two steps, once its test has
everything in place.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

import apsw

from relay import followers
from relay.cli import main
from relay.followers import Follower
from relay.hub import Hub
from relay.messages import Close
from relay.rooms import Room
from relay.stores import Trimmed
from relay.stores.sqlite import SqliteStore
from relay.stores.sqlite_writer import Writer
from relay.web import app, tips
from relay.web.page_socket import PageSocket


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str, act: Callable[..., None]) -> None:
    """Do `act` before each call of `owner.name`."""
    plain = getattr(owner, name)

    def wrapped(*args: Any, **given: Any) -> Any:
        act(*args, **given)
        return plain(*args, **given)

    setattr(owner, name, wrapped)


def frame_of(kind: bytes) -> Callable[..., None]:
    """Die when a frame of this kind is about to be written to a page."""
    return lambda _self, frame, *_: die() if b'"type":"' + kind + b'"' in frame else None


def on_commit(when: str) -> None:
    """Die before or after a transaction."""
    plain = Writer._commit

    def commit(self: Writer, group: Any, done: Any) -> Any:
        armed = os.path.exists(os.environ["ARMED"])
        if armed and when == "before":
            die()
        done = plain(self, group, done)
        if armed:
            die()
        return done

    Writer._commit = commit  # type: ignore[method-assign]


def when_armed(act: Callable[..., None]) -> Callable[..., None]:
    """Crash points wait until the test has everything in place."""
    return lambda *args, **given: act(*args, **given) if os.path.exists(os.environ["ARMED"]) else None


CRASH_POINTS: dict[str, Callable[[], None]] = {
    "relay: before the tip is kept": lambda: on_commit("before"),
    "relay: kept, before anybody knows": lambda: on_commit("after"),
    "relay: kept, before its frame is written": lambda: before(PageSocket, "tell", when_armed(frame_of(b"tip"))),
    "relay: frame written, before the 202": lambda: before(tips, "answer", when_armed(lambda *_: die())),
    "relay: acknowledgement heard, before it is decided": lambda: before(
        Hub, "acknowledge", when_armed(lambda *_: die())
    ),
    "relay: acknowledgement decided, before it is kept": lambda: before(
        Hub, "commit", when_armed(lambda _hub, _room, change: die() if played(change) else None)
    ),
    "relay: event heard, before it is kept": lambda: before(Hub, "hear", when_armed(lambda *_: die())),
    "relay: generation decided, before it is kept": lambda: before(
        Hub, "commit", when_armed(lambda _hub, _room, change: die() if change.model else None)
    ),
    "relay: generation kept, before the welcome": lambda: before(PageSocket, "tell", when_armed(frame_of(b"welcome"))),
    "relay: answer heard, before it is decided": lambda: before(Hub, "answer", when_armed(lambda *_: die())),
}


def played(change: Any) -> bool:
    return any(receipt.status == "played" for receipt in change.moved)


def answer_before_keeping() -> None:
    """Negative control: the 202 leaves before the commit, which comes some time later or never."""
    plain = Writer._commit

    def commit(self: Writer, group: Any, done: Any) -> Any:
        if self._db is None or not os.path.exists(os.environ["ARMED"]):
            return plain(self, group, done)
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._resolve, done)  # told before it is so
        time.sleep(0.03)
        try:
            self._db.execute("COMMIT")
        except apsw.Error as error:
            self._give_up(str(error))
        return []

    Writer._commit = commit  # type: ignore[method-assign]


class Everybody:
    """A socket that is all of a model's pages at once."""

    def __init__(self, *sockets: Any) -> None:
        self._sockets = sockets

    def tell(self, frame: bytes, answers: int = 0) -> None:
        for socket in self._sockets:
            socket.tell(frame, answers)

    def close(self, code: int, reason: str) -> None:
        if code != Close.SUPERSEDED:
            for socket in self._sockets:
                socket.close(code, reason)


def forget_generations() -> None:
    """Negative control: nobody is superseded, and every page of a model is told to play."""
    plain = Room.arrive

    def arrive(self: Room, socket: Any, *given: Any) -> Any:
        old = self.seat
        seat, change = plain(self, socket, *given)
        if old is not None:
            old.socket = Everybody(old.socket)
            seat.socket = Everybody(old.socket, socket)
        return seat, change

    Room.arrive = arrive  # type: ignore[method-assign]


def forget_what_came_meanwhile() -> None:
    """Negative control: what is published while a reader reads its history is nobody's to tell it."""
    Follower.keep = lambda *_: None  # type: ignore[method-assign]


def tell_twice() -> None:
    """Negative control: what was read from the history and what came meanwhile are both told."""
    plain = Follower.join_when_due

    def join_when_due(self: Follower) -> None:
        reached, self.reached = self.reached, 0
        plain(self)
        self.reached = reached

    Follower.join_when_due = join_when_due  # type: ignore[method-assign]


def see_nobody_slow() -> None:
    """Negative control: what a reader does not take is written to it all the same."""
    Follower.pause = lambda _: None  # type: ignore[method-assign]


def say_no_gap() -> None:
    """Negative control: what retention has taken is passed over in silence."""
    SqliteStore.trimmed = nothing_trimmed  # type: ignore[method-assign]


async def nothing_trimmed(*_: Any) -> Trimmed:
    return Trimmed()


FAULTS: dict[str, Callable[[], None]] = CRASH_POINTS | {
    "none": lambda: None,
    "answer before keeping": answer_before_keeping,
    "forget generations": forget_generations,
    "forget what came meanwhile": forget_what_came_meanwhile,
    "tell twice": tell_twice,
    "say no gap": say_no_gap,
    "nobody is slow": see_nobody_slow,
}


if __name__ == "__main__":
    FAULTS[sys.argv[1]]()
    followers.FOLLOWER_STUCK_SECONDS = float(os.environ.get("STUCK_SECONDS", followers.FOLLOWER_STUCK_SECONDS))
    app.SWEEP_SECONDS = float(os.environ.get("SWEEP_SECONDS", app.SWEEP_SECONDS))
    sys.argv = ["relay", "serve", *sys.argv[2:]]
    main()
