"""Followers: readers of the feed. Each hears history first, then live, with nothing between and nothing twice.

Those who hear the same bytes sit in a `Circle`. Nobody is waited for: who does not take what was written leaves the
circle, and catches up from the store once it reads again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing, suppress

import orjson

from relay import metrics
from relay.circles import Circle, Framing, Out
from relay.clock import Clock, iso
from relay.errors import StoreUnavailable
from relay.feeds import Audience, Cursor, Entry, encode
from relay.histories import Histories
from relay.messages import Close
from relay.settings import FOLLOWER_BYTES_MAX, FOLLOWER_ENTRIES_MAX, FOLLOWER_HISTORY_BYTES_MAX, FOLLOWER_STUCK_SECONDS
from relay.stores import Store

HEARTBEAT_SECONDS = 15.0  # of silence
REST_SECONDS_MIN, REST_SECONDS_MAX = 0.002, 0.025  # between two rounds of writing to everybody


class Follower:
    """One reader: in its circle, or on its way there."""

    __slots__ = ("_drained", "_followers", "_kept", "_left", "_overrun", "_stuck", "_task", "circle", "out", "reached")

    def __init__(self, followers: Followers, circle: Circle, out: Out) -> None:
        self.circle = circle
        self.out = out
        self.reached = 0  # on its way: everything up to here was written, or was not wished for
        self._followers = followers
        self._kept: list[tuple[int, bytes]] | None = None  # came in while it read history
        self._overrun = False  # more came in than was kept: the store has it
        self._left = False  # nothing more is written to it
        self._drained: asyncio.Event | None = None  # while it does not take what was written
        self._stuck: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    # -- what its transport says ----------------------------------------------------------

    def pause(self) -> None:
        """It does not take any more for now."""
        if self._left or self._drained is not None:
            return
        self._drained = asyncio.Event()
        self._stuck = asyncio.get_running_loop().call_later(FOLLOWER_STUCK_SECONDS, self._cut)
        if self in self.circle.members:
            self.reached = self.circle.reached
            self._followers.fall_behind(self)

    def resume(self) -> None:
        if self._drained is None:
            return
        self._drained.set()
        self._drained = None
        self._relax()
        if self._task is None:
            self.start()

    def leave(self) -> None:
        """Nothing more is written to it, also where it reads again before its connection ends."""
        self._left = True
        self._drained = None
        self._relax()
        if self._task is not None:
            self._task.cancel()
        self._followers.part(self)

    def gone(self) -> None:
        """Its connection has ended."""
        self.leave()
        self._followers.forget(self)

    def _cut(self) -> None:
        metrics.READERS_CUT.inc()
        self.out.finish(Close.TOO_SLOW)

    def _relax(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    # -- its way into the circle ----------------------------------------------------------

    def start(self, after: Cursor | None = None, last: int = 0) -> None:
        """Read what lies behind, then join. Without a wish: from where it is."""
        self._kept, self._overrun = [], False
        self.out.allow(FOLLOWER_HISTORY_BYTES_MAX)
        self._task = asyncio.create_task(self._catch_up(after, last))
        self._task.add_done_callback(self._caught_up)

    async def _catch_up(self, after: Cursor | None, last: int) -> None:
        async with aclosing(self._followers.histories.read(self.circle, self.reached, after, last)) as pages:
            async for page in pages:
                for piece in page.pieces:
                    self.out.write(piece)
                    if self._drained is not None:
                        await self._drained.wait()
                self.reached = page.reached

    def _caught_up(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self.join_when_due()
        else:
            self.out.finish(Close.STORE_UNAVAILABLE)
            if not isinstance(error, StoreUnavailable):
                raise error

    def keep(self, n: int, data: bytes) -> None:
        """Published while it is on its way."""
        if self._kept is None or self._overrun:
            return
        if len(self._kept) < FOLLOWER_ENTRIES_MAX:
            self._kept.append((n, data))
        else:
            self._overrun = True

    def join_when_due(self) -> None:
        """What it has read from the store may not have been made known to the others yet: it joins when it has."""
        if self._left or self._task is not None or self._drained is not None:
            return
        if self._followers.published < self.reached:
            self._followers.wait_for(self)
        elif self._overrun:
            self.start()
        else:
            fresh = [data for n, data in self._kept or () if n > self.reached]
            self._kept = None
            self._followers.join(self)
            if fresh:
                self.tell(b"".join(fresh))

    def tell(self, data: bytes) -> None:
        """Write to it while others wait: a connection that ended in this turn of the loop stops nobody."""
        with suppress(RuntimeError):
            self.out.write(data)


class Followers:
    """Everybody who follows. An entry is encoded once per audience, and framed once per circle."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.histories = Histories(store, clock)
        self.published = 0  # the newest entry that was made known
        self._clock = clock
        self._circles: dict[str | None, list[Circle]] = {}
        self._due: set[Follower] = set()  # will join once the next entries are published
        self._count = 0
        self._flushing = False
        self._rests_until = 0.0
        self._ended = False

    def __len__(self) -> int:
        return self._count

    # -- who follows ----------------------------------------------------------

    def follow(
        self,
        out: Out,
        *,
        model: str | None,
        audience: Audience,
        framing: Framing,
        after: Cursor | None = None,
        last: int = 0,
    ) -> Follower:
        """A reader of what comes from now on, from beyond `after`, or from `last` entries ago."""
        circle = self._circle(model, audience, framing)
        follower = Follower(self, circle, out)
        self._count += 1
        if after is None and last == 0:
            self.join(follower)
        else:
            circle.arriving.add(follower)
            follower.start(after, last)
        if self._ended:
            asyncio.get_running_loop().call_soon(out.finish, Close.DRAINING)
        return follower

    def _circle(self, model: str | None, audience: Audience, framing: Framing) -> Circle:
        circles = self._circles.setdefault(model, [])
        for circle in circles:
            if circle.audience is audience and circle.framing is framing:
                return circle
        circles.append(Circle(model, audience, framing, self._now()))
        return circles[-1]

    def join(self, follower: Follower) -> None:
        circle = follower.circle
        circle.flush(self.published, self._now())  # what came before it is not for it
        circle.arriving.discard(follower)
        circle.members.add(follower)
        follower.out.allow(FOLLOWER_BYTES_MAX)
        circle.writes = None

    def wait_for(self, follower: Follower) -> None:
        self._due.add(follower)

    def fall_behind(self, follower: Follower) -> None:
        circle = follower.circle
        circle.members.discard(follower)
        circle.arriving.add(follower)
        circle.writes = None

    def part(self, follower: Follower) -> None:
        circle = follower.circle
        self._due.discard(follower)
        circle.arriving.discard(follower)
        if follower in circle.members:
            circle.members.discard(follower)
            circle.writes = None
        circles = self._circles.get(circle.model, [])
        if circle in circles and not circle.members and not circle.arriving:
            circles.remove(circle)
            if not circles:
                del self._circles[circle.model]

    def forget(self, _: Follower) -> None:
        self._count -= 1

    # -- what they hear ----------------------------------------------------------

    def publish(self, entries: Sequence[Entry]) -> None:
        """Called by the store, on the event loop, in the order of `n`."""
        epoch = self.store.epoch
        for entry in entries:
            self.published = entry.n
            encoded: dict[Audience, bytes | None] = {}
            for circle in (*self._circles.get(entry.model, ()), *self._circles.get(None, ())):
                audience = circle.audience
                if audience not in encoded:
                    encoded[audience] = encode(epoch, entry, audience)
                data = encoded[audience]
                if data is not None:
                    circle.add(entry.n, circle.framing(str(Cursor(epoch, entry.n)), entry.type, data))
        for follower in tuple(self._due):
            self._due.discard(follower)
            follower.join_when_due()
        if not self._flushing and self._circles:
            self._flushing = True
            if self._rests_until > self._now():
                asyncio.get_running_loop().call_at(self._rests_until, self._flush)
            else:
                asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        at = self._now()
        for circle in self._everybody():
            circle.flush(self.published, at)
        # A write costs the same for one entry as for ten: after a long round as much time goes to what comes in.
        took = self._now() - at
        self._rests_until = at + took + min(took, REST_SECONDS_MAX) if took >= REST_SECONDS_MIN else 0.0

    def _everybody(self) -> list[Circle]:
        return [circle for circles in self._circles.values() for circle in circles]

    async def beat(self) -> None:
        """Fill silence with heartbeats, until cancelled."""
        while True:
            await asyncio.sleep(min(1.0, HEARTBEAT_SECONDS / 4))
            at = self._now()
            waiting = [follower for follower in self._due if follower.circle.spoke_at + HEARTBEAT_SECONDS <= at]
            data = orjson.dumps({"type": "heartbeat", "at": iso(self._clock.now())})
            for circle in self._everybody():
                if circle.spoke_at + HEARTBEAT_SECONDS <= at:
                    circle.say(circle.framing("", "heartbeat", data), at)
            for follower in waiting:  # theirs is a silence too: nothing was published since they came
                follower.tell(follower.circle.framing("", "heartbeat", data))

    def end(self) -> None:
        """Every reader is told that this is the end for now; so is whoever comes back too soon."""
        self._ended = True
        self._flush()
        for circle in self._everybody():
            for follower in (*circle.members, *circle.arriving):
                follower.out.finish(Close.DRAINING)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
