"""What each amount does: the model's own settings, and the answer to "what will my tip do?"."""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Any

from msgspec import Struct


@dataclass(frozen=True, slots=True)
class Level:
    """An inclusive range of tokens and what the toy does for it."""

    level: int
    min: int
    max: int | None  # None: open-ended
    seconds: float | None
    vibrate: int | None  # 0 to 20
    rotate: int | None  # 0 to 20


@dataclass(frozen=True, slots=True)
class Special:
    """One exact amount (a range for `giveControl`) with a pattern of its own."""

    name: str
    tokens: int
    seconds: float | None
    tokens_max: int | None = None  # None: `tokens` exactly
    enabled: bool = True

    def takes(self, amount: int) -> bool:
        return self.enabled and self.tokens <= amount <= (self.tokens if self.tokens_max is None else self.tokens_max)


@dataclass(frozen=True, slots=True)
class Menu:
    """A model's settings, cleaned: numbers are numbers, levels in their order."""

    levels: tuple[Level, ...] = ()
    specials: tuple[Special, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """Amounts from `min` to `max` (None: and more), all of which do the same. `taker` None: nothing."""

    min: int
    max: int | None
    taker: Level | Special | None


class Preview(Struct, frozen=True, gc=False):
    """What a tip of some amount will do, as far as the settings tell. `reacts` is None when they are not known."""

    reacts: bool | None
    level: int | None = None
    special: str | None = None
    seconds: float | None = None


def preview(menu: Menu | None, amount: int) -> Preview:
    """Enabled special first, then the lowest-numbered level that covers the amount, else no reaction (facts.md H35)."""
    if menu is None:
        return Preview(None)
    for special in menu.specials:
        if special.takes(amount):
            return Preview(True, special=special.name, seconds=special.seconds)
    for level in sorted(menu.levels, key=lambda one: one.level):
        if level.min <= amount and (level.max is None or amount <= level.max):
            return Preview(True, level=level.level, seconds=level.seconds)
    return Preview(False)


def rows(menu: Menu) -> tuple[Row, ...]:
    """What every amount from 1 on does, as `preview` says it, in as few rows as there are; gaps are rows too."""
    ends = [(one.tokens, one.tokens if one.tokens_max is None else one.tokens_max) for one in menu.specials]
    takers: list[tuple[int, int | None, Level | Special]] = [
        (low, high, one) for (low, high), one in zip(ends, menu.specials, strict=True) if one.enabled
    ]
    takers += [(one.min, one.max, one) for one in sorted(menu.levels, key=lambda one: one.level)]
    begins: dict[int, list[int]] = {1: []}  # amount -> the takers that begin there
    for rank, (low, high, _) in enumerate(takers):
        if high is None or high >= max(low, 1):
            begins.setdefault(max(low, 1), []).append(rank)
            if high is not None:
                begins.setdefault(high + 1, [])
    found: list[tuple[int, int | None]] = []  # where each row begins, and who takes it
    open_ones: list[int] = []  # first in it: whoever goes first
    for amount in sorted(begins):
        for rank in begins[amount]:
            heappush(open_ones, rank)
        while open_ones and (end := takers[open_ones[0]][1]) is not None and end < amount:
            heappop(open_ones)
        rank_now = open_ones[0] if open_ones else None
        if not found or found[-1][1] != rank_now:
            found.append((amount, rank_now))
    lasts: list[int | None] = [*(amount - 1 for amount, _ in found[1:]), None]
    return tuple(
        Row(amount, last, None if rank is None else takers[rank][2])
        for (amount, rank), last in zip(found, lasts, strict=True)
    )


def row_as_json(row: Row) -> dict[str, Any]:
    taker = row.taker
    level = taker if isinstance(taker, Level) else None
    return {
        "min": row.min,
        "max": row.max,
        "reacts": taker is not None,
        "level": None if level is None else level.level,
        "special": taker.name if isinstance(taker, Special) else None,
        "seconds": None if taker is None else taker.seconds,
        "vibrate": None if level is None else level.vibrate,
        "rotate": None if level is None else level.rotate,
    }


def menu_as_json(menu: Menu) -> dict[str, Any]:
    """The `levels` and `specials` of design section 8."""
    return {
        "levels": [
            {
                "level": one.level,
                "min": one.min,
                "max": one.max,
                "seconds": one.seconds,
                "vibrate": one.vibrate,
                "rotate": one.rotate,
            }
            for one in menu.levels
        ],
        "specials": {
            one.name: {"tokens": one.tokens, "seconds": one.seconds}
            | ({} if one.tokens_max is None else {"tokens_max": one.tokens_max})
            | ({} if one.enabled else {"enabled": False})
            for one in menu.specials
        },
    }


def menu_from_json(data: dict[str, Any]) -> Menu:
    """The menu out of what `menu_as_json` made: how a store keeps it."""
    return Menu(
        tuple(Level(**one) for one in data["levels"]),
        tuple(Special(name=name, **one) for name, one in data["specials"].items()),
    )
