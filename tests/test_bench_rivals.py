"""The rivals that are installed here pass the count of their tips. Nothing is installed for it."""

from __future__ import annotations

import shutil

import pytest
from bench_kit import measured

from bench import tips
from bench.contenders import TABLE
from bench.place import is_installed

RIVALS = [name for name, one in TABLE.items() if tips.PART in one.speaks and one.needs]


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_s_tips_can_be_measured(name: str):
    """Each tip comes to the page of its model, once; where the page's word comes back, that takes time too."""
    rival = TABLE[name]
    if shutil.which("cc") is None or not all(is_installed(kind) for kind in rival.needs):
        pytest.skip(f"{name} is not installed: scripts/bench tips does that")
    measures = [one for one in tips.MEASURES if one.name == "slow"]
    runs = measured(rival, tips.PART, measures, shrink=0.03)
    assert (4 if "follow" in rival.speaks[tips.PART] else 2) == len(runs), runs
    assert all(run["value"] for run in runs), runs
