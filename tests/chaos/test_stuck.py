"""Readers that are stuck for ever beside readers that are not: the former are cut, the latter hear everything once."""

from __future__ import annotations

import os
import shutil

import pytest

from relay.settings import FOLLOWER_BYTES_MAX
from tests.chaos.stuck import CUT, Script, Weight, counted, hall

SHORT = Script(alone=10, per_second=50, seconds=3, settle=0)
STUCK = 10
SLACK_KIB = 16 * 1024  # what a server's weight rises by itself while it works


@pytest.fixture(autouse=True)
def compiler(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The load is written in C."""
    if shutil.which("cc") is None and not os.environ.get("CI"):
        pytest.skip("no C compiler")
    monkeypatch.setenv("BENCH_PLACE", str(tmp_path_factory.getbasetemp() / "bench"))


@pytest.mark.timeout(90)
@pytest.mark.parametrize("part", ["ws", "sse"])
def test_stuck_readers_are_cut_and_cost_the_others_nothing(part: str) -> None:
    """Two hundred readers, ten of them stuck: every entry reaches all the others once, and memory has an end."""
    with hall(part, 190, stuck_seconds=0.5) as full:
        before = full.server.memory_kib()
        weight = Weight(full.server)
        with full.stuck(STUCK):
            full.phase(SHORT)  # raises where one of the crowd lost an entry, heard one twice, or was cut
        most = weight.end()["Pss"]
        assert STUCK <= counted(full.server, CUT)
        assert most - before <= STUCK * FOLLOWER_BYTES_MAX / 1024 + SLACK_KIB


@pytest.mark.timeout(90)
def test_without_a_bound_nobody_is_cut() -> None:
    """Negative control: a relay that does not see who is slow cuts nobody."""
    with hall("sse", 40, stuck_seconds=0.5, fault="nobody is slow") as full:
        with full.stuck(STUCK):
            full.phase(SHORT)
        assert 0 == counted(full.server, CUT)
