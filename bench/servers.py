"""A server under measurement: started on a core of its own, weighed, and ended."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import SERVER_CORE, on_core
from bench.place import BenchFailed, place

START_SECONDS_MAX = 20
END_SECONDS_MAX = 5
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. `pids`: all of its processes, for what it weighs and costs."""

    port: int
    folder: Path  # its own, for what it keeps
    pid: int

    @property
    def pids(self) -> list[int]:
        found, look = [], [self.pid]
        while look:
            pid = look.pop()
            found.append(pid)
            with contextlib.suppress(OSError):
                look += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        return found

    def memory_kib(self) -> float:
        """Proportional set size of all its processes."""
        return sum(_pss(pid) for pid in self.pids)

    def cpu_seconds(self) -> float:
        """What all of its processes have used so far."""
        return sum(_cpu(pid) for pid in self.pids)


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise BenchFailed(f"/proc/{pid}/smaps_rollup has no Pss")


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder for one run, on a disk (a store in a memory file system syncs to nothing)."""
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=place()))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(command: Sequence[str], port: int, folder: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    """The server, once it listens. Its whole process group ends with the block."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            on_core(SERVER_CORE, list(command)),
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _until_it_listens(process, port, log)
        yield Server(port, folder, process.pid)
    finally:
        _end(process)


def _until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.02)
    said = " ".join(log.read_text(errors="replace").split())
    raise BenchFailed(f"did not listen: {said[-300:]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(END_SECONDS_MAX)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
