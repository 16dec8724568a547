"""The relay as a process that can be killed, restarted on the same port and file, and have its disk filled."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from pathlib import Path

KEY = "the-storms-own-api-key"
ENVIRONMENT = {
    "RELAY_SECRETS": "storm" * 8,
    "RELAY_API_KEYS": f"platform:{KEY}",
    "RELAY_ORIGINS": "http://storm",
    "RELAY_REACTION_GRACE": "2",
    "RELAY_TIP_TTL": "60",
    "RELAY_DRAIN_SECONDS": "1",
    "RELAY_LOG_LEVEL": "warning",
}


class RelayProcess:
    """One relay at a time; only processes started here are ended."""

    def __init__(self, folder: Path, fault: str = "none", **environment: str) -> None:
        self.folder = folder
        self.fault = fault
        self.port = 0
        self.environment = {**os.environ, **ENVIRONMENT, "ARMED": str(folder / "armed"), **environment}
        self.process: asyncio.subprocess.Process | None = None
        self.kills = 0

    async def start(self, *, fault: str | None = None, within: float = 20.0) -> None:
        """Start, and wait for the line that says it listens."""
        with (self.folder / "relay.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.chaos.launcher",
                fault or self.fault,
                "--port",
                str(self.port),
                "--store",
                f"sqlite:///{self.folder / 'relay.db'}",
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=self.environment,
            )
        assert self.process.stdout is not None
        async with asyncio.timeout(within):
            line = (await self.process.stdout.readline()).decode()
        if not line.startswith("relay: "):
            raise RuntimeError("the relay did not start: " + (self.folder / "relay.log").read_text()[-2000:])
        self.port = int(line.rsplit(":", 1)[1])

    async def kill(self) -> None:
        """kill -9."""
        if self.process is not None and self.process.returncode is None:
            self.kills += 1
            self.process.kill()
            await self.process.wait()

    async def died(self, within: float = 20.0) -> int:
        assert self.process is not None
        async with asyncio.timeout(within):
            return await self.process.wait()

    async def terminate(self, within: float = 40.0) -> int:
        """SIGTERM, and its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return await self.died(within)

    def fill_disk(self, full: bool) -> None:
        """No file may grow beyond what the write-ahead log has now: what a full disk says to a writer."""
        if self.process is None or self.process.returncode is not None:
            return
        log = self.folder / "relay.db-wal"
        size = log.stat().st_size if full and log.exists() else resource.RLIM_INFINITY
        _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, hard))
