"""For operators and balancers: alive, ready, metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import REGISTRY, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay import __version__
from relay.web.replies import Json
from relay.web.wiring import Wiring, wiring


async def healthz(_: Request) -> Response:
    """The process answers."""
    return Json({"status": "ok", "version": __version__})


async def readyz(request: Request) -> Response:
    """Tips can be taken: 200, else 503 with the reason."""
    relay = wiring(request)
    ready = relay.store.healthy and not relay.draining
    why = "draining" if relay.draining else relay.store.trouble or None
    body = {"ready": ready, "draining": relay.draining, "store": "ok" if relay.store.healthy else "unavailable"}
    return Json(body | {"why": why}, 200 if ready else 503, {} if ready else {"Retry-After": "1"})


async def metrics(request: Request) -> Response:
    """Prometheus text. Counts only: no names, no ids, no secrets."""
    text = generate_latest(REGISTRY) + generate_latest(_Now(wiring(request)))
    return Response(text, media_type="text/plain; version=0.0.4")


class _Now(Collector):
    """What is so at this moment, read when asked."""

    def __init__(self, relay: Wiring) -> None:
        self._relay = relay

    def collect(self) -> Iterator[Metric]:
        relay, rooms = self._relay, self._relay.hub.rooms
        sinks = [sink.state for sink in relay.deliveries.sinks]
        for name, doc, value in (
            ("relay_pages", "Pages that hold a model's seat", sum(room.seat is not None for room in rooms)),
            ("relay_pages_ready", "Pages whose vendor script takes tips", sum(ready(room.seat) for room in rooms)),
            ("relay_readers", "Feed readers", len(relay.followers)),
            ("relay_tips_waiting", "Tips that wait for their page", sum(len(room.line.waiting) for room in rooms)),
            ("relay_tips_sent", "Tips on their way to a page", sum(len(room.line.sent) for room in rooms)),
            ("relay_tips_uncertain", "Tips nobody can tell about", sum(len(room.line.uncertain) for room in rooms)),
            ("relay_sinks", "Sinks", len(sinks)),
            ("relay_sinks_failing", "Sinks whose last try failed", sinks.count("failing")),
            ("relay_sinks_disabled", "Sinks that are not tried any more", sinks.count("disabled")),
            ("relay_store_healthy", "Whether the store keeps", int(relay.store.healthy)),
            ("relay_draining", "Whether the relay is about to end", int(relay.draining)),
        ):
            yield GaugeMetricFamily(name, doc, value=float(value))


def ready(seat: object) -> bool:
    return bool(getattr(seat, "ready", False))


routes = [
    Route("/healthz", healthz, methods=["GET"]),
    Route("/readyz", readyz, methods=["GET"]),
    Route("/metrics", metrics, methods=["GET"]),
]
