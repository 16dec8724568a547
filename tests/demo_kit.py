"""`relay demo` as a person runs it, and the line it prints as a person pastes it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2

PATIENCE = 15.0  # seconds for a process to begin or to end


class Demo:
    """A running demo: what it printed, and its pages' own platform."""

    def __init__(self, process: subprocess.Popen[str], lines: list[str]) -> None:
        self.process = process
        self.lines = lines
        self.url = lines[0].removeprefix("demo: ").rstrip("/\n")
        self.curl = lines[1].rstrip("\n")
        self.http = httpx2.AsyncClient(base_url=self.url, trust_env=False)

    async def paste(self) -> dict[str, Any]:
        """Runs the printed line in a shell; without curl, its words in curl's stead. The receipt it got."""
        if shutil.which("curl"):
            return json.loads(await shell(self.curl))
        words = (await shell(self.curl.replace("curl", r"printf '%s\0'", 1))).split("\0")[:-1]
        headers = dict(words[i + 1].split(": ", 1) for i, word in enumerate(words) if word == "-H")
        url, body = next(word for word in words if word.startswith("http")), words[words.index("-d") + 1]
        return (await self.http.post(url, headers=headers, content=body)).json()

    async def receipt(self, tip: str) -> dict[str, Any]:
        answer = await self.http.get(f"/demo/api/tips/{tip}")
        assert 200 == answer.status_code, answer.text
        return answer.json()

    async def state(self) -> dict[str, Any]:
        return (await self.http.get("/demo/api/model")).json()

    async def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return await asyncio.to_thread(self.process.wait, PATIENCE)


async def shell(line: str) -> str:
    done = await asyncio.to_thread(subprocess.run, ["sh", "-c", line], capture_output=True, text=True, timeout=PATIENCE)
    assert 0 == done.returncode, done.stderr
    return done.stdout


def spawn(folder: Path, errors: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [str(Path(sys.executable).with_name("relay")), "demo", "--port", "0", *arguments]
    environment = os.environ | {"TMPDIR": str(folder)}
    with errors.open("w") as stderr:
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=stderr, text=True)


@asynccontextmanager
async def demo(folder: Path, *arguments: str) -> AsyncIterator[Demo]:
    """`relay demo --port 0`, whose temporary files go to `folder`."""
    errors = folder / "stderr.log"
    process = spawn(folder, errors, *arguments)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            lines = [await asyncio.to_thread(process.stdout.readline) for _ in range(2)]
        assert all(lines), f"it did not start: {errors.read_text()}"
        running = Demo(process, lines)
        async with running.http:
            yield running
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()
    assert "" == errors.read_text(), errors.read_text()
