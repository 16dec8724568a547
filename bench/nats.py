"""NATS under measurement: its server, and the stream that keeps tips. A few lines of its own protocol do for that.

The stream keeps `tips.*`, and a publisher waits for its acknowledgement. A page subscribes to its own subject, and has
a tip as it is published, which can be before it is on disk. Its word comes back on `acks.*`, which no stream keeps:
core messages are what NATS advises for what may be lost, and a stream for them would sync twice for each tip.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path

from bench.load import Options
from bench.place import RIVALS, BenchFailed, python
from bench.servers import Server, free_port

CONNECT_SECONDS_MAX = 10
HELLO = 'CONNECT {"verbose":false}\r\n'
STREAM = {"name": "TIPS", "subjects": ["tips.*"], "storage": "file"}


def nats_command(port: int, folder: Path) -> list[str]:
    """Publishers have the port; pages have another, which is on file."""
    pages_port = str(free_port())
    text = (RIVALS / "nats.conf").read_text()
    for name, value in (("PAGES_PORT", pages_port), ("PORT", port), ("FOLDER", folder)):
        text = text.replace(f"${name}", str(value))
    configuration = folder / "nats.conf"
    configuration.write_text(text)
    (folder / "pages-port").write_text(pages_port)
    return [str(Path(python()).with_name("nats-server")), "--config", str(configuration)]


def prepare(server: Server, _part: str, _crowd: int) -> Options:
    """Creates the stream, and says who is to be found where."""
    request, inbox = json.dumps(STREAM), "_INBOX.bench"
    words = f"PUB $JS.API.STREAM.CREATE.TIPS {inbox} {len(request)}\r\n{request}\r\n"
    with socket.create_connection(("127.0.0.1", server.port), CONNECT_SECONDS_MAX) as connection:
        connection.sendall(f"{HELLO}SUB {inbox} 1\r\n{words}".encode())
        answer = next((line for line in connection.makefile() if "stream_create_response" in line), "nothing")
    if '"created"' not in answer:
        raise BenchFailed(f"the stream was not made: {answer.strip()}")
    return {"port": (server.folder / "pages-port").read_text(), "post_port": server.port}
