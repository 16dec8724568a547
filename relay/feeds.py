"""The feed: numbered entries, the cursors that lead back into it, and who may see what of them.

`SHOW` is the table of audiences: a type that is not in it is nobody's, a field that is not picked stays here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from msgspec import Struct

from relay.broadcasts import State, state_as_json
from relay.clock import iso
from relay.errors import BadCursor
from relay.menus import Preview, menu_as_json
from relay.tips import Receipt, Status


class Audience(StrEnum):
    """Who reads: everybody in the room, the room's chat backend, the platform itself."""

    VIEWER = "viewer"
    CHAT = "chat"
    PLATFORM = "platform"


class Draft(Struct, frozen=True, gc=False):
    """An entry before the store has numbered it."""

    model: str
    type: str
    at: float
    body: dict[str, Any]


class Entry(Struct, frozen=True, gc=False):
    """A kept entry. `n` rises over all models of one store, with gaps."""

    n: int
    model: str
    type: str
    at: float
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in one store's feed: everything up to `n` has been read. `epoch` names the store."""

    epoch: str
    n: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.n}"


CURSOR = re.compile(r"([a-z0-9]{1,32})-([0-9]{1,18})")


def read_cursor(text: str) -> Cursor:
    """The cursor out of `Last-Event-ID` or `?after=`. Raises `BadCursor`."""
    found = CURSOR.fullmatch(text)
    if not found:
        raise BadCursor(
            f"'after' must be the id of an entry of this feed, not {ascii(text)[:60]}; leave it out to start now"
        )
    return Cursor(found[1], int(found[2]))


# -- Who sees what ----------------------------------------------------------


def _everything(body: dict[str, Any]) -> dict[str, Any]:
    return body


def _announcement(body: dict[str, Any]) -> dict[str, Any] | None:
    """Private words (a legacy `to`, or about a private tip) reach the platform only."""
    return None if body.get("private") else _pick(body, "text", "source", "kind", "tip", "tips", "count")


def _tip(body: dict[str, Any]) -> dict[str, Any] | None:
    if body["private"]:
        return None
    return {**_pick(body, "tip", "status", "amount", "level", "special", "seconds"), "tipper": body["shown_as"]}


def _queue(body: dict[str, Any]) -> dict[str, Any]:
    fields = ("tip", "tipper", "amount", "seconds", "level", "special", "external")
    public = {
        part: [_pick(one, *fields) for one in body[part] or () if not one.get("private")]
        for part in ("running", "queued")
    }
    return public | {"waiting": body["waiting"]}


def _toy(body: dict[str, Any]) -> dict[str, Any]:
    """Without the toys' ids and given names."""
    return {"on": body["on"], "list": [_pick(toy, "type", "on") for toy in body["list"] or ()]}


def _settings(body: dict[str, Any]) -> dict[str, Any]:
    return _pick(body, "levels", "specials")


def _menu(body: dict[str, Any]) -> dict[str, Any]:
    return _pick(body, "rows", "text", "language")


def _model(body: dict[str, Any]) -> dict[str, Any]:
    return _pick(body, "online", "ready", "held")


def _pick(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: body[name] for name in names if name in body}


Show = Callable[[dict[str, Any]], dict[str, Any] | None]


def _row(*, viewer: Show | None, chat: Show | None) -> dict[Audience, Show]:
    seen = {Audience.VIEWER: viewer, Audience.CHAT: chat, Audience.PLATFORM: _everything}
    return {audience: reader for audience, reader in seen.items() if reader is not None}


# The table of audiences: per type, what each sees of the body. A chat room's backend gets words, and what they are
# about; the platform sees all of everything. docs/feed.md shows this table to people.
SHOW: dict[str, dict[Audience, Show]] = {
    "announcement": _row(viewer=_announcement, chat=_announcement),
    "tip": _row(viewer=_tip, chat=_tip),
    "menu": _row(viewer=_menu, chat=_menu),
    "settings": _row(viewer=_settings, chat=_settings),
    "model": _row(viewer=_model, chat=_model),
    "queue": _row(viewer=_queue, chat=None),
    "toy": _row(viewer=_toy, chat=None),
}


def show(entry: Entry, audience: Audience) -> dict[str, Any] | None:
    """The entry's body as `audience` may see it, or None."""
    reader = SHOW.get(entry.type, {}).get(audience)
    return None if reader is None else reader(entry.body)


def encode(epoch: str, entry: Entry, audience: Audience) -> bytes | None:
    """The entry as JSON for one audience: `{"id", "type", "model", "at", …}`, or None where it is not theirs."""
    body = show(entry, audience)
    if body is None:
        return None
    head = {"id": str(Cursor(epoch, entry.n)), "type": entry.type, "model": entry.model, "at": iso(entry.at)}
    return orjson.dumps(head | body)


# -- What becomes an entry ----------------------------------------------------------

# `sent` is between us and the page; the room hears of a tip when it was taken and when something came of it.
TOLD = frozenset(Status) - {Status.SENT}


def tip_entry(receipt: Receipt, preview: Preview | None = None) -> Draft | None:
    """A tip's step as an entry."""
    step, tip = receipt.timeline[-1], receipt.tip
    again = len(receipt.timeline) > 1 and receipt.timeline[-2].status == step.status
    if step.status not in TOLD or again:  # a new deadline is no news for the room
        return None
    seen = step.evidence or {}
    body: dict[str, Any] = {
        "tip": tip.id,
        "status": step.status,
        "tipper": tip.tipper,
        "shown_as": tip.shown,
        "amount": tip.amount,
        "private": tip.private,
        "anonymous": tip.anonymous,
        "why": step.why,
    }
    if preview is not None and preview.reacts:
        body |= {"level": preview.level, "special": preview.special, "seconds": preview.seconds}
    elif "seconds" in seen:
        body |= {"level": seen["level"], "special": seen["special"], "seconds": seen["seconds"]}
    return Draft(tip.model, "tip", step.at, body)


def settings_entry(model: str, state: State, at: float) -> Draft:
    return Draft(model, "settings", at, menu_as_json(state.menu) if state.menu else {})


def toy_entry(model: str, state: State, at: float) -> Draft:
    toys = state_as_json(state)["toys"]
    return Draft(model, "toy", at, {"on": toys["on"], "list": toys["list"]})
