"""Evidence: which tips the vendor's queue views speak of, and what they prove (design section 4, facts.md H27-H37).

The vendor's entries carry a name and an amount, not our ids, and twins are normal. The vendor plays first in, first
out, so per (name, amount) the entries in sight are always the newest of those it was given: when there are fewer
than before, the oldest have gone; when there are more, the next played tip has arrived. An entry that no played tip
explains is external and never takes somebody's tip.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from relay.events import Reaction
from relay.tips import Status

Key = tuple[str, int | None]


@dataclass(slots=True)
class Called:
    """A tip given to the vendor's call. `order` is the order of the calls."""

    tip: str
    order: int
    shown: bool = False  # the vendor has shown it
    late: bool = False  # called no_reaction, or its queue is gone: only taken when nobody else explains an entry


@dataclass(slots=True)
class Seen:
    """One entry the vendor has shown. `call` None: external."""

    call: Called | None
    running: bool = False
    since: float = 0.0  # when it was first seen running
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What the vendor's words prove about one tip."""

    tip: str
    status: Status
    why: str
    evidence: dict[str, Any]


class Watch:
    """Follows one model's played tips through the vendor's queue. No I/O, no clock of its own."""

    def __init__(self) -> None:
        self._calls: dict[Key, list[Called]] = {}  # called, not shown by the vendor yet
        self._seen: dict[Key, list[Seen]] = {}  # shown, oldest first: those that run, then those that wait
        self._vanished: dict[str, tuple[Key, Called, float]] = {}  # gone from the queue, never seen running
        self._keys: dict[str, Key] = {}  # where each tip is looked for
        self._order = 0

    # -- what the hub tells ----------------------------------------------------------

    def add(self, tip: str, name: str, amount: int) -> None:
        """A tip is on its way to the vendor's call: from now on an entry may be about it."""
        if tip not in self._keys:
            self._keys[tip] = (name, amount)
            self._calls.setdefault((name, amount), []).append(self._called(tip))

    def restore(self, tip: str, name: str, amount: int, *, running: bool, since: float, seconds: float | None) -> None:
        """A tip the vendor had shown before the relay was started again."""
        self._keys[tip] = (name, amount)
        self._seen.setdefault((name, amount), []).append(Seen(self._called(tip), running, since, seconds))

    def demote(self, tip: str) -> None:
        """The tip was called no_reaction, or is in doubt: evidence still counts, behind that for everybody else."""
        for call in self._calls.get(self._keys.get(tip, ("", None)), ()):
            call.late = call.late or call.tip == tip

    def drop(self, tip: str) -> None:
        """The tip no longer waits for evidence. An entry taken for it was somebody else's."""
        self._vanished.pop(tip, None)
        key = self._keys.pop(tip, None)
        if key is None:
            return
        calls = self._calls.get(key, [])
        calls[:] = [call for call in calls if call.tip != tip]
        if not calls:
            self._calls.pop(key, None)
        for one in self._seen.get(key, ()):
            if one.call is not None and one.call.tip == tip:
                one.call = None

    def end(self, died: float, why: str) -> Iterator[Finding]:
        """The vendor's queue is gone, with its page or by a stop: everything it had shown ends here."""
        for key, seen in self._seen.items():
            yield from (ended(one, key, died, why) for one in seen if one.call)
        self._seen.clear()
        for tip, (key, _, _) in self._vanished.items():
            yield Finding(tip, Status.CLEARED, "gone from the vendor's queue before it ran", evidence_of(key))
        self._vanished.clear()
        for calls in self._calls.values():
            for call in calls:
                call.late = True  # the next queue begins with the next call

    # -- what the vendor shows ----------------------------------------------------------

    def see(
        self, running: Sequence[Reaction], queued: Sequence[Reaction], waiting: int, at: float
    ) -> Iterator[Finding]:
        """Findings out of a whole view of the queue. `waiting`: entries the vendor set aside without telling which."""
        runs, waits = by_key(running), by_key(queued)
        fresh: list[str] = []
        for key in dict.fromkeys((*self._seen, *runs, *waits)):
            seen = self._seen.get(key, [])
            left = len(runs[key]) + len(waits[key])
            if waiting:  # a pause or a controller holds the queue: what is out of sight may be set aside (H37)
                left = max(left, sum(not one.running for one in seen))
            yield from self._shrink(key, left, at, fresh)
            yield from self._grow(key, left, runs[key], waits[key])
            yield from self._run(key, runs[key], at)
        # A later tip is in sight, and the vendor plays in order: whoever vanished in this very view has had its turn.
        newest = max((one.call.order for seen in self._seen.values() for one in seen if one.call), default=0)
        # Where several vanish at once it was a clear, and not their turns.
        for tip in fresh if len(fresh) == 1 else ():
            key, call, _ = self._vanished.get(tip, (("", 0), None, 0.0))
            if call is not None and call.order < newest:
                del self._vanished[tip]
                yield Finding(
                    tip, Status.DONE, "had its turn between two views of the vendor's queue", evidence_of(key)
                )

    def see_running(self, running: Sequence[Reaction], at: float) -> Iterator[Finding]:
        """Findings out of a view of only what runs."""
        runs = by_key(running)
        for key in dict.fromkeys((*self._seen, *runs)):
            seen = self._seen.get(key, [])
            ended = max(0, sum(one.running for one in seen) - len(runs[key]))
            yield from self._shrink(key, len(seen) - ended, at, [])
            yield from self._grow(key, max(len(seen), len(runs[key])), runs[key], [])
            yield from self._run(key, runs[key], at)

    # -- what only time completes ----------------------------------------------------------

    def tick(self, at: float, settle: float) -> Iterator[Finding]:
        """Gone from the queue for `settle` seconds and never seen running: swept away."""
        for tip, (key, _, since) in list(self._vanished.items()):
            if at >= since + settle:
                del self._vanished[tip]
                yield Finding(tip, Status.CLEARED, "gone from the vendor's queue before it ran", evidence_of(key))

    def next_due(self, settle: float) -> float | None:
        """When `tick` may have something to say."""
        return min((since + settle for _, _, since in self._vanished.values()), default=None)

    def tips_of(self, reactions: Iterable[Reaction]) -> list[str | None]:
        """The tips behind the entries of a view, running ones first, in its order. None: external."""
        taken: Counter[Key] = Counter()
        tips: list[str | None] = []
        for one in reactions:
            key = (one.name, one.amount)
            seen, place = self._seen.get(key, []), taken[key]
            taken[key] += 1
            call = seen[place].call if place < len(seen) else None
            tips.append(call.tip if call else None)
        return tips

    # -- inside ----------------------------------------------------------

    def _called(self, tip: str) -> Called:
        self._order += 1
        return Called(tip, self._order)

    def _shrink(self, key: Key, left: int, at: float, fresh: list[str]) -> Iterator[Finding]:
        """Oldest first out."""
        seen = self._seen.get(key, [])
        while len(seen) > left:
            gone = seen.pop(0)
            if gone.call is None:
                continue
            if gone.running:
                yield Finding(gone.call.tip, Status.DONE, "the vendor showed it running, then gone", evidence_of(key))
            else:
                self._vanished[gone.call.tip] = (key, gone.call, at)
                fresh.append(gone.call.tip)
        if not seen:
            self._seen.pop(key, None)

    def _grow(self, key: Key, wanted: int, runs: Sequence[Reaction], waits: Sequence[Reaction]) -> Iterator[Finding]:
        """Newest last in: for each entry more, the next tip called, or nobody's."""
        if wanted <= len(self._seen.get(key, ())):
            return
        seen = self._seen.setdefault(key, [])
        echoes = {one.echo for one in (*runs, *waits) if one.echo}
        while len(seen) < wanted:
            call = self._next(key, echoes, runs=len(seen) < len(runs))
            seen.append(Seen(call))
            if call is None:
                continue
            came_back, call.shown = call.shown, True
            if len(seen) > len(runs) and not came_back:
                yield Finding(call.tip, Status.QUEUED, "the vendor's queue shows it", evidence_of(key))

    def _run(self, key: Key, runs: Sequence[Reaction], at: float) -> Iterator[Finding]:
        for one, reaction in zip(self._seen.get(key, ()), runs, strict=False):
            one.seconds = reaction.seconds
            if not one.running:
                one.running, one.since = True, at
                if one.call is not None:
                    yield Finding(
                        one.call.tip, Status.RUNNING, "the vendor says the toy reacts to it", evidence_of(key, reaction)
                    )

    def _next(self, key: Key, echoes: set[str], runs: bool) -> Called | None:
        calls = self._calls.get(key, [])
        vanished = next((tip for tip, (kept, _, _) in self._vanished.items() if kept == key), None)
        # An entry that runs had left the queue because it began to run. One that waits is sooner a new one.
        if vanished is not None and (runs or all(call.late for call in calls)):
            return self._vanished.pop(vanished)[1]
        chosen = next((call for call in calls if call.tip in echoes), None)
        chosen = chosen or next((call for call in calls if not call.late), calls[0] if calls else None)
        if chosen is not None:
            calls.remove(chosen)
            if not calls:
                del self._calls[key]
        return chosen


def ended(one: Seen, key: Key, died: float, why: str) -> Finding:
    """A tip whose vendor queue died: done if it had run its time, else swept away."""
    assert one.call is not None
    if not one.running:
        return Finding(one.call.tip, Status.CLEARED, f"{why} while it was in the vendor's queue", evidence_of(key))
    ran = max(0.0, died - one.since)
    if one.seconds is not None and ran >= one.seconds:
        return Finding(one.call.tip, Status.DONE, f"had run its {one.seconds:g} s when {why}", evidence_of(key))
    return Finding(one.call.tip, Status.CLEARED, f"{why} {ran:.1f} s into its reaction", evidence_of(key))


def by_key(reactions: Iterable[Reaction]) -> defaultdict[Key, list[Reaction]]:
    found: defaultdict[Key, list[Reaction]] = defaultdict(list)
    for one in reactions:
        found[one.name, one.amount].append(one)
    return found


def evidence_of(key: Key, reaction: Reaction | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"tipper": key[0], "amount": key[1]}
    if reaction is not None:
        found |= {"level": reaction.level, "special": reaction.special, "seconds": reaction.seconds}
    return found
