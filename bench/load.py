"""The load generator (`load.c`), compiled on demand and driven by lines: one process, on a core of its own."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from bench.place import BenchFailed, compiled

SERVER_CORE, LOAD_CORE = 0, 1
PATIENCE_SECONDS = 150  # for one command of the load

Options = dict[str, str | int]
Result = dict[str, Any]


def on_core(core: int, command: list[str]) -> list[str]:
    """The command, on that core alone; as it stands where there are too few cores, or no taskset."""
    if (os.cpu_count() or 1) < 2 or shutil.which("taskset") is None:
        return command
    return ["taskset", "-c", str(core), *command]


class Load:
    """A running load generator, connected. A word with it gives its answer as a dict; leaving the block ends it."""

    def __init__(self, options: Mapping[str, str | int]) -> None:
        given = [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", str(value))]
        self._process = subprocess.Popen(
            on_core(LOAD_CORE, [str(compiled("load.c")), *given]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Load:
        try:
            self.connected = self._answer()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def ask(self, line: str) -> Result:
        """Have a command done (the list is in load.c). Raises `BenchFailed` where the load gave up."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Result:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], PATIENCE_SECONDS)[0]:
            raise BenchFailed(f"the load was silent for {PATIENCE_SECONDS} s")
        line = self._process.stdout.readline()
        if not line:
            _, errors = self._process.communicate(timeout=PATIENCE_SECONDS)
            raise BenchFailed(errors.strip() or f"the load ended with {self._process.returncode}")
        result: Result = json.loads(line)
        return result


def faults(result: Result) -> list[str]:
    """What forbids to believe a run's figures: nothing may be lost, doubled, misled, refused, unanswered or cut."""
    names = ("lost", "doubled", "wrong", "strange", "refused", "closed", "unanswered")
    found = [f"{result[name]} {name}" for name in names if result.get(name)]
    if result.get("refusal"):
        found.append(result["refusal"][:160])
    return found
