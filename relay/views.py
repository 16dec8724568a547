"""Views: a room as the platform sees it over HTTP."""

from __future__ import annotations

from typing import Any

from relay.announcements import described
from relay.broadcasts import state_as_json
from relay.clock import iso
from relay.menus import Preview
from relay.rooms import Room
from relay.settings import Settings
from relay.stores import ModelRecord
from relay.wordings import KINDS


def room_as_json(room: Room) -> dict[str, Any]:
    """Design section 8."""
    seat = room.seat
    return {
        "model": room.id,
        "name": room.record.name,
        "online": seat is not None,
        "ready": seat is not None and seat.ready,
        "why": seat.why if seat is not None and not seat.ready else None,
        "held": room.record.held,
        "stopped": room.record.stopped,
        "generation": room.record.generation,
        "since": None if room.since is None else iso(room.since),
        **words_as_json(room.record, room.settings),
        **state_as_json(room.state),
        "queue": {"fresh": room.state.queue_fresh, **room.queue_view, "line": len(room.line.waiting)},
        "tips": {"open": len(room.line), "uncertain": len(room.line.uncertain)},
    }


def words_as_json(record: ModelRecord, settings: Settings) -> dict[str, Any]:
    """In which language her room is told which kinds of things."""
    return {
        "language": settings.announcements.of(record.language).language,
        "announcements": {kind: kind not in record.muted for kind in KINDS},
    }


def menu_of_room(room: Room) -> dict[str, Any]:
    """What each amount does, for everybody; `rows` and `text` are null while her settings have never been seen."""
    menu = room.state.menu
    found = {"rows": None, "text": None, "language": room.wording.language}
    head = {"model": room.id, "name": room.record.name, "fresh": room.state.menu_fresh}
    return head | (found if menu is None else described(room.wording, menu))


def page_as_json(room: Room) -> dict[str, Any]:
    """What the answer to `POST /tips` says about the page."""
    seat = room.seat
    ready = seat is not None and seat.ready and not room.record.held
    return {"online": seat is not None, "ready": ready, "toys": room.state.toys_on}


def preview_as_json(found: Preview) -> dict[str, Any]:
    return {"reacts": found.reacts, "level": found.level, "special": found.special, "seconds": found.seconds}
