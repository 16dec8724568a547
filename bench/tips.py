"""Tips: posted by a platform, to the page of their model. What is measured, and what the relay is to reach."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from bench.load import Result
from bench.stages import Measure, Stage, memory
from bench.table import Bound, Column, Goal, Margin, Times

PUBLISHERS = 32
BATCH, BATCH_PUBLISHERS = 100, 4
PAGES, IDLE_PAGES = 1000, 10_000
IDLE_SECONDS = 10
PART = "page"


def latency(per_second: int) -> Callable[[Stage], Sequence[float | None]]:
    """Open loop: a tip is late from the moment at which it was due, whether or not somebody was free to post it."""

    def take(stage: Stage) -> Sequence[float | None]:
        result = at_rate(stage, per_second)
        played = result.get("played_ms", {})
        return [result["arrive_ms"]["p50"], result["arrive_ms"]["p99"], played.get("p50"), played.get("p99")]

    return take


def hold(stage: Stage) -> Sequence[float | None]:
    return [at_rate(stage, 5000)["arrive_ms"]["p99"]]


def at_rate(stage: Stage, per_second: int) -> Result:
    result = stage.ask(f"rate {per_second} {PUBLISHERS} {stage.seconds}")
    if result["behind_s"] > 0.05 * stage.seconds:
        stage.notes.append(f"fell behind: {result['accepted_per_s']:.0f}/s of {per_second}/s")
    return result


def maximum(stage: Stage) -> Sequence[float]:
    return [float(stage.ask(f"max {PUBLISHERS} {stage.seconds}")["messages_per_s"])]


def batches(stage: Stage) -> Sequence[float | None]:
    if not stage.can_batch:
        return [None]
    return [float(stage.ask(f"max {BATCH_PUBLISHERS} {stage.seconds} {BATCH}")["messages_per_s"])]


def idle(stage: Stage) -> Sequence[float]:
    """Nobody tips; the server's heartbeats are answered."""
    before, since = stage.server.cpu_seconds(), time.monotonic()
    stage.ask(f"idle {IDLE_SECONDS}")
    return [100 * (stage.server.cpu_seconds() - before) / (time.monotonic() - since)]


def latency_columns(per_second: str, name: str) -> list[Column]:
    steps = [("p50", "p50"), ("p99", "p99"), ("played_p50", "played p50"), ("played_p99", "played p99")]
    return [Column(f"{name}_{step}", f"ms at {per_second}/s: {title}", "less") for step, title in steps]


MEASURES = [
    Measure("memory", "server's memory per page", PAGES, [Column("memory", "KiB a page", "less")], memory),
    Measure("max", "closed loop, 32 publishers", PAGES, [Column("max", "tips/s", "more")], maximum),
    Measure("hold", "open loop, 5,000/s", PAGES, [Column("hold_p99", "ms at 5,000/s: p99", "less")], hold),
    Measure("batch", "closed loop, 100 a request", PAGES, [Column("batch", "tips/s, 100 a request", "more")], batches),
    Measure("slow", "open loop, 200/s", PAGES, latency_columns("200", "slow"), latency(200), followed=True),
    Measure("usual", "open loop, 1,000/s", PAGES, latency_columns("1,000", "usual"), latency(1000), followed=True),
    Measure("idle", "10,000 pages", IDLE_PAGES, [Column("idle", "% of a core for 10,000 pages", "less")], idle),
]
ASKED_FOR_ONLY = ("idle",)
GOALS: list[Goal] = [
    Times("max", "starlette", 3.0),
    Times("max", "nats", 3.0),
    Times("max", "python-socketio", 4.0),
    Times("max", "socket.io", 1.2),
    Bound("hold_p99", 8),
    Bound("usual_p50", 0.8),
    Margin("usual_p99", "socket.io", 3),
    Bound("memory", 24),
    Bound("idle", 6),
]
