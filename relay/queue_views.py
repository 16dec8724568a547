"""Queue views: the vendor's queue as the feed and `GET /models/{model}` show it, once it is gone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from relay.announcer import Announcer
from relay.broadcasts import State
from relay.feeds import Draft

View = dict[str, Any]  # {running, queued, waiting}; null where the vendor has not spoken of it


def emptied(model: str, state: State, view: View, announcer: Announcer, at: float) -> tuple[State, View, list[Draft]]:
    """The state and the view once the vendor's queue is gone, and the entry that says so to those who were shown
    something in it."""
    gone: list[Draft] = []
    if any(view.values()):
        view = {"running": [], "queued": [], "waiting": None}
        gone.append(Draft(model, "queue", at, view))
        announcer.queue(at)
    return replace(state, running=(), queued=(), waiting=None), view, gone
