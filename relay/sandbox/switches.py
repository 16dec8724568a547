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


CHOICES: dict[str, tuple[Any, ...]] = {
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


Kind = tuple[tuple[str, ...], Callable[[str, Any], bool], Callable[[str], str]]  # names, what fits, what must be


def read_switches(body: object, before: Switches) -> Switches:
    """The switches as ordered; those that the order does not name stay as they were."""
    order = check_switches(body, _KINDS)
    return replace(before, **{"global_name" if name == "global" else name: value for name, value in order.items()})


def check_switches(body: object, kinds: tuple[Kind, ...]) -> dict[str, Any]:
    """The order itself, when every switch in it exists and can be set so; raises SwitchesRefused."""
    if not isinstance(body, dict):
        raise SwitchesRefused({"body": "must be a JSON object of switches"})
    errors = {str(name): words for name, value in body.items() if (words := _fault(name, value, kinds))}
    if errors:
        raise SwitchesRefused(errors)
    return body


def choices(table: dict[str, tuple[Any, ...]]) -> Kind:
    """Switches that have a few positions each."""

    def words(name: str) -> str:
        return "must be " + " or ".join(map(str, table[name]))

    return tuple(table), lambda name, value: type(value) in map(type, table[name]) and value in table[name], words


def numbers(names: tuple[str, ...], low: float, high: float, unit: str) -> Kind:
    def fits(_: str, value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high

    return names, fits, lambda _: f"must be {unit} from {low:g} to {high:g}"


def flags(names: tuple[str, ...]) -> Kind:
    return names, lambda _, value: isinstance(value, bool), lambda _: "must be true or false"


def _fault(name: object, value: Any, kinds: tuple[Kind, ...]) -> str | None:
    for names, fits, words in kinds:
        if name in names:
            return None if fits(str(name), value) else words(str(name)) + f", not {str(value)[:40]!r}"
    return f"is not a switch: use {', '.join(sorted(one for names, _, _ in kinds for one in names))}"


_KINDS: tuple[Kind, ...] = (choices(CHOICES), numbers(DELAYS, 0, DELAY_SECONDS_MAX, "seconds"), flags(FLAGS))
