"""Counters for Prometheus. Nothing is looked up for a count that every tip makes."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import REGISTRY, Counter
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from relay.tips import Status


class Steps(Collector):
    """Changes of tips that were kept. A tip makes three or more; a `Counter` takes four calls and a lock for each."""

    def __init__(self) -> None:
        self.count = dict.fromkeys(Status, 0)  # on the event loop only

    def collect(self) -> Iterator[CounterMetricFamily]:
        what = "Changes of tips that were kept, by the status they led to"
        family = CounterMetricFamily("relay_tip_steps", what, labels=["status"])
        for status, count in self.count.items():
            family.add_metric([status.value], count)
        yield family


STEPS = Steps()
REGISTRY.register(STEPS)
REPLAYED = Counter("relay_tips_replayed_total", "POST /tips answered from the record: retries")
FRAMES_IGNORED = Counter("relay_page_frames_ignored_total", "Frames of pages that were not understood")
EVENTS_UNKNOWN = Counter("relay_vendor_events_unknown_total", "Vendor events of no known type")
ANOMALIES = Counter("relay_vendor_anomalies_total", "Fields of vendor events that could not be read")
PAGES_CLOSED = Counter("relay_pages_closed_total", "Page sockets closed by the relay, by code", ["code"])
READERS_CUT = Counter("relay_readers_cut_total", "Feed readers cut because they were too slow")
SINK_TRIES = Counter("relay_sink_tries_total", "Requests to sinks, by what came of them", ["outcome"])
for outcome in ("taken", "failed"):
    SINK_TRIES.labels(outcome)
