"""A model's rules: which amount makes the toy do what, for how long. Read strictly, refused with clear words."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

LEVELS_MAX = 20
AMOUNT_MAX = 1_000_000_000  # tokens
SECONDS_MAX = 3600
STRENGTH_MAX = 20  # the vendor's scale for vibration and rotation
SPECIALS = ("earthquake", "fireworks", "wave", "pulse", "twowaves", "random", "giveControl", "pause", "clear")


class Level(Struct, frozen=True, forbid_unknown_fields=True):
    """An inclusive range of amounts, with the vendor's own field names."""

    min: int
    max: int | None  # None is an open end
    time: int  # seconds
    vLevel: int
    rLevel: int = 0


class Special(Struct, frozen=True, forbid_unknown_fields=True):
    """A command for one exact amount."""

    token: int
    time: int | None  # seconds; `clear` has none, it is over at once
    enabled: bool = True


class Rules(Struct, frozen=True):
    levels: tuple[Level, ...]
    special: dict[str, Special]


DEFAULTS = Rules(
    levels=(Level(1, 9, 2, 5), Level(10, 49, 6, 10), Level(50, 99, 15, 15), Level(100, None, 30, 20)),
    special={
        "earthquake": Special(120, 22),
        "fireworks": Special(140, 20),
        "wave": Special(160, 20),
        "pulse": Special(180, 20),
        "twowaves": Special(200, 20),
        "random": Special(77, 15),
        "giveControl": Special(500, 60),
        "pause": Special(99, 10),
        "clear": Special(33, None),
    },
)


class RulesRefused(ValueError):
    """The rules cannot be used as they stand; `errors` maps each field to what is wrong with it."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("; ".join(f"{field} {words}" for field, words in errors.items()))
        self.errors = errors


def read_rules(body: object, before: Rules) -> Rules:
    """The rules somebody ordered; a part that the order does not name stays as it was."""
    if not isinstance(body, dict):
        raise RulesRefused({"body": "must be a JSON object with 'levels', 'special' or both"})
    errors = {str(name): "is not a part of the rules: use 'levels', 'special'" for name in body.keys() - set(PARTS)}
    levels, special = before.levels, before.special
    if "levels" in body:
        levels = _read_levels(body["levels"], errors)
    if "special" in body:
        special = _read_specials(body["special"], before.special, errors)
    if errors:
        raise RulesRefused(errors)
    return Rules(levels, special)


PARTS = ("levels", "special")


def warnings(rules: Rules) -> list[str]:
    """What is allowed, and probably not meant: the vendor lets levels overlap, leave gaps and stand in any order."""
    said = []
    spans = [(level.min, level.max or AMOUNT_MAX, n) for n, level in enumerate(rules.levels, 1)]
    for (start, end, n), (next_start, next_end, m) in pairwise(spans):
        if next_start <= end and start <= next_end:
            said.append(f"Levels {n} and {m} overlap: level {n} takes what both want.")
        elif next_start > end + 1:
            said.append(f"Nothing happens between level {n} and level {m} ({end + 1} to {next_start - 1} tokens).")
    return said


def _read_levels(given: object, errors: dict[str, str]) -> tuple[Level, ...]:
    if not isinstance(given, list) or not 1 <= len(given) <= LEVELS_MAX:
        errors["levels"] = f"must be a list of 1 to {LEVELS_MAX} levels"
        return ()
    levels = []
    for index, item in enumerate(given):
        at = f"levels.{index}"
        if not isinstance(item, dict):
            errors[at] = "must be an object with min, max, time, vLevel, rLevel"
            continue
        low = _whole(item, "min", 1, AMOUNT_MAX, at, errors)
        high = None if item.get("max") is None else _whole(item, "max", 1, AMOUNT_MAX, at, errors)
        if high is not None and low and f"{at}.max" not in errors and high < low:
            errors[f"{at}.max"] = f"must be at least {low}, the level's minimum, or empty for an open end"
        time = _whole(item, "time", 1, SECONDS_MAX, at, errors)
        vibrate = _whole(item, "vLevel", 0, STRENGTH_MAX, at, errors)
        rotate = _whole(item, "rLevel", 0, STRENGTH_MAX, at, errors) if "rLevel" in item else 0
        levels.append(Level(low, high, time, vibrate, rotate))
    return tuple(levels)


def _read_specials(given: object, before: dict[str, Special], errors: dict[str, str]) -> dict[str, Special]:
    if not isinstance(given, dict):
        errors["special"] = f"must be an object whose names are among {', '.join(SPECIALS)}"
        return before
    specials = dict(before)
    for name, item in given.items():
        at = f"special.{name}"
        if name not in before or not isinstance(item, dict):
            errors[at] = f"must be one of {', '.join(SPECIALS)}, with token, time, enabled"
            continue
        enabled = item.get("enabled", True)
        if not isinstance(enabled, bool):
            errors[f"{at}.enabled"] = f"must be true or false, not {enabled!r}"
        elif not enabled and item.get("token") is None:
            specials[name] = replace(before[name], enabled=False)
        else:
            token = _whole(item, "token", 1, AMOUNT_MAX, at, errors)
            time = None if name == "clear" else _whole(item, "time", 1, SECONDS_MAX, at, errors)
            specials[name] = Special(token, time, enabled)
    _refuse_twins(specials, errors)
    return specials


def _refuse_twins(specials: dict[str, Special], errors: dict[str, str]) -> None:
    taken: dict[int, str] = {}
    for name, special in specials.items():
        if special.enabled and f"special.{name}.token" not in errors:
            first = taken.setdefault(special.token, name)
            if first != name:
                errors[f"special.{name}.token"] = f"is {special.token} tokens, which already means {first}"


def _whole(item: dict[Any, Any], field: str, low: int, high: int, at: str, errors: dict[str, str]) -> int:
    value = item.get(field)
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    given = "is missing" if value is None else f"not {str(value)[:40]!r}"
    errors[f"{at}.{field}"] = f"must be a whole number from {low} to {high}, {given}"
    return 0
