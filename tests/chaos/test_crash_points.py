"""(b) Every place where relay or page can die between two steps has a name; each is killed there and checked."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.broadcaster import Broadcaster
from tests.chaos.checker import CLOSED, Facts, judge
from tests.chaos.launcher import CRASH_POINTS
from tests.chaos.plain_http import Backend
from tests.chaos.process import KEY, RelayProcess
from tests.chaos.shim_model import PAGE_STEPS, PageDied

# Where the page dies inside the vendor's call, nobody can tell: that doubt has to show.
DOUBTFUL = {"page: calling written", "page: vendor called"}


class Evening(Broadcaster):
    """One page that loses its socket at the third tip, and dies at a given step of the second."""

    def __init__(self, relay: RelayProcess, facts: Facts, step: str | None) -> None:
        super().__init__("coco", relay, facts, seed=1)
        self._step = step
        self._lost = False

    def _die(self, step: str, tip: str) -> None:
        if tip == "t2" and step == self._step:
            self._step = None
            if step in DOUBTFUL:
                self._facts.causes[tip] = f"its page died at '{step}'"
            raise PageDied(step)
        if tip == "t3" and not self._lost:
            self._lost = True
            raise OSError("the socket is gone before the page has read the tip")

    async def begin(self) -> None:
        self._open_tab()

    async def end(self) -> None:
        await self._close_tabs()


async def insist(relay: RelayProcess, method: str, path: str, body: Any = None) -> Any:
    """As a platform's backend does: again until there is an answer."""
    backend = Backend(relay.port, KEY)
    try:
        async with asyncio.timeout(20):
            while True:
                try:
                    status, answer = await backend.call(method, path, body)
                except OSError:
                    status, answer = 0, None
                if 200 <= status < 300:
                    return answer
                assert status in (0, 503), answer
                await asyncio.sleep(0.02)
    finally:
        backend.close()


async def scene(folder: Path, fault: str, step: str | None) -> tuple[Facts, bool]:
    """Three tips, with a death on the way; whether it came."""
    facts, relay = Facts(), RelayProcess(folder, fault, RELAY_REACTION_GRACE="1")
    armed = folder / "armed"
    await relay.start()
    evening = Evening(relay, facts, step)

    async def post(number: int) -> None:
        body = {"id": f"t{number}", "model": "coco", "tipper": f"n{number}", "amount": 5}
        await insist(relay, "POST", "/tips", body)
        facts.accepted[f"t{number}"] = body

    async def revive() -> bool:
        if step is not None:
            return True
        await relay.died()
        armed.unlink()
        await relay.start(fault="none")
        return True

    try:
        await insist(relay, "PUT", "/models/coco", {"name": "Coco"})
        await evening.begin()
        await post(1)
        if step is None:
            armed.touch()
        reviving = asyncio.create_task(revive())
        await post(2)
        await post(3)
        async with asyncio.timeout(25):
            died = await reviving
            while True:
                facts.receipts = (await insist(relay, "GET", "/tips"))["tips"]
                if all(one["status"] in CLOSED or one["status"] == "uncertain" for one in facts.receipts):
                    return facts, died
                await asyncio.sleep(0.1)
    finally:
        await evening.end()
        await relay.kill()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("point", [*CRASH_POINTS, *PAGE_STEPS])
async def test_nothing_is_lost_or_doubled_by_a_death_between_two_steps(point: str, tmp_path: Path) -> None:
    """Killed at that very step, everything else goes on, and three tips are played once each, or the doubt shows."""
    page = point in PAGE_STEPS
    facts, died = await scene(tmp_path, "none" if page else point, point if page else None)
    verdict = judge(facts)
    assert died
    assert verdict.holds, str(verdict)
    assert set(verdict.uncertain) == ({"t2"} if point in DOUBTFUL else set())
    assert {"t1", "t2", "t3"} == set(facts.accepted)
