"""Announcements: words for the chat room. The vendor's are passed on verbatim; the relay's own come from one table."""

from __future__ import annotations

from relay.events import Message
from relay.feeds import Draft

TEMPLATES = {
    "toy_on": "{name}'s toy is connected.",
    "toy_off": "{name}'s toy is disconnected.",
    "held": "{name} has paused tips. They will be played when she continues.",
    "released": "{name} continues: tips are played again.",
    "stopped": "{name} has stopped the toy.",
}


def announce(model: str, name: str, kind: str, at: float) -> Draft:
    """The relay's own words of one `kind` of `TEMPLATES`."""
    return Draft(
        model, "announcement", at, {"text": TEMPLATES[kind].format(name=name), "source": "relay", "kind": kind}
    )


def pass_on(model: str, message: Message, at: float, tip: str | None, private: bool) -> Draft:
    """The vendor's words, verbatim and once (facts.md H31). `private`: not for the public (facts.md H7, H32)."""
    body: dict[str, str | bool] = {"text": message.text, "source": "vendor"}
    if tip is not None:
        body["tip"] = tip
    if message.to is not None:
        body["to"] = message.to
    return Draft(model, "announcement", at, body | ({"private": True} if private or message.to is not None else {}))
