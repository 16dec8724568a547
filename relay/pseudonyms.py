"""Pseudonyms: what a recording says instead of tippers' names, and of what nobody may read there.

The same name is the same pseudonym throughout one recording, in tips, in the vendor's queue views and in its sentences.
Toy ids, links and what looks like a token are replaced in every recording.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import msgspec

NAMES_MAX = 10_000  # of one recording; who comes later shares one pseudonym
SECRET_LENGTH_MIN = 8

NAME_KEYS = frozenset({"tippername", "tipper", "cname", "username", "nickname", "viewer", "user", "to", "from"})
TOY_KEYS = frozenset({"toyid", "deviceid"})
TIP_KEYS = frozenset({"relaytipid"})  # our own id, where the vendor gives it back (facts.md 1.6)
STRUCTURE_KEYS = frozenset({"type", "module", "specialtype", "toytype", "status", "level", "action"})
TOY_EVENTS = frozenset({"toy", "getToys"})
NAMELESS_EVENTS = TOY_EVENTS | {"settings", "getSettings"}  # the vendor names no tipper there
KNOWN_EVENTS = NAMELESS_EVENTS | {"message", "tip", "cLink", "tipQueueStatus", "tipQueueChange", "tipRunning"}

# All of bounded reach: an event may be long, and made to be slow to search.
LINK = re.compile(r"\b\w{1,20}://\S+|\b(?:[\w-]{1,63}\.){1,8}[a-z]{2,20}/\S*", re.IGNORECASE)
OPAQUE = re.compile(r"[\w+/=.-]{32,}", re.ASCII)
NUMBER = re.compile(r"\s*-?[\d.]+\s*")
OWNER = re.compile(r"\bto (.{1,200}?)['’]s\b")  # "reacting to john's tip"
WORD = re.compile(r"[^\W\d_][\w'’-]*")
# The words of the vendor's sentences (cam-kit-for-web.md); in a sentence about nobody we know only these are kept.
WORDS = frozenset(
    [
        "a",
        "about",
        "after",
        "again",
        "all",
        "and",
        "are",
        "at",
        "by",
        "cleared",
        "connected",
        "control",
        "disconnected",
        "end",
        "ended",
        "for",
        "from",
        "go",
        "has",
        "have",
        "in",
        "is",
        "it",
        "level",
        "lovense",
        "minute",
        "minutes",
        "my",
        "new",
        "no",
        "now",
        "of",
        "off",
        "on",
        "paused",
        "queue",
        "reacting",
        "sec",
        "second",
        "seconds",
        "start",
        "started",
        "stop",
        "stopped",
        "the",
        "tip",
        "tips",
        "to",
        "tokens",
        "toy",
        "toys",
        "up",
        "was",
        "will",
        "with",
        "you",
        "your",
        "edge",
        "gush",
        "hush",
        "lush",
        "max",
        "nora",
    ]
)


class Pseudonyms:
    """`names`: keep the tippers' own. `secrets`: texts that never show. `alias`: what anonymous tippers are called."""

    def __init__(self, *, names: bool = False, secrets: Iterable[str] = (), alias: str = "") -> None:
        self.keeps_names = names
        known = [one for one in secrets if len(one) >= SECRET_LENGTH_MIN]
        self._secrets = known + [quote(one, safe="") for one in known]  # as an address has it
        self._alias = alias
        self._names: dict[str, str] = {}
        self._tips: dict[str, str] = {}
        self._toys: dict[str, str] = {}
        self._journals: dict[str, str] = {}
        self._made: set[str] = set()

    # -- one thing ----------------------------------------------------------

    def name(self, name: str) -> str:
        """A tipper's name as the vendor was given it."""
        if self.keeps_names and len(self._names) < NAMES_MAX:
            self._names[name] = name
        if self.keeps_names or name in ("", self._alias):
            return name
        return self._named(self._names, name, "viewer-")

    def tip(self, id: str) -> str:
        """A platform's tip id; it may hold a name."""
        return id if self.keeps_names else self._named(self._tips, id, "tip-")

    def toy(self, id: str) -> str:
        return self._named(self._toys, id, "toy-") if id else id

    def journal(self, id: str) -> str:
        """A browser's journal."""
        return self._named(self._journals, id, "journal-")

    def _named(self, known: dict[str, str], word: str, prefix: str) -> str:
        if word in self._made:  # it is a pseudonym already
            return word
        if word not in known:
            if len(known) >= NAMES_MAX:
                return f"{prefix}more"
            known[word] = f"{prefix}{len(known) + 1:03}"  # of one length: no name is the beginning of another
            self._made.add(known[word])
        return known[word]

    # -- an event ----------------------------------------------------------

    def event(self, raw: Any) -> Any:
        """A vendor's event, as it may be kept. Raises `RecursionError` where it is too deep."""
        opened = _opened(raw)
        if opened is not None:
            return msgspec.json.encode(self.event(opened)).decode()
        kind = raw.get("type") if isinstance(raw, dict) else None
        kind = kind if isinstance(kind, str) else ""
        if kind in TOY_EVENTS:
            self._learn_toys(raw.get("detail"))
        return self._walk("", raw, kind)

    def _learn_toys(self, detail: Any) -> None:
        """A list of toys, or a map by their ids."""
        detail = _opened(detail) or detail
        if isinstance(detail, dict):
            opened = {id: _opened(toy) or toy for id, toy in detail.items()}
            for id in (id for id, toy in opened.items() if isinstance(toy, dict)):
                self.toy(id)
            detail = list(opened.values())
        for toy in detail if isinstance(detail, list) else ():
            for key in ("id", "toyId"):
                if isinstance(toy, dict) and isinstance(toy.get(key), str):
                    self.toy(toy[key])

    def _walk(self, key: str, value: Any, kind: str) -> Any:
        if isinstance(value, dict):
            return {self._key(str(name), kind): self._walk(str(name), one, kind) for name, one in value.items()}
        if isinstance(value, list):
            return [self._walk(key, one, kind) for one in value]
        if isinstance(value, str):
            opened = _opened(value)
            if opened is not None:
                return msgspec.json.encode(self._walk(key, opened, kind)).decode()
            return self._text(key.lower(), value, kind)
        if key.lower() in NAME_KEYS and not self.keeps_names and isinstance(value, int | float):
            return self.name(str(value))
        return value

    def _key(self, key: str, kind: str) -> str:
        """Maps may be keyed by a toy's id, those of events we do not know by a name."""
        if key in self._toys:
            return self._toys[key]
        return self._sentence(key, strict=False) if kind not in KNOWN_EVENTS else self.secretless(key)

    def _text(self, key: str, value: str, kind: str) -> str:
        if key in TOY_KEYS or value in self._toys or (kind in TOY_EVENTS and key == "id"):
            return self.toy(value)
        if key in TIP_KEYS:
            return self.tip(self._unlinked(value))
        if key in NAME_KEYS or (kind == "tip" and key == "name"):
            return self._unlinked(value) if self.keeps_names and value not in self._names else self.name(value)
        if key in STRUCTURE_KEYS and kind in KNOWN_EVENTS:
            return self.secretless(value)
        if kind == "message":
            return self._sentence(value, strict=True)
        if kind in NAMELESS_EVENTS or NUMBER.fullmatch(value):
            return self.secretless(value)
        return self._sentence(value, strict=False)

    # -- text ----------------------------------------------------------

    def words(self, text: str) -> str:
        """What the page says, such as an error of the vendor's script."""
        return self._sentence(text, strict=False)

    def _sentence(self, text: str, *, strict: bool) -> str:
        """Words that may speak of a tipper. `strict`: where nobody known is found, words that may be a name go too."""
        if self.keeps_names:
            return self.secretless(text)
        told = self._known(text)
        owner = OWNER.search(told)
        if owner is not None and owner[1] != self._alias:
            told = told[: owner.start(1)] + self.name(owner[1]) + told[owner.end(1) :]
        if strict and told == text and owner is None and not self._about_somebody(text):
            told = WORD.sub(lambda word: word[0] if word[0].casefold() in WORDS else "…", text)
        return self.secretless(told)

    def _known(self, text: str) -> str:
        """Longest first: 'jo' is no name in words about 'jo ann'."""
        folded = text.casefold()
        for name in sorted((one for one in self._names if one.casefold() in folded), key=len, reverse=True):
            before = r"(?<![A-Za-z0-9])" if name[0].isascii() and name[0].isalnum() else ""
            after = r"(?![A-Za-z0-9])" if name[-1].isascii() and name[-1].isalnum() else ""
            text = re.sub(before + re.escape(name) + after, self._names[name], text, flags=re.IGNORECASE)
        return text

    def _about_somebody(self, text: str) -> bool:
        """It names the alias, or holds a pseudonym already."""
        return bool(self._alias and self._alias in text) or re.search(r"\bviewer-\d{3}", text) is not None

    def secretless(self, text: str) -> str:
        """Without tokens, links and toy ids."""
        text = self._unlinked(text)
        for id, pseudonym in self._toys.items():
            if len(id) >= SECRET_LENGTH_MIN:
                text = text.replace(id, pseudonym)
        return OPAQUE.sub(_unless_a_word, text)

    def _unlinked(self, text: str) -> str:
        """A name or an id may be long and odd: only what is known to be secret, and links, are none."""
        for secret in self._secrets:
            text = text.replace(secret, "<secret>")
        return LINK.sub("<link>", text)


def _unless_a_word(run: re.Match[str]) -> str:
    """A token has letters and digits."""
    plain = run[0].isalpha() or not any(one.isalpha() for one in run[0])
    return run[0] if plain else "<secret>"


def _opened(value: Any) -> Any | None:
    """JSON inside a text (facts.md 1.4); None where there is none."""
    if isinstance(value, str) and value[:1] in "{[" and value:
        try:
            return msgspec.json.decode(value)
        except (msgspec.DecodeError, ValueError):
            return None
    return None
