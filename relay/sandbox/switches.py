"""Switches: the bad weather that a platform can order for one model, and what each may be set to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

DELAY_SECONDS_MAX = 60.0

Listeners = Literal["append", "replace"]


class Switches(Struct, frozen=True, rename={"global_name": "global"}):
    """How this model's `model.js` behaves; the defaults are a fine day."""

    listeners: str = "append"  # what a second addMessageListener does to the first
    script_delay: float = 0.0  # seconds until model.js is answered
    script_missing: bool = False  # model.js answers 404
    script_broken: bool = False  # model.js throws while it loads
    receive_tip: str = "ok"
    ready_delay: float = 0.0  # seconds from the script's load to the global's appearance
    echo: bool = False  # receiveTip's third argument comes back as cParameter
    announce: bool = True  # `message` events
    queue_events: bool = True  # `tipQueueStatus` and `tipRunning` events
    global_name: str = "lovense"
    get_toys: str = "array"  # the shape that getToys() returns


CHOICES = {
    "listeners": ("append", "replace"),
    "receive_tip": ("ok", "throws", "rejects", "missing"),
    "global": ("lovense", "Lovense"),
    "get_toys": ("array", "map", "json", "promise", "null"),
}
DELAYS = ("script_delay", "ready_delay")
FLAGS = ("script_missing", "script_broken", "echo", "announce", "queue_events")


class SwitchesRefused(ValueError):
    """A switch that does not exist, or cannot be set so; `errors` maps each name to why."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("; ".join(f"{name} {words}" for name, words in errors.items()))
        self.errors = errors


def read_switches(body: object, before: Switches) -> Switches:
    """The switches as ordered; those that the order does not name stay as they were."""
    if not isinstance(body, dict):
        raise SwitchesRefused({"body": "must be a JSON object of switches"})
    errors = {str(name): words for name, value in body.items() if (words := _fault(name, value))}
    if errors:
        raise SwitchesRefused(errors)
    return replace(before, **{"global_name" if name == "global" else name: value for name, value in body.items()})


def _fault(name: object, value: Any) -> str | None:
    for names, fits, words in _KINDS:
        if name in names:
            return None if fits(str(name), value) else words(str(name)) + f", not {str(value)[:40]!r}"
    return f"is not a switch: use {', '.join(sorted((*CHOICES, *DELAYS, *FLAGS)))}"


def _is_delay(_: str, value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= DELAY_SECONDS_MAX


Kind = tuple[tuple[str, ...], Callable[[str, Any], bool], Callable[[str], str]]
_KINDS: tuple[Kind, ...] = (
    (tuple(CHOICES), lambda name, value: value in CHOICES[name], lambda name: "must be " + " or ".join(CHOICES[name])),
    (DELAYS, _is_delay, lambda _: f"must be seconds from 0 to {DELAY_SECONDS_MAX:g}"),
    (FLAGS, lambda _, value: isinstance(value, bool), lambda _: "must be true or false"),
)
