"""The relay under measurement: its settings, its models, its tickets. All over HTTP, as a platform would."""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.servers import Server

KEY = "the-benches-own-api-key"
RELAY_ENVIRONMENT = {
    "RELAY_SECRETS": "bench" * 8,
    "RELAY_API_KEYS": f"platform:{KEY}",
    "RELAY_ORIGINS": "http://bench",
    "RELAY_DRAIN_SECONDS": "0",
}
# One entry a tip, as everybody who is measured beside: what the relay says about tips in words is another entry.
QUIET = {"tip": False, "queue": False}


def relay_command(store: str) -> Callable[[int, Path], list[str]]:
    """`relay serve`, as an operator starts it; its store is on a disk."""
    program = Path(sys.executable).with_name("relay")
    return lambda port, folder: [str(program), "serve", "--port", str(port), "--store", store.format(folder=folder)]


class Platform:
    """A platform's backend that sets things up. Whatever is refused ends the run."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:200]!r}")
        return json.loads(text) if text else None

    def close(self) -> None:
        self._connection.close()


def prepare(server: Server, part: str, crowd: int) -> dict[str, str | int]:
    platform = Platform(server.port)
    tickets = page_tickets(platform, crowd) if part == "page" else [reader_ticket(platform)] * crowd
    platform.close()
    file = server.folder / "tickets"
    file.write_text("".join(f"{ticket}\n" for ticket in tickets))
    return {"tickets": str(file)}


def reader_ticket(platform: Platform) -> str:
    """One model, nobody's page: each tip becomes one entry. Readers hold a viewer's ticket, all the same."""
    platform.call("PUT", "/models/coco", {"name": "Coco", "announcements": QUIET})
    ticket: str = platform.call("POST", "/models/coco/feed-ticket", {"audience": "viewer"})["ticket"]
    return ticket


def page_tickets(platform: Platform, pages: int) -> list[str]:
    """A model for each page, and its ticket."""
    tickets = []
    for i in range(pages):
        model = f"m{i:06}"
        platform.call("PUT", f"/models/{model}", {"name": f"Model {i}", "announcements": QUIET})
        tickets.append(platform.call("POST", f"/models/{model}/ticket")["ticket"])
    return tickets
