"""Proofs: what a page's words about a tip lead to, with the sentences for the timeline, and what a timeline proves
(docs/protocol.md)."""

from __future__ import annotations

from relay.settings import REACTION_SECONDS_MAX
from relay.tips import Receipt, Status

TURNED_AWAY = frozenset({"not_ready", "stale"})  # acknowledgements that put a tip back into the line

# What a page's journal may answer about a tip -> where that leads, and the sentence for the timeline.
ANSWERS: dict[str, tuple[Status, str]] = {
    "played": (Status.PLAYED, "the page's journal says it was played"),
    "failed": (Status.FAILED, "the page's journal says the vendor's script refused it"),
    "unseen": (Status.ACCEPTED, "the page's journal proves it was not played"),
    "interrupted": (Status.UNCERTAIN, "the page died between the vendor's call and its end"),
}
# What a page's acknowledgement says -> where that leads, and the sentence.
ACKS: dict[str, tuple[Status, str]] = {
    "played": (Status.PLAYED, "the page called the vendor's script"),
    "failed": (Status.FAILED, "the vendor's script refused"),
    "interrupted": ANSWERS["interrupted"],
    "not_ready": (Status.ACCEPTED, "the page proves it was not played: not ready"),
    "stale": (Status.ACCEPTED, "the page proves it was not played: too late"),
}


def was_replayed(receipt: Receipt) -> bool:
    """Somebody's word, or the setting's, has put it back into the line."""
    return any(step.evidence is not None and step.evidence.get("word") == "replay" for step in receipt.timeline)


def ran(receipt: Receipt) -> float:
    """How long the vendor said the reaction takes, in seconds."""
    seconds = (receipt.timeline[-1].evidence or {}).get("seconds")
    return min(float(seconds), REACTION_SECONDS_MAX) if isinstance(seconds, int | float) else 0.0
