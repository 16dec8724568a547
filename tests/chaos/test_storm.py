"""(c) A short storm over real processes and sockets, and (e) the proof that its judge is awake."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.storm import Storm


@pytest.mark.timeout(180)
async def test_the_seven_rules_hold_in_a_storm(tmp_path: Path) -> None:
    """Killed every few seconds, with a full disk and pages that die, double and move: nothing lost, nothing doubled."""
    verdict, extent = await Storm(tips=2000, seed=11, models=8, pace=0.025).rage(tmp_path)
    assert verdict.holds, str(verdict)
    assert (2000, 0, 0) == (verdict.accepted, len(verdict.lost), len(verdict.doubled))
    assert extent["kills"] >= 1


CONTROLS = {
    "the journal is off": {"journal": False},
    "the generation check is off": {"fence": False, "fault": "forget generations"},
    "the 202 comes before the commit": {"fault": "answer before keeping"},
}


@pytest.mark.timeout(180)
@pytest.mark.parametrize("control", CONTROLS)
async def test_the_judge_catches_a_relay_where(control: str, tmp_path: Path) -> None:
    """Negative control: the same storm, with one guard taken away, breaks a rule."""
    verdict, _ = await Storm(tips=3000, seed=11, models=20, pace=0.02, **CONTROLS[control]).rage(tmp_path)  # type: ignore[arg-type]
    assert not verdict.holds, str(verdict)
