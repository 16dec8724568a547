"""Who is measured: how each is started, how its readers and pages speak, and what it keeps.

Every message is posted over HTTP with keep-alive (NATS: in its own protocol) and answered; that answer is what a
publisher waits for. `{n}`, `{i}`, `{t}`, `{l}` and `{r}` are filled in by the load (load.c).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench import nats
from bench.load import Options
from bench.place import NCHAN_MODULE, RIVALS, nchan_root, node, place, python
from bench.relays import KEY, RELAY_ENVIRONMENT, prepare, relay_command
from bench.servers import Server

Command = Callable[[int, Path], list[str]]

ENTRY_BYTES = 150  # as long as the relay's own entry about an accepted tip


@dataclass(frozen=True, slots=True)
class Contender:
    """One server. `speaks`: how its readers do (`ws`, `sse`) and its pages (`page`)."""

    name: str
    command: Command
    needs: tuple[str, ...] = ()  # kinds of bench.place
    speaks: Mapping[str, Options] = field(default_factory=dict)
    keeps: str = "nothing"
    acknowledged: str = "no"
    environment: Callable[[], Mapping[str, str]] = dict
    prepare: Callable[[Server, str, int], Options] = lambda _server, _part, _crowd: {}


# -- how they speak ----------------------------------------------------------


def request(line: str, *headers: str) -> str:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: bench", *headers, "", ""])


def websocket(path: str, *headers: str) -> str:
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
    return request(f"GET {path}", *upgrade, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", *headers)


def event_stream(path: str, *headers: str) -> str:
    return request(f"GET {path}", "Accept: text/event-stream", *headers)


def post(path: str, *headers: str) -> str:
    return request(f"POST {path}", "Content-Type: application/json", "Content-Length: {l}", *headers)


def entry(size: int = ENTRY_BYTES) -> str:
    """A message that looks as the relay's own does to a viewer; `{n}` becomes ten characters."""
    shape = '{{"type":"tip","model":"coco","at":"2026-11-23T12:00:00.000Z","tip":"{{n}}","tipper":"{}"}}'
    return shape.format("j" * (size - len(shape.format("")) + len("{n}") - len("@00000000@")))


ORDER = '{"id":"{n}","model":"m{i}","tipper":"john","amount":20}'
PLAYED = '"id":"{n}","outcome":"played"}'  # what a page acknowledges with
RIVAL_POST: Options = {"post": post("/publish"), "item": entry()}
WS_FEED: Options = RIVAL_POST | {"open": websocket("/feed")}
SSE_FEED: Options = RIVAL_POST | {"framing": "sse", "open": event_stream("/events")}
RIVAL_TIP: Options = {"post": post("/tips"), "item": ORDER, "spread": 1}
WS_PAGE: Options = RIVAL_TIP | {
    "open": websocket("/page?model=m{i}"),
    "ack": '{"type":"ack",' + PLAYED,
    "follow": event_stream("/follow"),
    "played": '","status":"played"',
}
SOCKET_IO: Options = {
    "open": websocket("/socket.io/?EIO=4&transport=websocket"),
    "greet": "40",
    "ready": "40{",
    "ping": "2",
    "pong": "3",
}
SOCKET_IO_FEED: Options = WS_FEED | SOCKET_IO
SOCKET_IO_PAGE: Options = WS_PAGE | SOCKET_IO | {"greet": '40{"model":"m{i}"}', "ack": '42["ack",{' + PLAYED + "]"}
NATS_ACK = "{" + PLAYED
NATS_PAGE: Options = {
    "binary": 1,
    "open": websocket("/"),
    "greet": f"{nats.HELLO}SUB tips.m{{i}} 1\r\nPING\r\n",
    "ready": "PONG",
    "ping": "PING",
    "pong": "PONG\r\n",
    "spread": 1,
    "post_open": f"{nats.HELLO}SUB _INBOX.{{r}} 1\r\n",
    "post": "PUB tips.m{i} _INBOX.{r} {l}\r\n",
    "item": ORDER,
    "answer": '{"stream":"TIPS","seq":',
    "ack": f"PUB acks.m{{i}} {len(NATS_ACK.replace('{n}', '@00000000@'))}\r\n{NATS_ACK}\r\n",
    "follow": websocket("/"),
    "follow_greet": f"{nats.HELLO}SUB acks.* 1\r\n",
    "played": '","outcome":"played"',
}


NODE = {"NODE_PATH": str(place() / "node_modules"), "NODE_ENV": "production"}


# -- how they are started ----------------------------------------------------------


def uvicorn(app: str) -> Command:
    """As its documentation advises for production on one core; compression off, as for everybody here."""
    options = ["--app-dir", str(RIVALS), "--no-access-log", "--log-level", "warning", "--loop", "uvloop"]
    options += ["--http", "httptools", "--ws-per-message-deflate", "false", "--ws-ping-interval", "20"]
    return lambda port, _folder: [python(), "-m", "uvicorn", app, "--port", str(port), *options]


def daphne(app: str) -> Command:
    """As its documentation starts it, without its access log."""
    return lambda port, _folder: [python(), "-m", "daphne", "--verbosity", "0", "--port", str(port), app]


def script(name: str, *runner: Callable[[], str]) -> Command:
    """A program of `bench/rivals` that takes its port as an argument."""
    return lambda port, _folder: [*(one() for one in runner), str(RIVALS / name), str(port)]


def nchan_command(port: int, folder: Path) -> list[str]:
    root = nchan_root()
    assert root is not None, "bench.place prepares it"
    text = (RIVALS / "nchan.conf").read_text()
    for name, value in (("MODULE", root / NCHAN_MODULE), ("PORT", port), ("FOLDER", folder)):
        text = text.replace(f"${name}", str(value))
    configuration = folder / "nginx.conf"
    configuration.write_text(text)
    return [str(root / "usr/sbin/nginx"), "-p", str(folder), "-c", str(configuration)]


def relay(name: str, store: str, keeps: str) -> Contender:
    """Its feed is measured the whole way: a tip for a model whose page is away is kept, and makes one entry."""
    key = f"Authorization: Bearer {KEY}"
    waiting = '{"id":"{n}","model":"coco","tipper":"john","amount":20,"expires_in":3600}'
    feed: Options = {"post": post("/tips", key), "item": waiting}
    page: Options = {
        "open": websocket("/page", "Origin: http://bench", "Sec-WebSocket-Protocol: relay.v1"),
        "greet": '{"type":"hello","ticket":"{t}","journal":"j{i}","storage":"local","shim":"1.0.0",'
        '"vendor":{"kit":"camkit","ready":true}}',
        "ready": '"type":"welcome"',
        "ack-key": '"run":',
        "ack": '{"type":"ack","id":"{n}","outcome":"played","run":{r}}',
        "ping": '{"type":"ping","n":',
        "pong": '{"type":"pong","n":{r},"hidden":false}',
        "spread": 1,
        "post": post("/tips", key),
        "post-batch": post("/tips/batch", key),
        "item": ORDER,
        "item-ok": '"status_code":202',
        "follow": event_stream("/feed", key),
        "played": '","status":"played"',
    }
    return Contender(
        name,
        relay_command(store),
        speaks={
            "ws": feed | {"open": websocket("/feed/coco?ticket={t}")},
            "sse": feed | {"framing": "sse", "open": event_stream("/feed/coco?ticket={t}")},
            "page": page,
        },
        keeps=keeps,
        acknowledged="yes, and asked again",
        environment=lambda: RELAY_ENVIRONMENT,
        prepare=prepare,
    )


CONTENDERS = [
    relay("relay", "sqlite:///{folder}/relay.db", "everything, synced"),
    relay("relay-memory", "memory:", "everything, in memory"),
    Contender(
        "nchan",
        nchan_command,
        needs=("nchan",),
        speaks={
            "ws": WS_FEED,
            "sse": SSE_FEED,
            "page": RIVAL_TIP | {"post": post("/tips?model=m{i}"), "open": websocket("/page?model=m{i}")},
        },
    ),
    Contender(
        "starlette",
        uvicorn("starlette_app:app"),
        needs=("python",),
        speaks={"ws": WS_FEED, "page": WS_PAGE},
        keeps="tip and outcome, synced",
        acknowledged="yes",
    ),
]
CONTENDERS += [
    Contender("socketify", script("socketify_app.py", python), needs=("python",), speaks={"ws": WS_FEED}),
    Contender(
        "ws",
        script("ws_app.js", node),
        needs=("node",),
        speaks={"ws": WS_FEED, "page": WS_PAGE},
        acknowledged="yes",
        environment=lambda: NODE,
    ),
    Contender(
        "socket.io",
        script("socketio_app.js", node),
        needs=("node",),
        speaks={"ws": SOCKET_IO_FEED, "page": SOCKET_IO_PAGE},
        acknowledged="yes",
        environment=lambda: NODE,
    ),
    Contender(
        "python-socketio",
        uvicorn("python_socketio_app:app"),
        needs=("python",),
        speaks={"ws": SOCKET_IO_FEED, "page": SOCKET_IO_PAGE},
        acknowledged="yes",
    ),
    Contender(
        "channels",
        daphne("channels_app:app"),
        needs=("python",),
        speaks={"page": WS_PAGE},
        acknowledged="yes",
        environment=lambda: {"PYTHONPATH": str(RIVALS)},
    ),
    Contender(
        "nats",
        nats.nats_command,
        needs=("python",),
        speaks={"page": NATS_PAGE},
        keeps="tip, synced",
        acknowledged="yes",
        prepare=nats.prepare,
    ),
    Contender("sse-starlette", uvicorn("sse_starlette_app:app"), needs=("python",), speaks={"sse": SSE_FEED}),
]
TABLE = {one.name: one for one in CONTENDERS}
