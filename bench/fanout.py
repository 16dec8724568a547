"""Fan-out: one message to very many readers. What is measured, and what the relay is to reach."""

from __future__ import annotations

from collections.abc import Sequence

from bench.stages import Measure, Stage, connect, memory
from bench.table import Bound, Column, Goal, Times

ALONE_COUNT = 15
PUBLISHERS = 4
LOOP_SECONDS_MAX = 1.2  # a model's line takes 10,000 tips, and the relay's publishers are past 5,000 a second
PARTS = {"ws": "WebSocket", "sse": "Server-Sent Events"}


def rate(stage: Stage) -> Sequence[float]:
    """Each publisher posts its next message once the last one was answered."""
    seconds = min(stage.seconds, LOOP_SECONDS_MAX)
    return [float(stage.ask(f"max {PUBLISHERS} {seconds}")["messages_per_s"])]


def alone(stage: Stage) -> Sequence[float]:
    return [float(stage.ask(f"alone {ALONE_COUNT}")["last_ms"]["p50"])]


MEASURES = [
    Measure("rate", "messages/s to 1,000 readers", 1000, [Column("rate", "messages/s to 1,000", "more")], rate),
    Measure("connect", "readers accepted/s, 5,000 of them", 5000, [Column("connect", "accepted/s", "more")], connect),
    Measure("memory", "server's memory per listening reader", 5000, [Column("memory", "KiB each", "less")], memory),
    Measure("alone", "one message, 5,000 readers", 5000, [Column("alone", "ms to the last of 5,000", "less")], alone),
    Measure("rate5000", "messages/s to 5,000 readers", 5000, [Column("rate5000", "messages/s to 5,000", "more")], rate),
]
GOALS: dict[str, list[Goal]] = {
    "ws": [
        Times("rate", "socketify", 1.0),
        Times("rate", "nchan", 2.0),
        Times("rate", "socket.io", 5.0),
        Times("rate", "starlette", 6.0),
        Times("rate5000", "socketify", 1.0),
        Times("rate5000", "nchan", 2.5),
        Times("alone", "nchan", 1.0),
        Bound("memory", 4),
        Times("connect", "starlette", 2.0),
    ],
    "sse": [
        Times("rate", "nchan", 1.2),
        Times("rate", "sse-starlette", 8.0),
        Bound("memory", 8),
        Times("connect", "sse-starlette", 5.0),
    ],
}
