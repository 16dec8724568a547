"""`scripts/bench`: measures the relay beside its rivals, a table on standard output, progress on standard error."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click

from bench import fanout as fan
from bench import growth as grow
from bench import tips as tip
from bench.contenders import CONTENDERS, TABLE, Contender
from bench.machine import machine, versions
from bench.place import BenchFailed, prepare
from bench.stages import Measure, play, scenes
from bench.stores import filled
from bench.table import Goal, Results, Run, table, verdicts

Job = tuple[Contender, str, list[Measure]]  # with the part it is measured in
ONE_OF_EACH_STORE = "relay-memory"  # measured when it is asked for


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def bench() -> None:
    """Measures the relay beside what a platform would build or pick instead.

    The server has core 0 for itself, the load core 1. Runs of the contenders alternate, the table shows medians, and in
    brackets how many times better the relay is. A message that is lost or comes twice fails its run. Rivals are
    installed, pinned, in ~/.cache/relay-bench when they are first asked for. Needs Linux, two cores, a C compiler and
    11,000 descriptors (ulimit -n); for nchan Debian's apt-get.
    """


def names(known: Sequence[str]) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Reads a list with commas, of which each name is known."""

    def read(_context: click.Context, _parameter: click.Parameter, text: str) -> list[str]:
        wanted = [part.strip() for part in text.split(",") if part.strip()]
        for name in wanted:
            if name not in known:
                raise click.BadParameter(f"'{name}' is not one of {', '.join(known)}")
        return [name for name in known if name in wanted]

    return read


def several(option: str, known: Sequence[str], about: str, *left_out: str) -> Callable[..., Callable[..., None]]:
    default = ",".join(name for name in known if name not in left_out)
    return click.option(option, default=default, show_default=True, callback=names(known), help=about)


def common(measures: Sequence[Measure], parts: Sequence[str]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options that every bench has."""
    runners = [one.name for one in CONTENDERS if any(part in one.speaks for part in parts)]
    options = [
        several("--only", runners, "Contenders, with commas.", ONE_OF_EACH_STORE),
        several("--measures", [one.name for one in measures], "Measures, with commas.", *tip.ASKED_FOR_ONLY),
    ]
    return lambda command: decorated(loops(command), options)


def loops(command: Callable[..., None]) -> Callable[..., None]:
    """How often, how long, how big, and where the runs are kept."""
    often, long, big = click.IntRange(1, 50), click.FloatRange(0.2, 60), click.FloatRange(0.002, 1)
    options = [
        click.option("--rounds", default=3, show_default=True, type=often, help="Each so often, in turns."),
        click.option("--seconds", default=3.0, show_default=True, type=long, help="Of each loop."),
        click.option("--shrink", default=1.0, show_default=True, type=big, help="Smaller crowds."),
        click.option("--keep", type=click.Path(path_type=Path), help="Add the runs to this file; all in it are shown."),
    ]
    return decorated(command, options)


def decorated(
    command: Callable[..., None], options: Sequence[Callable[..., Callable[..., None]]]
) -> Callable[..., None]:
    for option in reversed(options):
        command = option(command)
    return command


@bench.command()
@common(fan.MEASURES, list(fan.PARTS))
@several("--transports", list(fan.PARTS), "ws, sse")
def fanout(only: list[str], measures: list[str], transports: list[str], keep: Path | None, **how: float) -> None:
    """One message to very many readers of the feed.

    \b
    rate      messages/s to 1,000 readers, four publishers that post again once they are answered
    connect   readers accepted a second, of 5,000
    memory    proportional set size of the server for each of 5,000 readers that listen
    alone     one message at a time, until the last of 5,000 readers has it
    rate5000  as rate, to 5,000

    The relay's entries go the whole way: each is a tip, posted and kept on disk (synchronous=FULL), that becomes a
    numbered entry of 150 bytes; announcements of tips in words are switched off. The rivals are handed a text of the
    same length, and keep nothing. Takes about five minutes a round. Below the table stands what the relay wants to
    reach, and whether it does; not with --shrink.
    """
    runs = carry_out([TABLE[name] for name in only], transports, pick(fan.MEASURES, measures), keep, **how)
    for part in fan.PARTS:
        report(fan.PARTS[part], part, runs, fan.MEASURES, fan.GOALS[part] if how["shrink"] == 1 else [], {})
    signature(runs)


@bench.command()
@common(tip.MEASURES, [tip.PART])
def tips(only: list[str], measures: list[str], keep: Path | None, **how: float) -> None:
    """A platform's tips to the pages of 1,000 models, which acknowledge as the shim does.

    \b
    memory    proportional set size of the server for each page
    max       tips/s of 32 publishers that post again once they are answered
    hold      5,000 tips/s by the clock: milliseconds from when a tip was due until it is on its page
    batch     tips/s, a hundred in a request
    slow      200 tips/s by the clock, to the page, and until the receipt says played
    usual     1,000 tips/s, the same
    idle      CPU of 10,000 pages with heartbeats and no tips (only where asked for)

    Every tip is counted: one that is lost, comes twice or goes to a wrong page fails the run. `keeps` says what
    outlives a power failure, `acknowledged` whether the page's word comes back. Starlette writes through aiosqlite.
    NATS syncs each tip to the file of a stream; its publishers and pages speak its own protocol. On both sides
    the relay's announcements of tips in words are switched off. Takes about four minutes a round. Below the table
    stands what the relay wants to reach, and whether it does; not with --shrink.
    """
    contenders = [TABLE[name] for name in only]
    runs = carry_out(contenders, [tip.PART], pick(tip.MEASURES, measures), keep, **how)
    words = {one.name: (one.keeps, one.acknowledged) for one in CONTENDERS} | {"": ("keeps", "acknowledged")}
    report("Tips", tip.PART, runs, tip.MEASURES, tip.GOALS if how["shrink"] == 1 else [], words)
    signature(runs)


@bench.command()
@several("--points", list(grow.BY_NAME), "Points, with commas.", *grow.ASKED_FOR_ONLY)
@loops
def growth(points: list[str], keep: Path | None, shrink: float, **how: float) -> None:
    """What one tip costs as things grow, each point on a server of its own.

    \b
    empty, 10-pages, 10k-pages   an empty store and 1,000, 10 and 10,000 pages
    1m-stored, 10m-stored        1,000 pages, and so many closed tips of 30 days in the store, with 7 days of their feed
    10m-rising                   the same with ids that rise; else they are scattered, which costs an index more
    sweeping                     as 1m-stored, while retention takes it all away

    A tip's cost is the server's processor time, in the closed loop of 32 publishers and at 1,000 tips/s by the clock;
    milliseconds are those from when a tip was due until it is on its page, at that rate. Stores are filled once, in
    minutes, and kept in ~/.cache/relay-bench/stores: ten million tips are 10 GB there, and as much again for a run,
    which is why they are measured only where they are asked for.
    """
    chosen = [grow.BY_NAME[name] for name in points]
    for point in chosen:
        if past := point.past(shrink):
            filled(past)
    jobs = [(grow.contender(point, shrink), grow.PART, grow.measures(point, shrink)) for point in chosen]
    runs = rounds_of(jobs, keep, shrink=shrink, **how)
    results = Results(grow.PART, [run for run in runs if run["contender"] in grow.BY_NAME])
    names = results.contenders(grow.BY_NAME)
    click.echo(f"\nGrowth\n\n{table(results, grow.COLUMNS, names, grow.WORDS)}\n")
    for line in [*grow.verdicts(results), *(f"! {note}" for note in results.notes())]:
        click.echo(f"- {line}")
    for text in grow.charts(results):
        click.echo(f"\n{text}")
    signature([], "Medians.")


def pick(known: Sequence[Measure], wanted: Sequence[str]) -> list[Measure]:
    return [measure for measure in known if measure.name in wanted]


def carry_out(
    contenders: Sequence[Contender],
    parts: Sequence[str],
    measures: Sequence[Measure],
    keep: Path | None,
    rounds: float,
    seconds: float,
    shrink: float,
) -> list[Run]:
    """Every scene of every contender, round by round."""
    jobs = [
        (one, part, scene) for part in parts for scene in scenes(measures) for one in contenders if part in one.speaks
    ]
    if not jobs:
        raise click.UsageError("nothing to measure: these contenders have none of that")
    prepare([kind for contender, _, _ in jobs for kind in contender.needs])
    return rounds_of(jobs, keep, rounds, seconds, shrink)


def rounds_of(jobs: Sequence[Job], keep: Path | None, rounds: float, seconds: float, shrink: float) -> list[Run]:
    """Every job once a round, so that a machine's moods meet all alike. An interrupt shows what there is."""
    runs: list[Run] = [json.loads(line) for line in keep.read_text().splitlines()] if keep and keep.exists() else []
    start, total = time.monotonic(), len(jobs) * int(rounds)
    with contextlib.suppress(KeyboardInterrupt):
        for done, (contender, part, scene) in enumerate([*jobs] * int(rounds)):
            spent = time.monotonic() - start
            rest = f", about {spent / done * (total - done):.0f} s to go" if done else ""
            click.echo(f"{done + 1}/{total} {contender.name} {part} ({spent:.0f} s{rest})", err=True)
            for run in play(contender, part, scene, shrink, seconds):
                runs.append(run)
                value = "failed" if run["value"] is None else f"{run['value']:.6g}"
                click.echo(" ".join([f"    {run['column']}: {value}", *run["notes"]]), err=True)
                if keep is not None:
                    with keep.open("a") as file:
                        file.write(json.dumps(run) + "\n")
    return runs


def report(
    title: str,
    part: str,
    runs: Sequence[Run],
    measures: Sequence[Measure],
    goals: Sequence[Goal],
    words: Mapping[str, Sequence[str]],
) -> None:
    results, columns = Results(part, runs), [column for measure in measures for column in measure.columns]
    if shown := results.contenders(TABLE):
        click.echo(f"\n{title}\n\n{table(results, columns, shown, words)}\n")
        for line in [*verdicts(results, columns, goals), *(f"! {note}" for note in results.notes())]:
            click.echo(f"- {line}")


def signature(runs: Sequence[Run], figures: str = "Medians; in brackets: how many times better the relay is.") -> None:
    click.echo(f"\n{machine()}. {figures}\n")
    for line in versions(
        kind for name in {run["contender"] for run in runs} & TABLE.keys() for kind in TABLE[name].needs
    ):
        click.echo(f"- {line}")


if __name__ == "__main__":
    try:
        bench(prog_name="scripts/bench")
    except BenchFailed as error:
        raise SystemExit(f"scripts/bench: {error}") from error
