"""Announcements: words for the chat room. The vendor's are passed on verbatim; the relay's own are a `Wording`'s."""

from __future__ import annotations

from typing import Any

from relay.events import Message
from relay.feeds import Draft
from relay.menus import Level, Menu, Row, Special, row_as_json, rows
from relay.wordings import Wording

MENU_TEXT_ROWS_MAX = 50  # a text is for people; the rows beside it are all there

Twin = dict[str, Any]  # {tip, tipper, amount, level, special, seconds} of one tip, as the public may see it


def announce(model: str, wording: Wording, kind: str, at: float, *, template: str = "", **values: Any) -> Draft:
    """The relay's own words of one of `KINDS`, from `template` where the kind has several. `values` has a `name`."""
    text = wording.say(template or kind, **values)
    return Draft(model, "announcement", at, {"text": text, "source": "relay", "kind": kind})


def pass_on(model: str, message: Message, at: float, tip: str | None, private: bool) -> Draft:
    """The vendor's words, verbatim and once (facts.md H31). `private`: not for the public (facts.md H7, H32)."""
    body: dict[str, str | bool] = {"text": message.text, "source": "vendor"}
    if tip is not None:
        body["tip"] = tip
    if message.to is not None:
        body["to"] = message.to
    return Draft(model, "announcement", at, body | ({"private": True} if private or message.to is not None else {}))


def announce_tips(model: str, name: str, wording: Wording, twins: list[Twin], at: float) -> Draft:
    """One sentence about one tip or several, all of them beside it as `tips`."""
    amount, first = sum(twin["amount"] for twin in twins), twins[0]
    tippers = {twin["tipper"] for twin in twins}
    values: dict[str, Any] = {"name": name, "amount": amount, "count": len(twins)}
    if len(twins) == 1:
        template = "tip_unknown" if first["reacts"] is None else "tip"
        values["effect"] = effect(wording, first["reacts"], first["level"], first["special"], first["seconds"])
    else:
        template = "tips" if len(tippers) == 1 else "tips_many"
    draft = announce(
        model, wording, "tip", at, template=template, tipper=first["tipper"], tippers=len(tippers), **values
    )
    draft.body["tips"] = [{name: value for name, value in twin.items() if name != "reacts"} for twin in twins]
    if len(twins) == 1:
        draft.body["tip"] = first["tip"]
    return draft


def effect(wording: Wording, reacts: bool | None, level: int | None, special: str | None, seconds: Any) -> str:
    """What an amount does, in words."""
    if not reacts:
        return wording.say("nothing")
    time = "" if seconds is None else wording.say("time", seconds=f"{seconds:.12g}")
    if special is not None:
        return wording.say("special", special=special, time=time)
    return wording.say("level", level=level, time=time)


def row_text(wording: Wording, row: Row) -> str:
    taker = row.taker
    level = taker.level if isinstance(taker, Level) else None
    special = taker.name if isinstance(taker, Special) else None
    does = effect(wording, taker is not None, level, special, taker and taker.seconds)
    template = "from" if row.max is None else "exactly" if row.min == row.max else "between"
    return wording.say(template, min=row.min, max=row.max, effect=does)


def menu_text(wording: Wording, menu: Menu) -> str:
    """The whole menu in one line."""
    found = rows(menu)
    more = ["…"] if len(found) > MENU_TEXT_ROWS_MAX else []
    return wording.say("separator").join([row_text(wording, row) for row in found[:MENU_TEXT_ROWS_MAX]] + more)


def described(wording: Wording, menu: Menu) -> dict[str, Any]:
    """The menu as data and as text: `{rows: [{min, max, reacts, level, special, …, text}], text, language}`."""
    return {
        "rows": [row_as_json(row) | {"text": row_text(wording, row)} for row in rows(menu)],
        "text": menu_text(wording, menu),
        "language": wording.language,
    }


def menu_entry(model: str, wording: Wording, menu: Menu, at: float) -> Draft:
    return Draft(model, "menu", at, described(wording, menu))
