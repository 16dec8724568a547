"""A contender on stage: served alone on its core, its crowd connected, one measure after the other taken."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby

from bench.contenders import Contender
from bench.load import Load, Result, faults
from bench.place import BenchFailed
from bench.servers import Server, free_port, running, workplace
from bench.table import Column, Run

LOAD_BUSY_MAX, SERVER_BUSY_MIN = 0.9, 0.9  # a busy load beside an idle server: the figure is the load's
CROWD_MIN = 10


@dataclass(slots=True)
class Stage:
    """A server with its crowd connected."""

    server: Server
    load: Load
    crowd: int
    bare_kib: float  # what the server weighed before they came
    seconds: float  # how long a loop lasts
    can_batch: bool
    notes: list[str] = field(default_factory=list)  # about the measure being taken

    def ask(self, line: str) -> Result:
        """Has the load do it, and believes it only where every message was counted right."""
        before, since = self.server.cpu_seconds(), time.monotonic()
        result = self.load.ask(line)
        used = (self.server.cpu_seconds() - before) / (time.monotonic() - since)
        if found := faults(result):
            raise BenchFailed(f"{line}: {', '.join(found)}")
        if result.get("busy", 0) > LOAD_BUSY_MAX and used < SERVER_BUSY_MIN:
            self.notes.append(f"at least: the load was busy ({result['busy']:.0%}), the server less ({used:.0%})")
        return result


@dataclass(frozen=True, slots=True)
class Measure:
    """What is taken from a stage with such a crowd: a value for each of its columns."""

    name: str
    about: str
    crowd: int
    columns: Sequence[Column]
    take: Callable[[Stage], Sequence[float | None]]
    followed: bool = False  # somebody reads the receipts while it is taken

    def scene(self) -> tuple[int, bool]:
        """Those that share it share a server, in their order."""
        return self.crowd, self.followed


def connect(stage: Stage) -> Sequence[float]:
    return [float(stage.load.connected["per_s"])]


def memory(stage: Stage) -> Sequence[float]:
    return [(stage.server.memory_kib() - stage.bare_kib) / stage.crowd]


def scenes(measures: Sequence[Measure]) -> list[list[Measure]]:
    return [list(group) for _, group in groupby(sorted(measures, key=Measure.scene), Measure.scene)]


def play(contender: Contender, part: str, measures: Sequence[Measure], shrink: float, seconds: float) -> Iterator[Run]:
    """The measures of one scene, on one server. A failure is a result too: the others go on."""
    left = list(measures)
    try:
        with _stage(contender, part, left[0], shrink, seconds) as stage:
            while left:
                stage.notes.clear()
                values = left[0].take(stage)
                yield from _runs(contender, part, left.pop(0), values, stage.notes)
    except (BenchFailed, OSError, RuntimeError) as error:
        for measure in left:
            yield from _runs(contender, part, measure, [None] * len(measure.columns), [str(error)], True)


def _runs(
    contender: Contender,
    part: str,
    measure: Measure,
    values: Sequence[float | None],
    notes: Sequence[str],
    failed: bool = False,
) -> Iterator[Run]:
    """One for each column; what was not there to be measured, and did not fail, is none."""
    for column, value in zip(measure.columns, values, strict=True):
        if value is None and not failed:
            continue
        found = {"contender": contender.name, "part": part, "column": column.name, "value": value}
        yield found | {"notes": list(notes)}


@contextmanager
def _stage(contender: Contender, part: str, first: Measure, shrink: float, seconds: float) -> Iterator[Stage]:
    crowd = max(CROWD_MIN, int(first.crowd * shrink))
    with workplace() as folder:
        port = free_port()
        with running(contender.command(port, folder), port, folder, contender.environment()) as server:
            options = {**contender.speaks[part], "port": port, **contender.prepare(server, part, crowd)}
            options |= {"crowd": crowd, "spin": 1}
            if not first.followed:
                options.pop("follow", None)
            bare = server.memory_kib()
            with Load(options) as load:
                stage = Stage(server, load, crowd, bare, seconds, "post-batch" in options)
                copies = stage.ask("probe")
                if not 1 == copies["least"] == copies["most"]:
                    raise BenchFailed(f"a message came {copies['least']} to {copies['most']} times: {copies}")
                yield stage
