"""Readers of the feed against a real relay: what each of them heard is what the store kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.plain_reader import Reader
from tests.chaos.readers import Crowd, judge

FORGETFUL = {"models": 2, "history": 20, "away": 200}


@pytest.mark.timeout(120)
async def test_readers_of_a_relay_that_is_killed_hear_all_of_it_once(tmp_path: Path) -> None:
    """kill -9 with tips flowing: a hundred readers over both transports come back with their cursors."""
    verdict = await Crowd(100, kills=2, seconds=1.0, away=100).run(tmp_path)
    assert verdict.holds, str(verdict)
    assert 300 == verdict.connections
    assert 0 == verdict.gaps


@pytest.mark.timeout(120)
async def test_readers_that_join_under_full_load_hear_all_of_it_once(tmp_path: Path) -> None:
    """`after`, `last` or from now on, coming and going while writers do not pause: nothing between history and live."""
    verdict = await Crowd(60, kills=0, seconds=4.0, pace=0.0, joining=1.0, restless=0.7).run(tmp_path)
    assert verdict.holds, str(verdict)
    assert 120 < verdict.connections


@pytest.mark.timeout(120)
async def test_a_gap_says_which_entries_retention_took(tmp_path: Path) -> None:
    """Readers that stay away for longer than the history reaches."""
    verdict = await Crowd(60, kills=2, seconds=0.5, **FORGETFUL).run(tmp_path)
    assert verdict.holds, str(verdict)
    assert verdict.gaps


KILLED = {"kills": 1, "seconds": 1.0, "away": 100}
RESTLESS = {"kills": 0, "seconds": 2.0, "pace": 0.0, "restless": 0.3}
CONTROLS = {
    "a reader ignores its cursor": KILLED | {"control": True},
    "what came meanwhile is forgotten": RESTLESS | {"fault": "forget what came meanwhile"},
    "what came meanwhile is told twice": RESTLESS | {"fault": "tell twice"},
    "a gap is not said": KILLED | FORGETFUL | {"fault": "say no gap"},
}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("control", CONTROLS)
async def test_the_judge_catches_it_where(control: str, tmp_path: Path) -> None:
    """Negative control: the same crowd, with one guard taken away, hears something else."""
    verdict = await Crowd(40, **CONTROLS[control]).run(tmp_path)  # type: ignore[arg-type]
    assert not verdict.holds, str(verdict)


KEPT = [3, 5, 6, 9]
FAULTS = {
    "5 came after 6": [3, 6, 5, 9],
    "5 came after 5": [3, 5, 5, 6, 9],
    "7 was never kept": [3, 5, 6, 7, 9],
    "6 is missing, and no gap says so": [3, 5, 9],
    "9 is missing, and no gap says so": [3, 5, 6],
    "5 is missing, a gap says so, but it is there": [6, 9],
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_readers_numbers_are_the_stores(fault: str) -> None:
    """One number too few, too many, or in the wrong place."""
    reader = Reader("john", None, websocket=False, start="after=x-0")
    reader.ids.extend(KEPT)
    assert judge(reader, KEPT, KEPT) is None
    reader.ids = reader.ids[:0]
    reader.ids.extend(FAULTS[fault])
    reader.gaps = [(0, 5)]
    assert f"john: {fault}" == judge(reader, KEPT, {5, 6, 9})
