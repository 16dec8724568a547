"""The bench counts right: small crowds, short loops; its figures are nobody's here."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from bench_kit import doubts, measured, use_a_place_of_its_own

from bench import fanout, tips
from bench.contenders import TABLE, WS_FEED, Contender
from bench.table import Bound, Column, Results, Times, table, verdicts

SHRINK = 0.03


@pytest.fixture(autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    use_a_place_of_its_own(tmp_path_factory, monkeypatch)


def liar(lie: str) -> Contender:
    def command(port: int, _folder: Path) -> list[str]:
        app = ["bench_liar:app", "--app-dir", str(Path(__file__).parent), "--log-level", "warning"]
        return [sys.executable, "-m", "uvicorn", *app, "--port", str(port)]

    return Contender("liar", command, speaks={"ws": WS_FEED}, environment=lambda: {"LIE": lie})


def test_an_honest_server_is_believed():
    """Every reader gets every message once: the figure counts, and nothing puts it in doubt."""
    (run,) = measured(liar(""), "ws", fanout.MEASURES[:1], SHRINK)
    assert [] == doubts(run)
    assert run["value"] > 0


@pytest.mark.parametrize("lie", ["lost", "doubled"])
def test_a_lost_or_doubled_message_fails_its_run(lie: str):
    """No figure without every message to every reader, once."""
    (run,) = measured(liar(lie), "ws", fanout.MEASURES[:1], SHRINK)
    assert run["value"] is None
    assert lie in doubts(run)[0]


def test_an_answer_that_never_comes_fails_its_run():
    """A publisher that waits in vain posts no more: what little arrived is no figure."""
    mute = replace(liar(""), speaks={"ws": WS_FEED | {"answer": "a word that it never says"}})
    (run,) = measured(mute, "ws", fanout.MEASURES[:1], SHRINK)
    assert run["value"] is None
    assert "1 unanswered" in doubts(run)[0]


def test_a_rival_in_a_goal_is_measured():
    """Its name is a contender's, and that one speaks what the goal is about."""
    goals = {**fanout.GOALS, tips.PART: tips.GOALS}
    asked = [(goal.rival, part) for part, some in goals.items() for goal in some if not isinstance(goal, Bound)]
    assert [] == [(name, part) for name, part in asked if name not in TABLE or part not in TABLE[name].speaks]


@pytest.mark.parametrize("part", list(fanout.PARTS))
def test_the_relay_s_feed_can_be_measured(part: str):
    """A tip becomes one entry for every reader, over both transports."""
    runs = measured(TABLE["relay"], part, fanout.MEASURES[:1], SHRINK)
    assert [("rate", [])] == [(run["column"], doubts(run)) for run in runs]
    assert runs[0]["value"] > 0


def test_the_relay_s_tips_can_be_measured():
    """Tips arrive on the page of their model, and the receipt says played."""
    measures = [one for one in tips.MEASURES if one.name == "slow"]
    runs = measured(TABLE["relay"], tips.PART, measures, SHRINK)
    assert ["slow_p50", "slow_p99", "slow_played_p50", "slow_played_p99"] == [run["column"] for run in runs]
    assert all(run["value"] > 0 for run in runs), runs


def test_a_ratio_says_how_many_times_better_the_relay_is():
    """Medians of the runs; where less is better, the ratio is turned round; what failed is marked."""
    more, less = Column("rate", "messages/s", "more"), Column("kib", "KiB", "less")
    figures = {"relay": ([300, 100, 200], [4]), "rival": ([100, None], [8])}
    runs = [
        {"contender": name, "part": "ws", "column": column.name, "value": value}
        for name, both in figures.items()
        for column, values in zip((more, less), both, strict=True)
        for value in values
    ]
    results = Results("ws", runs)
    assert (
        "| rival | 100 (2.00x) ! | 8.00 (2.00x) |"
        == table(results, [more, less], ["relay", "rival"], {}).splitlines()[-1]
    )
    assert ["MISSED messages/s: at least 3x rival, is 2.00x", "holds  KiB: at least 2x rival, is 2.00x"] == verdicts(
        results, [more, less], [Times("rate", "rival", 3), Times("kib", "rival", 2)]
    )
