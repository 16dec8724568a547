"""Growth: what one tip costs with more pages, with more tips in the store, and while retention is at work."""

from __future__ import annotations

import resource
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from bench.contenders import TABLE, Contender
from bench.load import Result
from bench.place import BenchFailed
from bench.relays import relay_command
from bench.stages import Measure, Stage
from bench.stores import KEEPS, MODELS, Past, age_days, copy
from bench.table import RELAY, Column, Results, number
from bench.tips import PUBLISHERS, at_rate

PART = "page"
USUAL_PER_SECOND = 1000
SPARE_DESCRIPTORS = 300  # of a server, for what is no page
SWEPT_TIPS_MIN = 60_000  # fewer were gone before anybody measured
STORED_TIPS_MIN = 100
WITHIN = 0.2  # of what a tip costs in an empty store

COLUMNS = [
    Column("cost", "µs a tip", "less"),
    Column("rate", "tips/s", "more"),
    Column("usual_cost", "µs a tip at 1,000/s", "less"),
    Column("usual_p50", "ms: p50", "less"),
    Column("usual_p99", "p99", "less"),
    Column("usual_max", "max", "less"),
    Column("swept", "swept/s", "more"),
]


@dataclass(frozen=True, slots=True)
class Point:
    """How big things are. `sweeping`: retention wants all but the last day of what is stored."""

    name: str
    pages: int = MODELS
    stored: int = 0
    ids: str = "scattered"
    sweeping: bool = False

    def past(self, shrink: float) -> Past | None:
        if not self.stored:
            return None
        return Past(max(SWEPT_TIPS_MIN if self.sweeping else STORED_TIPS_MIN, int(self.stored * shrink)), self.ids)


POINTS = [
    Point("empty"),
    Point("10-pages", pages=10),
    Point("10k-pages", pages=10_000),
    Point("1m-stored", stored=1_000_000),
    Point("10m-stored", stored=10_000_000),
    Point("10m-rising", stored=10_000_000, ids="rising"),
    Point("sweeping", stored=1_000_000, sweeping=True),
]
BY_NAME = {point.name: point for point in POINTS}
BY_PAGES = ["10-pages", "empty", "10k-pages"]
BY_STORED = ["empty", "1m-stored", "10m-stored"]
ASKED_FOR_ONLY = ("10m-stored", "10m-rising")  # ten gigabytes each, and a copy
WORDS: Mapping[str, Sequence[str]] = {"": ("pages", "stored")} | {
    point.name: (f"{point.pages:,}", f"{point.stored:,}") for point in POINTS
}

NOTHING = "no tip was accepted"

# Among those of one model as `Past.id` scatters them, each time elsewhere, as random ids are; else before all of them.
ID = '"id":"{i}-{h}{n}"'


def contender(point: Point, shrink: float) -> Contender:
    """The relay, begun with that past."""
    relay, past = TABLE[RELAY], point.past(shrink)
    start = relay_command("sqlite:///{folder}/relay.db")

    def command(port: int, folder: Path) -> list[str]:
        if past is not None:
            copy(past, folder / "relay.db")
        return start(port, folder)

    page = {
        name: text.replace('"id":"{n}"', ID) if isinstance(text, str) else text
        for name, text in relay.speaks[PART].items()
    }
    environment = {**relay.environment(), **retention(point, past)}
    return replace(relay, name=point.name, command=command, environment=lambda: environment, speaks={PART: page})


def retention(point: Point, past: Past | None) -> dict[str, str]:
    """As long as nothing that is stored goes; or so short that nearly all of it does."""
    if past is None:
        return {}
    older = age_days(past) + 1
    tips, entries = (1, 1) if point.sweeping else (KEEPS.retention_days + older, KEEPS.history_days + older)
    return {"RELAY_RETENTION_DAYS": str(tips), "RELAY_HISTORY_DAYS": str(entries)}


def measures(point: Point, shrink: float) -> list[Measure]:
    """One, with every column of the table."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_DESCRIPTORS

    def take(stage: Stage) -> Sequence[float | None]:
        if most < point.pages * shrink:
            stage.notes.append(f"{stage.crowd:,} pages: there are no more descriptors (ulimit -n)")
        return watched(stage, point.past(shrink), point.sweeping)

    crowd = min(point.pages, int(most / shrink))
    return [Measure("growth", "what a tip costs", crowd, COLUMNS, take)]


# -- taken from a stage ----------------------------------------------------------


def watched(stage: Stage, past: Past | None, sweeping: bool) -> Sequence[float | None]:
    """The figures, and the tips swept a second meanwhile. Believed only where retention did what it was to do."""
    if past is None:
        return [*figures(stage), None]
    since, before = time.monotonic(), oldest(stage)
    found = figures(stage)
    after = oldest(stage)
    if not sweeping:
        if after != before:
            raise BenchFailed(f"{after - before} tips were swept, and none should be")
        return [*found, None]
    if not before < after < past.tips * 0.9:
        raise BenchFailed(f"not sweeping all the while: the oldest of {past.tips} tips was {before}, then {after}")
    return [*found, (after - before) / (time.monotonic() - since)]


def oldest(stage: Stage) -> int:
    """The place in the order of acceptance of the oldest tip that is kept."""
    with closing(sqlite3.connect(f"file:{stage.server.folder / 'relay.db'}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT min(seq) FROM tips").fetchone()[0])


def figures(stage: Stage) -> list[float | None]:
    most_cost, rate = closed_loop(stage)
    before = stage.server.cpu_seconds()
    usual = at_rate(stage, USUAL_PER_SECOND)
    usual_cost = cost(stage.server.cpu_seconds() - before, usual)
    arrive = usual["arrive_ms"]
    return [most_cost, rate, usual_cost, arrive["p50"], arrive["p99"], arrive["max"]]


def closed_loop(stage: Stage) -> tuple[float, float]:
    """Microseconds of the server's processor time for each tip that was accepted, and tips/s."""
    before = stage.server.cpu_seconds()
    result = stage.ask(f"max {PUBLISHERS} {stage.seconds}")
    return cost(stage.server.cpu_seconds() - before, result), float(result["messages_per_s"])


def cost(seconds: float, result: Result) -> float:
    """Microseconds of processor time a tip."""
    if not result["accepted"]:
        raise BenchFailed(NOTHING)
    return 1e6 * seconds / int(result["accepted"])


# -- shown ----------------------------------------------------------


def chart(title: str, results: Results, names: Sequence[str], label: Callable[[Point], str]) -> str:
    """What a tip costs at these points, as Mermaid draws it; nothing where fewer than two were measured."""
    column = COLUMNS[0]
    values = {name: value for name in names if (value := results.value(name, column)) is not None}
    if len(values) < 2:
        return ""
    labels = ", ".join(f'"{label(BY_NAME[name])}"' for name in values)
    highest = max(values.values())
    return "\n".join(
        [
            "```mermaid",
            "xychart-beta",
            f'    title "{title}"',
            f"    x-axis [{labels}]",
            f'    y-axis "{column.title}" 0 --> {1.2 * highest:.0f}',
            f"    bar [{', '.join(f'{value:.0f}' for value in values.values())}]",
            "```",
        ]
    )


def charts(results: Results) -> list[str]:
    drawn = [
        chart("Cost of a tip, by pages", results, BY_PAGES, lambda point: f"{point.pages:,}"),
        chart("Cost of a tip, by tips in the store", results, BY_STORED, lambda point: f"{point.stored:,}"),
    ]
    return [text for text in drawn if text]


def verdicts(results: Results) -> list[str]:
    """Whether a full store costs what an empty one does, and what sweeping does to the path."""
    lines, column = [], COLUMNS[0]
    empty, full = (results.value(name, column) for name in ("empty", "10m-stored"))
    if empty and full:
        word = "holds " if full <= (1 + WITHIN) * empty else "MISSED"
        limit = f"within {WITHIN:.0%} of an empty store".replace("%", " %")
        lines.append(f"{word} cost per tip at 10 million stored tips: {limit}, is {100 * (full / empty - 1):+.0f} %")
    p99 = next(one for one in COLUMNS if one.name == "usual_p99")
    still, swept = (results.value(name, p99) for name in ("1m-stored", "sweeping"))
    if still and swept:
        lines.append(f"p99 while sweeping: {number(swept)} ms, {number(still)} ms with the same store and none")
    return lines
