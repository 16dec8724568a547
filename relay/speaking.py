"""Speaking: what a room says on its own, once it is time to: about tips, her menu, her queue, who comes and goes."""

from __future__ import annotations

from dataclasses import replace

from relay.announcements import announce, announce_tips, menu_text
from relay.announcer import say
from relay.feeds import Draft
from relay.rooms import Room
from relay.settings import FOLD_TIPPERS_MAX, FOLD_TIPS_MAX
from relay.stores import Change

WORDS = {("online", True): "online", ("online", False): "offline", ("toy", True): "toy_on", ("toy", False): "toy_off"}


def speak(room: Room, at: float) -> Change:
    """The words that are due. What she was said to be is kept with them, so that a restart does not repeat it."""
    entries: list[Draft] = []
    record = room.record
    for what in room.announcer.ripe(at):
        match what:
            case "tip":
                entries += _tips(room, at)
            case "settings":
                entries += _settings(room, at)
            case "queue":
                entries += _queue(room, at)
            case _:
                entries += _settled(room, what, at)
    return room.moved([], at, *entries, model=None if room.record is record else room.record)


def _tips(room: Room, at: float) -> list[Draft]:
    """One sentence per tipper; one about all of them where too many tip at once."""
    twins, room.announcer.tips = room.announcer.tips, []
    record, wording = room.record, room.wording
    if "tip" in record.muted:
        return []
    by_tipper: dict[str, list[dict[str, object]]] = {}
    for twin in twins:
        by_tipper.setdefault(twin["tipper"], []).append(twin)
    groups = [twins] if len(by_tipper) > FOLD_TIPPERS_MAX else list(by_tipper.values())
    return [
        announce_tips(record.id, record.name, wording, group[begin : begin + FOLD_TIPS_MAX], at)
        for group in groups
        for begin in range(0, len(group), FOLD_TIPS_MAX)
    ]


def _settings(room: Room, at: float) -> list[Draft]:
    record, menu = room.record, room.state.menu
    if menu is None or "settings" in record.muted:
        return []
    text = menu_text(room.wording, menu)
    return [announce(record.id, room.wording, "settings", at, name=record.name, menu=text)]


def _queue(room: Room, at: float) -> list[Draft]:
    """How many tips wait. An empty queue is not worth a word."""
    record, announcer, count = room.record, room.announcer, queue_length(room)
    if count == announcer.queue_length:
        return []
    announcer.queue_length = count
    if not count or "queue" in record.muted:
        return []
    draft = announce(record.id, room.wording, "queue", at, name=record.name, count=count)
    draft.body["count"] = count
    return [draft]


def queue_length(room: Room) -> int:
    """Tips in the relay's line and in the vendor's queue, without private ones as far as they can be told."""
    waiting = sum(not receipt.tip.private for receipt in room.line.waiting.values())
    if not room.state.queue_fresh:
        return waiting
    queued = room.queue_view["queued"] or ()
    return waiting + sum(not one.get("private") for one in queued) + (room.queue_view["waiting"] or 0)


def _settled(room: Room, what: str, at: float) -> list[Draft]:
    """She, or her toy, has come or gone for good. Of the toy of a page that is away nothing is known."""
    record, now = room.record, room.announcer.now
    if room.seat is None:
        now.pop("toy", None)
    value = now.get(what)
    if value is None or value is (what in record.said):
        return []
    # The next broadcast begins anew, with her toy too.
    said = record.said | {what} if value else record.said - {what} if what == "toy" else frozenset()
    room.record = replace(record, said=said)
    return list(say(record, room.settings.announcements, WORDS[what, value], at))
