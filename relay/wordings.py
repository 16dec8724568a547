"""Wordings: the relay's own sentences, per language. A platform replaces any of them with a file of its own."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import Any

import orjson

ENGLISH = "en"
LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")
TEMPLATE_LENGTH_MAX = 1000
FILE_BYTES_MAX = 1024 * 1024

# Announcements: what may be switched off per model, and the templates each is worded with.
KINDS: dict[str, tuple[str, ...]] = {
    "tip": ("tip", "tip_unknown", "tips", "tips_many"),
    "queue": ("queue",),
    "toy_on": ("toy_on",),
    "toy_off": ("toy_off",),
    "settings": ("settings",),
    "held": ("held",),
    "stopped": ("stopped",),
    "released": ("released",),
    "online": ("online",),
    "offline": ("offline",),
}

TEMPLATES = {
    "tip": "{tipper} tipped {amount} tokens: {effect}.",
    "tip_unknown": "{tipper} tipped {amount} tokens.",
    "tips": "{count} tips from {tipper}, {amount} tokens together.",
    "tips_many": "{count} tips from {tippers} tippers, {amount} tokens together.",
    "queue": "Tips waiting: {count}.",
    "toy_on": "{name}'s toy is connected.",
    "toy_off": "{name}'s toy is disconnected.",
    "settings": "{name} has changed what tips do: {menu}.",
    "held": "{name} has paused tips. They will be played when she continues.",
    "stopped": "{name} has stopped the toy.",
    "released": "{name} continues: tips are played again.",
    "online": "{name} is online.",
    "offline": "{name} is offline.",
    # What an amount does: `effect` and `menu` are made of these.
    "level": "level {level}{time}",
    "special": "{special}{time}",
    "nothing": "no reaction",
    "time": " for {seconds} s",
    "exactly": "{min}: {effect}",
    "between": "{min} to {max}: {effect}",
    "from": "{min} and more: {effect}",
    "separator": "; ",
}

PLACEHOLDERS: dict[str, tuple[str, ...]] = {
    "tip": ("name", "tipper", "amount", "effect"),
    "tip_unknown": ("name", "tipper", "amount"),
    "tips": ("name", "tipper", "amount", "count"),
    "tips_many": ("name", "amount", "count", "tippers"),
    "queue": ("name", "count"),
    "settings": ("name", "menu"),
    "level": ("level", "time"),
    "special": ("special", "time"),
    "nothing": (),
    "time": ("seconds",),
    "exactly": ("min", "effect"),
    "between": ("min", "max", "effect"),
    "from": ("min", "effect"),
    "separator": (),
}  # all others: the model's name


def placeholders(template: str) -> tuple[str, ...]:
    return PLACEHOLDERS.get(template, ("name",))


@dataclass(frozen=True, slots=True)
class Wording:
    """The templates of one language, all of them."""

    language: str
    templates: dict[str, str] = field(repr=False)

    def say(self, template: str, **values: Any) -> str:
        """The sentence. What is filled in stays what it is: text."""
        return self.templates[template].format(**values)


@dataclass(frozen=True, slots=True)
class Wordings:
    """Every language there is. `default` is that of models without a choice of their own."""

    languages: dict[str, Wording]
    default: str = ENGLISH
    source: str = "built in"

    def of(self, language: str | None) -> Wording:
        """A model's wording; one that is no longer there is replaced by the default."""
        return self.languages.get(language or self.default) or self.languages[self.default]

    def __str__(self) -> str:
        """For the operator."""
        if self.source == "built in":
            return self.source
        others = [language for language in sorted(self.languages) if language != self.default]
        return f"{self.source}: {', '.join([f'{self.default} (default)', *others])}"


BUILT_IN = Wordings({ENGLISH: Wording(ENGLISH, TEMPLATES)})


def load_wordings(path: str) -> Wordings:
    """The wordings in a JSON or TOML file. Raises `ValueError` with everything that is wrong with it."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"the file cannot be read ({error.strerror}): name a JSON or TOML file") from None
    if len(data) > FILE_BYTES_MAX:
        raise ValueError(f"the file has {len(data)} bytes: at most {FILE_BYTES_MAX} are read")
    try:
        content = tomllib.loads(data.decode()) if path.endswith(".toml") else orjson.loads(data)
    except ValueError as error:
        kind = "TOML" if path.endswith(".toml") else "JSON (a TOML file has to end in .toml)"
        raise ValueError(f"the file is not {kind}: {error}") from None
    return read_wordings(content, path)


def read_wordings(content: Any, source: str) -> Wordings:
    """Wordings out of `{"default": language, language: {template: text}}`. What a language leaves out is English."""
    if not isinstance(content, dict):
        raise ValueError('the file must hold an object: {"default": "de", "de": {"tip": "…"}}')
    problems: list[str] = []
    given = {language: texts for language, texts in content.items() if language != "default"}
    for language, texts in given.items():
        if not LANGUAGE.fullmatch(language):
            problems.append(f"'{language}' is not a language: write it as 'de' or 'pt-BR'")
        elif not isinstance(texts, dict):
            problems.append(f'\'{language}\' must be an object of announcements, such as {{"tip": "…"}}')
        else:
            problems += filter(None, (wrong(language, name, text) for name, text in texts.items()))
    default = content.get("default", ENGLISH)
    if not isinstance(default, str) or default not in {ENGLISH, *given}:
        problems.append(
            f"'default' is {default!r}, which the file does not have: use one of {_list({ENGLISH, *given})}"
        )
    if problems:
        raise ValueError("; ".join(problems))
    english = TEMPLATES | given.get(ENGLISH, {})
    languages = {language: Wording(language, english | texts) for language, texts in given.items()}
    return Wordings({ENGLISH: Wording(ENGLISH, english)} | languages, default, source)


def wrong(language: str, name: str, text: Any) -> str | None:
    """What is wrong with one template, and what would be right."""
    where = f"'{name}' ({language})"
    if name not in TEMPLATES:
        return f"{where} is not an announcement: use one of {_list(TEMPLATES)}"
    if not isinstance(text, str) or not text or len(text) > TEMPLATE_LENGTH_MAX:
        return f"{where} must be a text of 1 to {TEMPLATE_LENGTH_MAX} characters, not {str(text)[:40]!r}"
    allowed = placeholders(name)
    remedy = f"use {_list('{' + one + '}' for one in allowed)}" if allowed else "it takes none"
    try:
        for _, found, spec, conversion in Formatter().parse(text):
            if found is not None and (found not in allowed or spec or conversion):
                return f"{where} has the placeholder {{{found}{':' if spec else ''}{spec}}}: {remedy}"
    except ValueError as error:
        return f"{where} has a brace that is no placeholder ({error}): write {{{{ or }}}} for a brace, or {remedy}"
    return None


def _list(words: Any) -> str:
    return ", ".join(sorted(words) if isinstance(words, set) else words)
