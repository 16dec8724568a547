"""Kill -9 and restart under a thousand resuming readers: each one's ids are the store's ids, in order, none missing,
none twice, or a `gap` says which. `python -m tests.chaos.readers --readers 1000` prints the verdict."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import resource
import sqlite3
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.plain_http import Backend
from tests.chaos.plain_reader import Reader
from tests.chaos.process import KEY, RelayProcess

LOOK_SECONDS = 0.05  # between two looks at what the store keeps
STARTS = ("after={epoch}-0", "last=50", "last=0")


@dataclass
class Verdict:
    """What became of all readers. `broken` holds sentences about those that heard something else than was kept."""

    readers: int = 0
    entries: int = 0  # kept by the store
    heard: int = 0  # by all readers
    gaps: int = 0
    connections: int = 0
    resumed: list[float] = field(default_factory=list)  # per restart: seconds until all had what had been kept
    broken: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.broken

    def __str__(self) -> str:
        return "\n".join(
            (
                f"readers  {self.readers}, {self.connections} connections",
                f"entries  {self.entries} kept, {self.heard} heard, {self.gaps} gaps said",
                f"resumed  {', '.join(f'{seconds:.2f} s' for seconds in self.resumed) or '-'} after a restart",
                *(f"BROKEN {sentence}" for sentence in self.broken[:10]),
                "every reader heard what was kept"
                if self.holds
                else f"{len(self.broken)} READERS HEARD SOMETHING ELSE",
            )
        )


def judge(reader: Reader, kept: Sequence[int], left: Container[int]) -> str | None:
    """What is wrong with what a reader heard; None: nothing. `kept` are the numbers of its feed, by rising number, and
    `left` those that retention has not taken away."""
    heard = list(reader.ids)
    if any(one >= other for one, other in itertools.pairwise(heard)):
        one, other = next(pair for pair in itertools.pairwise(heard) if pair[0] >= pair[1])
        return f"{reader.name}: {other} came after {one}"
    if stranger := set(heard) - set(kept):
        return f"{reader.name}: {min(stranger)} was never kept"
    begin = kept[bisect_right(kept, 0)] if reader.start.startswith("after") else min(heard, default=kept[-1] + 1)
    for n in sorted(set(kept) - set(heard)):
        if n >= begin and not any(after < n <= until for after, until in reader.gaps):
            return f"{reader.name}: {n} is missing, and no gap says so"
        if n >= begin and n in left:
            return f"{reader.name}: {n} is missing, a gap says so, but it is there"
    return None


@dataclass
class Crowd:
    """Readers, half of them over SSE and half over WebSockets, half of one model and half of everything; and writers.

    `control`: one reader ignores its cursor. `fault`: see launcher."""

    readers: int
    kills: int = 3
    seconds: float = 3.0  # between two kills
    models: int = 20
    writers: int = 4
    pace: float = 0.02  # seconds between a writer's tips
    away: int = 0  # tips that are taken after a restart before the readers come back
    history: int = 100_000  # entries kept per model
    restless: float = 0.0  # seconds after which a reader hangs up and comes back, on average; 0: it stays
    joining: float = 0.0  # seconds over which readers come in
    control: bool = False
    fault: str = "none"
    seed: int = 1

    async def run(self, folder: Path) -> Verdict:
        self.random = random.Random(self.seed)
        self.relay = RelayProcess(folder, self.fault, RELAY_HISTORY_ENTRIES=str(self.history), SWEEP_SECONDS="0.1")
        self.kept: dict[str | None, list[int]] = {None: []}
        self.posted = self.taken = 0
        self.calm = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        await self.relay.start()
        backend = Backend(self.relay.port, KEY)
        for number in range(self.models):
            await backend.call("PUT", f"/models/m{number}", {"name": f"m{number}"})
        backend.close()
        self.store = sqlite3.connect(f"file:{folder / 'relay.db'}?mode=ro", uri=True, isolation_level=None)
        epoch = self.store.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()[0]
        self.crowd = [self._reader(number, epoch) for number in range(self.readers)]
        verdict = Verdict(self.readers)
        witness = asyncio.create_task(self._witness())
        writers = [asyncio.create_task(self._write()) for _ in range(self.writers)]
        reading = [asyncio.create_task(self._read(one)) for one in self.crowd]
        try:
            if not self.restless and not self.joining:
                await self._until(self._all_are_back, 30)
            await asyncio.sleep(self.seconds)
            for _ in range(self.kills):
                verdict.resumed.append(await self._restart())
                await asyncio.sleep(self.seconds)
            self.calm.set()
            await asyncio.gather(*writers)
            await self._caught_up()
        finally:
            for task in (*reading, *writers, witness):
                task.cancel()
            await asyncio.gather(*reading, *writers, witness, return_exceptions=True)
            await self.relay.kill()
        return self._judge(verdict)

    def _reader(self, number: int, epoch: str) -> Reader:
        forgets = self.control and number == 0
        start = "last=0" if forgets else STARTS[number // 4 % len(STARTS)].format(epoch=epoch)
        model = f"m{number // 4 % self.models}" if number & 2 else None
        transport = "websocket" if number & 1 else "sse"
        name = f"reader {number} ({transport}, {model or 'everything'}, {start})"
        return Reader(name, model, websocket=bool(number & 1), start=start, forgets=forgets)

    def _judge(self, verdict: Verdict) -> Verdict:
        verdict.entries = len(self.kept[None])
        left = {n for (n,) in self.store.execute("SELECT n FROM entries")}
        self.store.close()
        for reader in self.crowd:
            verdict.heard += len(reader.ids)
            verdict.gaps += len(reader.gaps)
            verdict.connections += reader.connections
            if wrong := judge(reader, self.kept.get(reader.model, []), left):
                verdict.broken.append(wrong)
        return verdict

    # -- what the store keeps -----------------------------------------------------------------------------------------

    async def _witness(self) -> None:
        """Looks often: retention may take away what nobody has looked at."""
        while True:
            self._look()
            await asyncio.sleep(LOOK_SECONDS)

    def _look(self) -> None:
        last = self.kept[None][-1] if self.kept[None] else 0
        for n, model in self.store.execute("SELECT n, model FROM entries WHERE n > ? ORDER BY n", (last,)):
            self.kept[None].append(n)
            self.kept.setdefault(model, []).append(n)

    # -- readers ------------------------------------------------------------------------------------------------------

    async def _read(self, reader: Reader) -> None:
        await asyncio.sleep(self.random.uniform(0, self.joining))
        reading = asyncio.create_task(reader.read(self._door, KEY))
        try:
            while self.restless:
                await asyncio.sleep(self.random.expovariate(1 / self.restless))
                if reader.connection is not None and not self.calm.is_set():
                    reader.connection.connection_lost(None)
            await reading
        finally:
            reading.cancel()

    async def _door(self) -> int:
        await self.open.wait()
        return self.relay.port

    def _all_are_back(self) -> bool:
        return all(one.connection is not None and one.connection.opened for one in self.crowd)

    def _all_have(self, newest: dict[str | None, int]) -> bool:
        return self._all_are_back() and all(one.reached >= newest.get(one.model, 0) for one in self.crowd)

    # -- kills and tips -----------------------------------------------------------------------------------------------

    async def _restart(self) -> float:
        """kill -9, start; seconds from listening until every reader has what was kept by then."""
        self.open.clear()
        await self.relay.kill()
        await self.relay.start()
        back = self.taken + self.away
        await self._until(lambda: back <= self.taken, 60)
        began = time.monotonic()
        self.open.set()
        await self._caught_up()
        return time.monotonic() - began

    async def _caught_up(self, within: float = 60.0) -> None:
        """Until every reader has what is kept by now; whoever does not get there, the judge will name."""
        self._look()
        newest = {model: ns[-1] for model, ns in self.kept.items() if ns}
        await self._until(lambda: self._all_have(newest), within)

    async def _until(self, holds: Callable[[], bool], within: float) -> None:
        until = time.monotonic() + within
        while not holds() and time.monotonic() < until:  # noqa: ASYNC110  # a crowd has no one event
            await asyncio.sleep(0.02)

    async def _write(self) -> None:
        """Posts tips until it is calm, each until it is taken."""
        backend = Backend(self.relay.port, KEY)
        while not self.calm.is_set():
            self.posted += 1
            body = {"id": f"t{self.posted}", "model": f"m{self.posted % self.models}", "tipper": "john", "amount": 5}
            status = 0
            while status not in (200, 202):
                try:
                    status, _ = await backend.call("POST", "/tips", body)
                except OSError:
                    await asyncio.sleep(0.05)
            self.taken += 1
            if self.pace:
                await asyncio.sleep(self.pace)
        backend.close()


def allow_sockets(count: int) -> None:
    """Open files for so many, here and in what is started from here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, max(count, hard)))


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--readers", type=int, default=1000)
    options.add_argument("--kills", type=int, default=3)
    options.add_argument("--seconds", type=float, default=3.0, help="between two kills")
    options.add_argument("--pace", type=float, default=0.02, help="seconds between the tips of each of four writers")
    options.add_argument("--away", type=int, default=0, help="tips taken after a restart before the readers are back")
    options.add_argument("--history", type=int, default=100_000, help="entries kept per model")
    options.add_argument("--fault", default="none", help="a fault in the relay, see tests/chaos/launcher.py")
    options.add_argument("--control", action="store_true", help="one reader ignores its cursor")
    given = options.parse_args()
    allow_sockets(2 * given.readers + 200)
    with tempfile.TemporaryDirectory() as folder:
        verdict = asyncio.run(Crowd(**vars(given)).run(Path(folder)))
    print(verdict)
    return 0 if verdict.holds else 1


if __name__ == "__main__":
    sys.exit(main())
