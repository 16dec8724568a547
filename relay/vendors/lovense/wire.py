"""The words of the vendor's browser script, made ours: one table, `READERS`.

Spelling differs between versions, methods and events (facts.md 1.4): numbers come as text, lists as maps or JSON text,
switches as on/1/"1"/true/online. What cannot be read is None and named as an anomaly; nothing here raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
import orjson

from relay.events import (
    ControlLink,
    Event,
    Message,
    QueueSeen,
    Reaction,
    RunningSeen,
    SettingsSeen,
    TipHandled,
    Toy,
    ToysSeen,
    Unknown,
)
from relay.menus import Level, Special
from relay.vendors import Reading

RAW_LENGTH_MAX = 2000  # of an unknown event, kept for whoever has to teach us
ENTRIES_MAX = 500  # of one list in one event
TEXT_LENGTH_MAX = 2000
ECHO_KEY = "relayTipId"  # what the shim may put into the call's third argument (facts.md 1.6)

ON = frozenset({"on", "1", "true", "online", "yes"})
OFF = frozenset({"off", "0", "false", "offline", "no"})
LEVEL_NAME = re.compile(r"level\s*_?(\d{1,4})", re.IGNORECASE)


def read(raw: Any) -> Reading:
    """The event in one message of the vendor's listener, as the page passed it on."""
    words = Words()
    try:
        event = _read(raw, words)
    except RecursionError:
        event = Unknown("too deep", "")
    return Reading(event, tuple(words.anomalies))


def _read(raw: Any, words: Words) -> Event:
    data = words.opened(raw)
    if not isinstance(data, dict):
        return Unknown("not an object", excerpt(raw))
    kind = data.get("type")
    reader = READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        return Unknown(encodable(kind[:100]) if isinstance(kind, str) else "without a type", excerpt(raw))
    event = reader(data, words)
    if event is None:  # the word is known, what it carries is not
        return Unknown(str(kind), excerpt(raw))
    return event


class Words:
    """Reads single values, and remembers which fields could not be read."""

    def __init__(self) -> None:
        self.anomalies: list[str] = []

    def opened(self, value: Any) -> Any:
        """JSON inside a string is opened once; the vendor's LAN products do that (facts.md 1.4)."""
        if isinstance(value, str) and value[:1] in "{[":
            try:
                return msgspec.json.decode(value)
            except (ValueError, RecursionError):  # not JSON, or not even text that can be encoded
                return value
        return value

    def number(self, data: dict[str, Any], field: str) -> int | float | None:
        value = data.get(field)
        if isinstance(value, str):
            text = value.strip()
            if text in ("", "-", "null", "undefined", "Infinity", "∞"):
                return None
            try:
                value = float(text)
            except ValueError:
                value = False  # an anomaly, below
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) > 2**53:
            self.anomalies.append(field)
            return None
        return int(value) if float(value).is_integer() else float(value)

    def whole(self, data: dict[str, Any], field: str) -> int | None:
        value = self.number(data, field)
        if isinstance(value, float):
            self.anomalies.append(field)
            return None
        return value

    def text(self, data: dict[str, Any], field: str) -> str | None:
        value = data.get(field)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        return encodable(value)[:TEXT_LENGTH_MAX] if isinstance(value, str) else None

    def switch(self, value: Any, field: str) -> bool | None:
        if value is None or value == "":
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        word = str(value).strip().lower() if isinstance(value, str | int) else ""
        if word in ON or word in OFF:
            return word in ON
        self.anomalies.append(field)
        return None

    def entries(self, data: dict[str, Any], field: str) -> list[dict[str, Any]] | None:
        """A list of objects, whether it came as array (holes dropped), map or JSON text. Absent or null: None; so is
        a list that holds something and nothing readable, since a malformed event never erases good state."""
        value = self.opened(data.get(field))
        if isinstance(value, dict):
            value = [{"id": key, **one} if isinstance(one, dict) else one for key, one in value.items()]
        if not isinstance(value, list):
            if value is not None:
                self.anomalies.append(field)
            return None
        found = [self.opened(one) for one in value[:ENTRIES_MAX] if one is not None]
        readable = [one for one in found if isinstance(one, dict)]
        if len(readable) < len(found):
            self.anomalies.append(field)
        return readable if readable or not found else None


def read_message(data: dict[str, Any], words: Words) -> Event | None:
    text = words.text(data, "detail")
    private = data.get("to") not in (None, "")  # whoever it is for, and however that is spelled: never public
    return None if text is None else Message(text, (words.text(data, "to") or "?") if private else None)


def read_settings(data: dict[str, Any], words: Words) -> Event | None:
    detail = words.opened(data.get("detail"))
    levels = words.opened(detail.get("levels")) if isinstance(detail, dict) else None
    specials = words.opened(detail.get("special")) if isinstance(detail, dict) else None
    if isinstance(levels, list):
        levels = dict(enumerate(levels, 1))
    found = _each("levels", levels, words, read_level)
    menu = SettingsSeen(
        # level10 comes after level9, not after level1 (facts.md H35).
        None if found is None else tuple(sorted(found, key=lambda one: one.level)),
        _each("special", specials, words, read_special),
    )
    # Nothing in it: good state stays (facts.md H27).
    return None if menu.levels is None and menu.specials is None else menu


def _each(field: str, named: Any, words: Words, reader: Callable[..., Any]) -> tuple[Any, ...] | None:
    """What a map holds. None where it is none, or holds something and no object."""
    opened = [(str(name), words.opened(one)) for name, one in named.items()] if isinstance(named, dict) else []
    if not isinstance(named, dict) or (opened and not any(isinstance(one, dict) for _, one in opened)):
        if named is not None:
            words.anomalies.append(field)
        return None
    found = (reader(name, one, words) for name, one in opened[:ENTRIES_MAX])
    return tuple(one for one in found if one is not None)


def read_level(name: str, data: Any, words: Words) -> Level | None:
    if not isinstance(data, dict):
        return None
    digits = LEVEL_NAME.fullmatch(name) or re.fullmatch(r"(\d{1,4})", name)
    low = words.whole(data, "min")
    if digits is None or low is None:
        return None
    return Level(
        level=int(digits[1]),
        min=low,
        max=words.whole(data, "max"),  # Infinity arrives as null: open-ended (facts.md 1.4)
        seconds=words.number(data, "time"),
        vibrate=words.whole(data, "vLevel"),
        rotate=words.whole(data, "rLevel"),
    )


def read_special(name: str, data: Any, words: Words) -> Special | None:
    if not isinstance(data, dict):
        return None
    first = next((words.whole(data, key) for key in ("token", "tokens", "tokensBegin") if data.get(key)), None)
    if first is None:
        return None  # switched off: the vendor leaves the amount empty
    return Special(
        name=encodable(name[:60]),
        tokens=first,
        seconds=words.number(data, "time"),
        tokens_max=words.whole(data, "tokensEnd"),
        enabled=words.switch(data.get("enable"), "enable") is not False,
    )


def read_toys(data: dict[str, Any], words: Words) -> Event | None:
    toys = words.entries(data, "detail")
    on = words.switch(data.get("status"), "status")
    if toys is None and on is None:
        return None
    seen = None if toys is None else tuple(read_toy(toy, words) for toy in toys)
    if seen is not None and on is not None and on is not any(toy.on for toy in seen):
        words.anomalies.append("status")  # the toys themselves say otherwise, and they are believed (facts.md H33)
    return ToysSeen(seen, on)


def read_toy(data: dict[str, Any], words: Words) -> Toy:
    status = data.get("status", data.get("connected"))
    return Toy(
        id=words.text(data, "id") or words.text(data, "toyId") or "",
        type=words.text(data, "type") or words.text(data, "toyType") or "",
        name=words.text(data, "name") or "",
        on=words.switch(status, "status"),
        battery_percent=words.whole(data, "battery"),
    )


def read_queue(data: dict[str, Any], words: Words) -> Event | None:
    detail = words.opened(data.get("detail"))
    if not isinstance(detail, dict):
        return None
    waiting = words.opened(detail.get("waiting"))
    running = _reactions(detail, "running", words)
    queued = _reactions(detail, "queue", words)
    if running is None and queued is None and waiting is None:
        return None
    return QueueSeen(running, queued, len(waiting) if isinstance(waiting, list | dict) else None)


def read_running(data: dict[str, Any], words: Words) -> Event | None:
    detail = words.opened(data.get("detail"))
    running = _reactions(detail, "running", words) if isinstance(detail, dict) else None
    return None if running is None else RunningSeen(running)


def _reactions(detail: dict[str, Any], field: str, words: Words) -> tuple[Reaction, ...] | None:
    entries = words.entries(detail, field)
    return None if entries is None else tuple(read_reaction(one, words) for one in entries)


def read_reaction(data: dict[str, Any], words: Words) -> Reaction:
    echoed = words.opened(data.get("cParameter"))
    # "Basic Level" entries have toys with a specialType too: never derive the special from them (facts.md 1.4).
    return Reaction(
        name=words.text(data, "tipperName") or "",
        amount=words.whole(data, "amount"),
        seconds=words.number(data, "time"),
        level=words.whole(data, "level"),
        special=words.text(data, "specialType") or None,
        echo=words.text(echoed, ECHO_KEY) if isinstance(echoed, dict) else None,
    )


def read_tip_handled(data: dict[str, Any], words: Words) -> Event | None:
    detail = words.opened(data.get("detail"))
    detail = detail if isinstance(detail, dict) else {}
    return TipHandled(words.text(detail, "name") or words.text(detail, "tipperName"), words.whole(detail, "amount"))


def read_control_link(data: dict[str, Any], words: Words) -> Event | None:
    return ControlLink(words.text(data, "to"))


READERS: dict[str, Callable[[dict[str, Any], Words], Event | None]] = {
    "message": read_message,
    "settings": read_settings,
    "getSettings": read_settings,  # the shim asks once the script is there, and passes the answer on under this name
    "toy": read_toys,
    "getToys": read_toys,
    "tipQueueStatus": read_queue,
    "tipQueueChange": read_queue,  # the vendor's browser extension calls it so (facts.md 2)
    "tipRunning": read_running,
    "tip": read_tip_handled,
    "cLink": read_control_link,
}


def excerpt(raw: Any) -> str:
    """What came, as text that can be kept."""
    try:
        return orjson.dumps(raw, default=str).decode()[:RAW_LENGTH_MAX]
    except (orjson.JSONEncodeError, TypeError, RecursionError):
        return encodable(repr(raw)[:RAW_LENGTH_MAX])


def encodable(text: str) -> str:
    """Lone surrogates pass through JSON and cannot be encoded (facts.md 1.4)."""
    return text.encode("utf-8", "replace").decode("utf-8")
