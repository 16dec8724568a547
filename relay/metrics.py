"""Counters for Prometheus. Label children are made once and kept: looking them up costs more than counting."""

from __future__ import annotations

from prometheus_client import Counter

from relay.tips import Status

TIPS = Counter("relay_tip_steps_total", "Changes of tips that were kept, by the status they led to", ["status"])
STEP = {status: TIPS.labels(status.value) for status in Status}
REPLAYED = Counter("relay_tips_replayed_total", "POST /tips answered from the record: retries")
FRAMES_IGNORED = Counter("relay_page_frames_ignored_total", "Frames of pages that were not understood")
EVENTS_UNKNOWN = Counter("relay_vendor_events_unknown_total", "Vendor events of no known type")
ANOMALIES = Counter("relay_vendor_anomalies_total", "Fields of vendor events that could not be read")
PAGES_CLOSED = Counter("relay_pages_closed_total", "Page sockets closed by the relay, by code", ["code"])
READERS_CUT = Counter("relay_readers_cut_total", "Feed readers cut because they were too slow")
SINK_TRIES = Counter("relay_sink_tries_total", "Requests to sinks, by what came of them", ["outcome"])
for outcome in ("taken", "failed"):
    SINK_TRIES.labels(outcome)
