"""Where the bench compiles, and loops as long as this machine needs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from bench.contenders import Contender
from bench.growth import NOTHING
from bench.stages import Measure, play

LOOPS = (0.3, 1.0, 3.0)  # seconds


def use_a_place_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The load is written in C; neither what it becomes nor what is filled is kept."""
    if shutil.which("cc") is None and not os.environ.get("CI"):
        pytest.skip("no C compiler")
    monkeypatch.setenv("BENCH_PLACE", str(tmp_path_factory.getbasetemp() / "bench"))


def measured(contender: Contender, part: str, measures: Sequence[Measure], shrink: float) -> list[Any]:
    """The runs of a loop in which something happened: on a machine that does other things the shortest may see nothing.
    What went wrong in it (a message lost or doubled) goes wrong here too."""
    runs: list[Any] = []
    for seconds in LOOPS:
        runs = list(play(contender, part, measures, shrink, seconds))
        if not any(run["value"] == 0 or NOTHING in run["notes"] for run in runs):
            break
    return runs


def doubts(run: Mapping[str, Any]) -> list[str]:
    """A run's notes, but for the one that says only what else this machine was doing."""
    return [note for note in run["notes"] if "the load was busy" not in note]
