"""Events on their way up: what a broadcaster's page told us, in our words.

A vendor's `read` makes them out of the vendor's own (relay/vendors). `None` in a field means the vendor did not say:
what is known stays known. An empty tuple means the vendor said "none".
"""

from __future__ import annotations

from dataclasses import dataclass

from relay.menus import Level, Special


@dataclass(frozen=True, slots=True)
class Toy:
    id: str
    type: str
    name: str
    on: bool | None
    battery_percent: int | None = None


@dataclass(frozen=True, slots=True)
class Reaction:
    """One entry of the vendor's queue view, running or waiting."""

    name: str  # as given to the vendor's call
    amount: int | None
    seconds: float | None = None
    level: int | None = None
    special: str | None = None
    echo: str | None = None  # our own id of the tip, if the vendor ever gives it back (facts.md 1.6)


@dataclass(frozen=True, slots=True)
class Message:
    """Words of the vendor for the chat room, verbatim. `to` set: private, never public (facts.md H32)."""

    text: str
    to: str | None = None


@dataclass(frozen=True, slots=True)
class SettingsSeen:
    """The model's settings; some broadcasts leave the specials out (facts.md 1.4)."""

    levels: tuple[Level, ...] | None
    specials: tuple[Special, ...] | None


@dataclass(frozen=True, slots=True)
class ToysSeen:
    toys: tuple[Toy, ...] | None
    on: bool | None  # the vendor's own top-level word; per-toy words count more (facts.md H33)


@dataclass(frozen=True, slots=True)
class QueueSeen:
    """A whole view of the vendor's queue (`tipQueueStatus`)."""

    running: tuple[Reaction, ...] | None
    queued: tuple[Reaction, ...] | None
    waiting: int | None  # opaque entries, counted


@dataclass(frozen=True, slots=True)
class RunningSeen:
    """Only what runs (`tipRunning`)."""

    running: tuple[Reaction, ...] | None


@dataclass(frozen=True, slots=True)
class TipHandled:
    """The legacy `tip` event: a tip has been handled (facts.md 1.1)."""

    name: str | None
    amount: int | None


@dataclass(frozen=True, slots=True)
class ControlLink:
    """The legacy `cLink`: a link for one tipper's eyes; only the fact travels on, never the link."""

    to: str | None


@dataclass(frozen=True, slots=True)
class Unknown:
    """Words we do not know; they still travel, raw and cut short."""

    kind: str
    raw: str


Event = Message | SettingsSeen | ToysSeen | QueueSeen | RunningSeen | TipHandled | ControlLink | Unknown
