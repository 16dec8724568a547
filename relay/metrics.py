"""Counters for Prometheus. Label children are made once and kept: looking them up costs more than counting."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from relay.tips import Status

TIPS = Counter("relay_tip_steps_total", "Steps of tips, by the status they led to", ["status"])
STEP = {status: TIPS.labels(status.value) for status in Status}
REPLAYED = Counter("relay_tips_replayed_total", "POST /tips answered from the record: retries")
FRAMES_IGNORED = Counter("relay_page_frames_ignored_total", "Frames of pages that were not understood")
EVENTS_UNKNOWN = Counter("relay_vendor_events_unknown_total", "Vendor events of no known type")
ANOMALIES = Counter("relay_vendor_anomalies_total", "Fields of vendor events that could not be read")
PAGES_CLOSED = Counter("relay_pages_closed_total", "Page sockets closed by the relay, by code", ["code"])
READERS_CUT = Counter("relay_readers_cut_total", "Feed readers cut because they were too slow")
DELIVERY = Histogram(
    "relay_tip_to_page_seconds",
    "From the acceptance of a tip to the page's acknowledgement",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
)
