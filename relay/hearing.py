"""Hearing: what a room makes of one event of its page: state, receipts and entries of the feed."""

from __future__ import annotations

import re
from dataclasses import replace

from relay import metrics
from relay.announcements import menu_entry, pass_on
from relay.broadcasts import fold, reaction_as_json
from relay.events import Message, QueueSeen, RunningSeen, SettingsSeen, ToysSeen, Unknown
from relay.feeds import Draft, settings_entry, toy_entry
from relay.menus import menu_as_json
from relay.rooms import Room
from relay.seats import Seat
from relay.settings import SETTLE_SECONDS
from relay.stores import Change, ModelRecord
from relay.tips import Receipt, Status
from relay.vendors import Reading


def hear(room: Room, seat: Seat, n: int, reading: Reading, at: float) -> Change:
    """One event of the page: into the state, the receipts and the feed."""
    event, before = reading.event, room.state
    metrics.ANOMALIES.inc(len(reading.anomalies))
    if isinstance(event, Unknown):
        metrics.EVENTS_UNKNOWN.inc()
    page, newest = room.heard
    if seat is not room.seat or (n and page == seat.page and n <= newest):
        return Change()
    if n:
        room.heard = (seat.page, n)
    room.state = after = fold(before, event, len(reading.anomalies))
    moved: list[Receipt] = []
    entries: list[Draft] = []
    record: ModelRecord | None = None
    match event:
        case Message():
            entries.append(_pass_on(room, event, at))
        case ToysSeen():
            if (before.toys, before.toys_on) != (after.toys, after.toys_on):
                entries.append(toy_entry(room.id, after, at))
            if after.toys_on is not None:
                room.announcer.seen("toy", after.toys_on, at)
        case SettingsSeen() if after.menu is not None and after.menu != before.menu:
            entries += (settings_entry(room.id, after, at), menu_entry(room.id, room.wording, after.menu, at))
            room.announcer.settle("settings", at, SETTLE_SECONDS)
            room.record = record = replace(room.record, menu=menu_as_json(after.menu))
        case QueueSeen():
            running, queued = after.running or (), after.queued or ()
            moved = room.line.found(room.line.watch.see(running, queued, after.waiting or 0, at), at)
        case RunningSeen(running) if running is not None:
            moved = room.line.found(room.line.watch.see_running(running, at), at)
        case _:
            pass
    if isinstance(event, QueueSeen | RunningSeen):
        entries += _queue_entry(room, at)
        room.spoke_at = at
        if before.vendor_busy or after.vendor_busy:
            room.busy_until = at
        room.due = min(room.due, at + SETTLE_SECONDS)
    return room.moved(moved, at, *entries, model=record)


def _pass_on(room: Room, message: Message, at: float) -> Draft:
    """The vendor speaks of a tip by the name it was given, as a rule when it begins to run, maybe before its queue
    shows that. About a private tip it does not speak in public (H7): neither where an open one of the name may be the
    one that began, nor where a private one's amount is told, nor where any of a name is private and no public one of it
    runs."""
    text, given, hushed = message.text, _given(room), _hushed(room, at)
    spoken = _spoken(text, {one.tip.shown for one in given} | {name for name, _ in hushed})
    # A longer name may have been chosen to cover a private one: 'to john' in words about 'john'.
    whispered = {name for name, _ in hushed if name in spoken or _stands(name, text)}
    named = [one for one in given if one.tip.shown in (whispered if one.tip.private else spoken)]
    running = [one for one in named if one.status is Status.RUNNING]
    public = {one.tip.shown for one in running if not one.tip.private}
    private = any(one.tip.private and one.is_open for one in named) or any(
        name in whispered and (name not in public or str(amount) in text) for name, amount in hushed
    )
    about = next((one.tip.id for one in (*running, *named) if one.tip.private == private), None)
    return pass_on(room.id, message, at, about, private)


def _spoken(text: str, names: set[str]) -> set[str]:
    """Those of the names that are in a text, also outside of longer ones: 'jo' is no name in words about 'john'."""
    found = {name for name in names if name and name in text}
    return {name for name in found if name in _without(name, text, found)}


def _without(name: str, text: str, names: set[str]) -> str:
    """The text, with nothing of a name left in the longer names."""
    for longer in names:
        if name in longer and name != longer:
            text = text.replace(longer, longer.replace(name, "\0"))  # no name has a control character
    return text


def _stands(name: str, text: str) -> bool:
    """Whether a name is in a text as words of their own."""
    return bool(name and name in text and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text))


def _given(room: Room) -> list[Receipt]:
    """Tips that the vendor may speak of; its words may come before the page's acknowledgement."""
    line = room.line
    return [one for part in (line.called, line.sent, line.late, line.uncertain) for one in part.values()]


def _hushed(room: Room, at: float) -> set[tuple[str, int]]:
    """Names and amounts of private tips: those that are open, and those whose life was over a while ago."""
    return {*room.announcer.hushed(at), *((one.tip.shown, one.tip.amount) for one in _given(room) if one.tip.private)}


def _queue_entry(room: Room, at: float) -> list[Draft]:
    running, queued = room.state.running or (), room.state.queued or ()
    tips = room.line.watch.tips_of((*running, *queued))
    seen = [reaction_as_json(one, tip) for one, tip in zip((*running, *queued), tips, strict=True)]
    hushed = {name for name, _ in _hushed(room, at)}
    for one, tip in zip(seen, tips, strict=True):
        receipt = room.line.find(tip) if tip else None
        # Nobody's entry with a private tip's name may be its shadow: the two kinds of view overlap, and one may still
        # hold what the other has seen the end of. Its amount may be told otherwise than it was given, or not at all.
        if receipt.tip.private if receipt else one["tipper"] in hushed:
            one["private"] = True
    view = {"running": seen[: len(running)], "queued": seen[len(running) :], "waiting": room.state.waiting}
    if view == room.queue_view:
        return []
    room.queue_view = view
    room.announcer.queue(at)
    return [Draft(room.id, "queue", at, view)]
