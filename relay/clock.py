"""Time as the relay reads it, so that tests can tick it."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache


class Clock:
    """Seconds since 1970. Everything kept or compared across processes uses this one reading."""

    def now(self) -> float:
        return time.time()


class TickingClock(Clock):
    """A clock that moves only when told to."""

    def __init__(self, at: float = 1_700_000_000.0) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    def tick(self, seconds: float) -> None:
        self.at += seconds


def iso(at: float) -> str:
    """`2026-11-22T16:46:00.123Z`: how every time is written in answers."""
    second = int(at // 1)
    return f"{_iso_second(second)}.{int((at - second) * 1000):03d}Z"


@lru_cache(maxsize=1024)
def _iso_second(second: int) -> str:
    """Times of one tip lie close together."""
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]
