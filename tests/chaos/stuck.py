"""Five thousand readers, fifty of them stuck for ever: what that does to the others, and to the server's memory.

`python -m tests.chaos.stuck --readers 5000 --stuck 50` measures without and beside them, in turns, and prints both. The
load is a process of its own, as for `scripts/bench`; it counts every entry for every reader.
"""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.contenders import CONTENDERS, event_stream, websocket
from bench.load import Load, Options, Result, faults
from bench.place import BenchFailed
from bench.relays import KEY, RELAY_ENVIRONMENT, Platform, prepare
from bench.servers import Server, free_port, running, workplace
from relay.settings import FOLLOWER_STUCK_SECONDS
from tests.chaos.readers import allow_sockets

ROOT = Path(__file__).parents[2]
HISTORY = 3000  # entries that were there before: more than the kernel and the relay hold for one who takes nothing
RECEIVE_BYTES = 4096  # what a stuck reader's kernel takes for it
STAYS = 1.5  # times as long as it takes to be cut, before a stuck reader comes back
LOOK_SECONDS = 0.5  # between two looks at the server's memory
# Stuck in its history, about to be once it has it, and stuck in what happens; of one model, and of everything.
WISHES = ("last=3000", "last=1800", "last=0")
FEEDS = ("/feed/coco?audience=viewer&{}", "/feed?{}")
WITHIN = 1.2

# What is measured: its name, unit, and where it stands in the results.
LATENCIES = {
    "one alone, until all have it, p50 ms": ("alone", "last_ms", "p50"),
    "one alone, until all have it, p99 ms": ("alone", "last_ms", "p99"),
    "in a steady flow, p50 ms": ("rate", "arrive_ms", "p50"),
    "in a steady flow, p99 ms": ("rate", "arrive_ms", "p99"),
}
PROCESSOR = "server's processor time per entry, ms"
WEIGHTS = {"Pss": "server's memory at most (PSS), MiB", "Pss_Anon": "of that its own, MiB"}
CUT = "relay_readers_cut_total"

Arms = dict[str, tuple[list[float], list[float]]]  # per figure: without and beside stuck ones


class Stuck(threading.Thread):
    """Readers that never read, and so never learn that they were cut: each comes back after a while, stuck again."""

    def __init__(self, port: int, count: int, part: str, stay_seconds: float) -> None:
        super().__init__(daemon=True)
        self.connected = threading.Event()
        self._port = port
        self._count = count
        self._part = part
        self._pause = stay_seconds / max(1, count)  # between two that come back
        self._over = threading.Event()

    def run(self) -> None:
        sockets = [self._connect(number) for number in range(self._count)]
        self.connected.set()
        turn = 0
        while sockets and not self._over.wait(self._pause):
            sockets[turn].close()
            sockets[turn] = self._connect(turn)
            turn = (turn + 1) % self._count
        for one in sockets:
            one.close()

    def _connect(self, number: int) -> socket.socket:
        wish = FEEDS[number // len(WISHES) % len(FEEDS)].format(WISHES[number % len(WISHES)])
        key = f"Authorization: Bearer {KEY}"
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        one.connect(("127.0.0.1", self._port))
        one.sendall((websocket(wish, key) if self._part == "ws" else event_stream(wish, key)).encode())
        return one

    def end(self) -> None:
        self._over.set()
        self.join()


class Weight(threading.Thread):
    """The most that a server weighed while this looked, in KiB: its proportional set size, and the part of it that
    is no file's and so nobody else's."""

    def __init__(self, server: Server) -> None:
        super().__init__(daemon=True)
        self.most = dict.fromkeys(WEIGHTS, 0.0)
        self._file = Path(f"/proc/{server.pid}/smaps_rollup")
        self._over = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._over.is_set():
            for line in self._file.read_text().splitlines():
                name, _, size = line.partition(":")
                if name in WEIGHTS:
                    self.most[name] = max(self.most[name], float(size.split()[0]))
            self._over.wait(LOOK_SECONDS)

    def end(self) -> dict[str, float]:
        self._over.set()
        self.join()
        return self.most


@dataclass(frozen=True, slots=True)
class Script:
    """How long it takes: rounds of two phases, without and beside the stuck ones; then twice so many servers, one with
    and one without them, for the memory."""

    rounds: int = 6
    servers: int = 3
    phases: int = 2  # of each of them
    alone: int = 40  # entries of a phase, one at a time
    per_second: float = 10.0
    seconds: float = 5.0
    settle: float = 8.0  # for the stuck ones to be stuck


@contextmanager
def relay(stuck_seconds: float | None, fault: str = "none") -> Iterator[Server]:
    """A relay with a history, on a core of its own. `stuck_seconds`: until a stuck reader is cut; None: as always."""
    environment = {**RELAY_ENVIRONMENT, "PYTHONPATH": str(ROOT)}
    if stuck_seconds is not None:
        environment["STUCK_SECONDS"] = str(stuck_seconds)
    with workplace() as folder:
        port = free_port()
        command = [sys.executable, "-m", "tests.chaos.launcher", fault, "--port", str(port)]
        command += ["--store", f"sqlite:///{folder / 'relay.db'}"]
        with running(command, port, folder, environment) as server:
            yield server


@dataclass(slots=True)
class Hall:
    """A relay with a history, and a crowd that hears it."""

    server: Server
    load: Load
    part: str
    stuck_seconds: float | None

    @contextmanager
    def stuck(self, count: int) -> Iterator[None]:
        """So many stuck readers, for this block."""
        crowd = Stuck(self.server.port, count, self.part, (self.stuck_seconds or FOLLOWER_STUCK_SECONDS) * STAYS)
        crowd.start()
        try:
            if not crowd.connected.wait(30):
                raise BenchFailed("the stuck readers were not connected within 30 s")
            yield
        finally:
            crowd.end()

    def phase(self, script: Script) -> dict[str, float]:
        """Latencies. Raises `BenchFailed` where one of the crowd did not hear everything once."""
        if script.settle:
            self.ask(f"idle {script.settle}")
        before = self.server.cpu_seconds()
        results = {
            "alone": self.ask(f"alone {script.alone}"),
            "rate": self.ask(f"rate {script.per_second} 4 {script.seconds}"),
        }
        found = {name: float(results[run][what][which]) for name, (run, what, which) in LATENCIES.items()}
        entries = script.alone + results["rate"]["accepted"]
        return found | {PROCESSOR: 1000 * (self.server.cpu_seconds() - before) / entries}

    def ask(self, line: str) -> Result:
        result = self.load.ask(line)
        if found := faults(result):
            raise BenchFailed(f"{line}: {', '.join(found)}")
        return result


@contextmanager
def hall(part: str, readers: int, stuck_seconds: float | None = None, fault: str = "none") -> Iterator[Hall]:
    with relay(stuck_seconds, fault) as server:
        options: Options = {**CONTENDERS[0].speaks[part], **prepare(server, part, readers)}
        platform = Platform(server.port)
        old = [{"id": f"old{n}", "model": "coco", "tipper": "john", "amount": 20} for n in range(HISTORY)]
        for begin in range(0, HISTORY, 1000):
            platform.call("POST", "/tips/batch", [one | {"expires_in": 3600} for one in old[begin : begin + 1000]])
        platform.close()
        with Load(options | {"port": server.port, "crowd": readers, "spin": 1}) as load:
            yield Hall(server, load, part, stuck_seconds)


def in_turns(part: str, readers: int, stuck: int, script: Script) -> Arms:
    """Per figure, its values without and beside the stuck ones."""
    return latencies_in_turns(part, readers, stuck, script) | weights_in_turns(part, readers, stuck, script)


def latencies_in_turns(part: str, readers: int, stuck: int, script: Script) -> Arms:
    """One server, phases in turns: both share the machine's moods."""
    without, beside = [], []
    with hall(part, readers) as here:
        for _ in range(script.rounds):
            without.append(here.phase(script))
            with here.stuck(stuck):
                beside.append(here.phase(script))
            for name, one in (("without", without[-1]), ("beside", beside[-1])):
                print(json.dumps({"part": part, "stuck": name} | one), file=sys.stderr, flush=True)
        print(f"{part}: {counted(here.server, CUT):.0f} times a stuck reader was cut", flush=True)
    names = (*LATENCIES, PROCESSOR)
    return {name: ([one[name] for one in without], [one[name] for one in beside]) for name in names}


def weights_in_turns(part: str, readers: int, stuck: int, script: Script) -> Arms:
    """Servers in turns, each with the same load: one that has seen a stuck reader does not forget it."""
    found: Arms = {name: ([], []) for name in WEIGHTS.values()}
    for _ in range(script.servers):
        for arm, count in enumerate((0, stuck)):
            with hall(part, readers) as here, here.stuck(count):
                weight = Weight(here.server)
                for _ in range(script.phases):
                    here.phase(script)
                for name, kib in weight.end().items():
                    found[WEIGHTS[name]][arm].append(kib / 1024)
    print(json.dumps({"part": part} | found), file=sys.stderr, flush=True)
    return found


def counted(server: Server, name: str) -> float:
    """A counter of the relay's metrics."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/metrics", headers={"Authorization": f"Bearer {KEY}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def compare(part: str, readers: int, stuck: int, script: Script) -> bool:
    """Prints medians and their ratio; whether all of them stay within bounds."""
    figures = in_turns(part, readers - stuck, stuck, script)
    within = True
    print(f"{part}: {readers - stuck} readers that read, and {stuck} stuck; medians of {script.rounds} rounds")
    print(f"{'':40} {'without':>10} {'beside':>10} {'ratio':>7}")
    for name, values in figures.items():
        without, beside = map(statistics.median, values)
        within = within and beside <= without * WITHIN
        print(f"{name:40} {without:10.1f} {beside:10.1f} {beside / without:7.2f}")
    print("within 20 %" if within else "MORE THAN 20 %", flush=True)
    return within


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--readers", type=int, default=5000)
    options.add_argument("--stuck", type=int, default=50)
    options.add_argument("--rounds", type=int, default=6)
    options.add_argument("--parts", default="ws,sse")
    given = options.parse_args()
    allow_sockets(2 * given.readers + 500)
    script = Script(rounds=given.rounds)
    held = [compare(part, given.readers, given.stuck, script) for part in given.parts.split(",")]
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
