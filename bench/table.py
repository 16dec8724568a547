"""Results into a table: medians of the runs, ratios to the relay, and whether what was asked for is reached."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

RELAY = "relay"
Run = Mapping[str, Any]  # {contender, part, column, value (None: it failed), notes}


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    title: str
    better: Literal["more", "less"]


class Results:
    """All runs of one part (a transport, say)."""

    def __init__(self, part: str, runs: Iterable[Run]) -> None:
        self._runs = [run for run in runs if run["part"] == part]

    def contenders(self, order: Iterable[str]) -> list[str]:
        there = {run["contender"] for run in self._runs}
        return [name for name in order if name in there]

    def value(self, contender: str, column: Column) -> float | None:
        values = [run["value"] for run in self._of(contender, column) if run["value"] is not None]
        return median(values) if values else None

    def failed(self, contender: str, column: Column) -> bool:
        return any(run["value"] is None for run in self._of(contender, column))

    def ratio(self, column: Column, rival: str) -> float | None:
        """How many times better the relay is."""
        ours, theirs = self.value(RELAY, column), self.value(rival, column)
        if not ours or not theirs:
            return None
        return ours / theirs if column.better == "more" else theirs / ours

    def notes(self) -> list[str]:
        """What was said about runs, with the columns that it was said of."""
        said: dict[tuple[str, str], list[str]] = {}
        for run in self._runs:
            for note in run.get("notes", ()):
                said.setdefault((run["contender"], note), []).append(run["column"])
        return [f"{name} ({', '.join(dict.fromkeys(of))}): {note}" for (name, note), of in said.items()]

    def _of(self, contender: str, column: Column) -> list[Run]:
        return [run for run in self._runs if (run["contender"], run["column"]) == (contender, column.name)]


@dataclass(frozen=True, slots=True)
class Times:
    """The relay is at least so many times better than the rival."""

    column: str
    rival: str
    least: float

    def judge(self, column: Column, results: Results) -> tuple[bool, str] | None:
        reached = results.ratio(column, self.rival)
        if reached is None:
            return None
        return reached >= self.least, f"at least {self.least:g}x {self.rival}, is {reached:.2f}x"


@dataclass(frozen=True, slots=True)
class Bound:
    """The relay is no worse than this number."""

    column: str
    bound: float

    def judge(self, column: Column, results: Results) -> tuple[bool, str] | None:
        reached = results.value(RELAY, column)
        if reached is None:
            return None
        good = reached <= self.bound if column.better == "less" else reached >= self.bound
        word = "at most" if column.better == "less" else "at least"
        return good, f"{word} {number(self.bound)}, is {number(reached)}"


@dataclass(frozen=True, slots=True)
class Margin:
    """The relay is at most so much above the rival."""

    column: str
    rival: str
    most: float

    def judge(self, column: Column, results: Results) -> tuple[bool, str] | None:
        ours, theirs = results.value(RELAY, column), results.value(self.rival, column)
        if ours is None or theirs is None:
            return None
        return ours - theirs <= self.most, f"at most {self.most:g} above {self.rival}, is {ours - theirs:.2f} above"


Goal = Times | Bound | Margin


def number(value: float) -> str:
    """Three digits are what such a measurement is worth."""
    if value >= 1000:
        return f"{value / 1000:,.0f}k" if value >= 10_000 else f"{value / 1000:.1f}k"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def cell(results: Results, column: Column, contender: str) -> str:
    value, failed = results.value(contender, column), results.failed(contender, column)
    if value is None:
        return "failed" if failed else ""
    ratio = None if contender == RELAY else results.ratio(column, contender)
    text = number(value) if ratio is None else f"{number(value)} ({ratio:.2f}x)"
    return f"{text} !" if failed else text


def table(results: Results, columns: Sequence[Column], names: Sequence[str], words: Mapping[str, Sequence[str]]) -> str:
    """Markdown that lines up; in brackets how many times better the relay is. `words` stand before the figures."""
    shown = [column for column in columns if any(cell(results, column, name) for name in names)]
    rows = [["", *words.get("", ()), *(column.title for column in shown)]]
    rows += [[name, *words.get(name, ()), *(cell(results, column, name) for column in shown)] for name in names]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    padded = [[text.ljust(width) for text, width in zip(row, widths, strict=True)] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in padded]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def verdicts(results: Results, columns: Sequence[Column], goals: Sequence[Goal]) -> list[str]:
    """One line for each goal that these runs can speak of."""
    lines = []
    for goal in goals:
        column = next(one for one in columns if one.name == goal.column)
        if verdict := goal.judge(column, results):
            lines.append(f"{'holds ' if verdict[0] else 'MISSED'} {column.title}: {verdict[1]}")
    return lines
