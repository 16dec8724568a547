"""(c) The storm: a real relay process killed every few seconds, its disk full for a while, pages that reload, crash,
double and move, and backends that insist. `python -m tests.chaos.storm --tips N --seed N` prints the verdict."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.broadcaster import Broadcaster
from tests.chaos.checker import CLOSED, Facts, Verdict, judge
from tests.chaos.plain_http import Backend
from tests.chaos.process import KEY, RelayProcess

BACKENDS = 8


@dataclass
class Storm:
    """What is thrown at the relay. `fault` and the switches are for the negative controls."""

    tips: int
    seed: int = 1
    models: int = 12
    fault: str = "none"
    journal: bool = True
    fence: bool = True
    kills: bool = True
    pace: float = 0.0  # seconds between a backend's tips

    async def rage(self, folder: Path) -> tuple[Verdict, dict[str, Any]]:
        """The verdict, and what there was of everything."""
        self.random = random.Random(self.seed)
        self.facts = Facts(flight_seconds=2.0)
        self.relay = RelayProcess(folder, self.fault)
        await self.relay.start()
        self.broadcasters = [
            Broadcaster(f"m{number}", self.relay, self.facts, self.seed, journal=self.journal, fence=self.fence)
            for number in range(self.models)
        ]
        await self._register()
        (folder / "armed").touch()
        began = time.monotonic()
        evenings = [asyncio.create_task(one.broadcast()) for one in self.broadcasters]
        for one in self.broadcasters:
            one.weather = 0.1
        weather = asyncio.create_task(self._weather())
        share = [range(number, self.tips, BACKENDS) for number in range(BACKENDS)]
        try:
            await asyncio.gather(*(self._backend(numbers) for numbers in share))
            took = time.monotonic() - began
            weather.cancel()
            await asyncio.gather(weather, return_exceptions=True)
            await self._calm()
            await self._until_quiet()
        finally:
            for evening in (*evenings, weather):
                evening.cancel()
            await asyncio.gather(*evenings, weather, return_exceptions=True)
            await self.relay.kill()
        self._explain()
        return judge(self.facts), {
            "kills": self.relay.kills - 2,
            "seconds": round(took, 1),
            "calls": len(self.facts.ledger.calls),
        }

    # -- the platform -------------------------------------------------------------------------------------------------

    async def _register(self) -> None:
        backend = Backend(self.relay.port, KEY)
        for one in self.broadcasters:
            await backend.call("PUT", f"/models/{one.model}", {"name": one.model})
        backend.close()

    async def _backend(self, numbers: range) -> None:
        """Posts its tips in order, each until it is taken, as a platform's backend would."""
        backend = Backend(self.relay.port, KEY)
        for number in numbers:
            model = f"m{number % self.models}"
            body = {"id": f"t{number}", "model": model, "tipper": f"n{number}", "amount": 1 + number % 50}
            while True:
                try:
                    status, answer = await backend.call("POST", "/tips", body)
                except OSError:
                    status, answer = 0, None
                if status in (200, 202):
                    self.facts.accepted[str(body["id"])] = body
                    break
                if status not in (0, 429, 503):
                    raise AssertionError(f"{status} {answer}")
                await asyncio.sleep(0.05)
            if self.pace:
                await asyncio.sleep(self.pace)
        backend.close()

    # -- the weather --------------------------------------------------------------------------------------------------

    async def _weather(self) -> None:
        """kill -9 every 1 to 3 s; now and then a full disk for up to a second."""
        while True:
            await asyncio.sleep(self.random.uniform(1.0, 3.0))
            if self.relay.kills and self.random.random() < 0.3:
                self.relay.fill_disk(True)
                await asyncio.sleep(self.random.uniform(0.2, 1.0))
                self.relay.fill_disk(False)
            elif self.kills:
                await self.relay.kill()
                await self.relay.start()

    async def _calm(self) -> None:
        """The storm is over: every broadcaster's page comes back and stays."""
        for one in self.broadcasters:
            one.weather = 0.0
        self.relay.fill_disk(False)
        await self.relay.kill()
        await self.relay.start(fault="none")

    async def _until_quiet(self, within: float = 120.0) -> None:
        """Until every receipt is closed or uncertain. A vendor may have thousands of tips in its queue: only where none
        has come to its end for `within` seconds is it enough, and the judge will name what is still open."""
        fewest, until = self.tips + 1, time.monotonic() + within
        while time.monotonic() < until:
            self.facts.receipts = await self._receipts()
            still = sum(one["status"] not in CLOSED and one["status"] != "uncertain" for one in self.facts.receipts)
            if not still:
                return
            if still < fewest:
                fewest, until = still, time.monotonic() + within
            await asyncio.sleep(0.5)

    async def _receipts(self) -> list[dict[str, Any]]:
        backend, found, after = Backend(self.relay.port, KEY), [], "0"
        while after:
            _, page = await backend.call("GET", f"/tips?limit=1000&after={after}", within=20)
            found += page["tips"]
            after = page["next"]
        backend.close()
        return found

    def _explain(self) -> None:
        """What the storm did itself explains a doubt; anything else stays unexplained."""
        moved = {one.model: one.moved for one in self.broadcasters}
        for receipt in self.facts.receipts:
            doubted = any("another browser" in step["why"] for step in receipt["timeline"])
            if receipt["status"] == "uncertain" and doubted and moved[receipt["model"]]:
                self.facts.causes.setdefault(receipt["id"], "the broadcaster moved to another browser")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--tips", type=int, default=2000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--models", type=int, default=12)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        verdict, extent = asyncio.run(Storm(given.tips, given.seed, given.models).rage(Path(folder)))
    print(verdict)
    kills, seconds, calls = extent["kills"], extent["seconds"], extent["calls"]
    print(f"seed {given.seed}: {kills} kills of the relay in {seconds} s, {calls} vendor calls")
    print("every rule holds" if verdict.holds else "RULES ARE BROKEN")
    return 0 if verdict.holds else 1


if __name__ == "__main__":
    sys.exit(main())
