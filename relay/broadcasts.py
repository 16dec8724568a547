"""Broadcasts: what the events of a model's page add up to (design section 8). Pure: state and event in, state out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from relay.events import Event, QueueSeen, Reaction, RunningSeen, SettingsSeen, Toy, ToysSeen, Unknown
from relay.menus import Menu, menu_as_json
from relay.settings import UNKNOWN_EVENTS_KEPT


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a broadcast. Not `fresh`: a reconnect made it doubtful, until the page speaks again."""

    toys: tuple[Toy, ...] | None = None
    toys_on: bool | None = None
    toys_fresh: bool = False
    menu: Menu | None = None
    menu_fresh: bool = False
    running: tuple[Reaction, ...] | None = None
    queued: tuple[Reaction, ...] | None = None
    waiting: int | None = None
    queue_fresh: bool = False
    unknown_events: int = 0
    anomalies: int = 0
    unknown: tuple[Unknown, ...] = field(default=(), repr=False)  # the last few, for whoever has to teach us

    @property
    def vendor_busy(self) -> bool:
        """The vendor's queue explains why a tip has not reacted yet."""
        return self.queue_fresh and bool(self.running or self.queued or self.waiting)


def fold(state: State, event: Event, anomalies: int = 0) -> State:
    """The state after one more event. A malformed event never erases good state."""
    if anomalies:
        state = replace(state, anomalies=state.anomalies + anomalies)
    match event:
        case ToysSeen(toys, on):
            # Per-toy words are the truth; the top-level word only counts where there are none (facts.md H33).
            listed = state.toys if toys is None else toys
            if listed is not None and (toys is not None or on is None):
                words = [toy.on for toy in listed if toy.on is not None]
                on = any(words) if words or not listed else on
            return replace(state, toys=listed, toys_on=on, toys_fresh=True)
        case SettingsSeen(levels, specials):
            known = state.menu or Menu()
            menu = Menu(known.levels if levels is None else levels, known.specials if specials is None else specials)
            return replace(state, menu=menu, menu_fresh=True)
        case QueueSeen(running, queued, waiting):
            return replace(
                state,
                running=state.running if running is None else running,
                queued=state.queued if queued is None else queued,
                waiting=state.waiting if waiting is None else waiting,
                queue_fresh=True,
            )
        case RunningSeen(running):
            return state if running is None else replace(state, running=running, queue_fresh=True)
        case Unknown():
            kept = (*state.unknown, event)[-UNKNOWN_EVENTS_KEPT:]
            return replace(state, unknown=kept, unknown_events=state.unknown_events + 1)
        case _:
            return state


def doubted(state: State) -> State:
    """The state once nobody is there to vouch for it."""
    return replace(state, toys_fresh=False, menu_fresh=False, queue_fresh=False)


def state_as_json(state: State) -> dict[str, Any]:
    """The `toys` and `settings` of `GET /models/{model}`; what is not known is null."""
    menu = state.menu
    return {
        "toys": {
            "on": state.toys_on,
            "fresh": state.toys_fresh,
            "list": None
            if state.toys is None
            else [
                {"id": toy.id, "type": toy.type, "name": toy.name, "on": toy.on}
                | ({} if toy.battery_percent is None else {"battery_percent": toy.battery_percent})
                for toy in state.toys
            ],
        },
        "settings": {"fresh": state.menu_fresh, "levels": None, "specials": None}
        if menu is None
        else {"fresh": state.menu_fresh, **menu_as_json(menu)},
        "unknown_events": state.unknown_events,
    }


def reaction_as_json(reaction: Reaction, tip: str | None) -> dict[str, Any]:
    """One entry of the queue view. `tip` is the tip it was matched with; None: `external`, nobody here sent it."""
    return {
        "tip": tip,
        "tipper": reaction.name,
        "amount": reaction.amount,
        "seconds": reaction.seconds,
        "level": reaction.level,
        "special": reaction.special,
        "external": tip is None,
    }
