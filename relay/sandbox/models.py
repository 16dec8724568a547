"""The models that the sandbox knows: their rules, toys and switches, and the pages that are live now."""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import orjson
from msgspec import Struct, to_builtins
from msgspec.structs import replace

from relay.sandbox import tokens
from relay.sandbox.accounts import Accounts
from relay.sandbox.ledger import Ledger
from relay.sandbox.rules import DEFAULTS, Rules, warnings
from relay.sandbox.switches import Switches
from relay.sandbox.weather import Sky

MODELS_MAX = 1000
PAGES_MAX = 2000  # sockets, over all models
OUTBOX_FRAMES_MAX = 200  # a page that is further behind is cut; it returns and gets the whole state


class Toy(Struct, frozen=True):
    id: str
    type: str
    name: str
    on: bool


TOYS = (Toy("l58f167da065", "lush", "", True),)


class Page:
    """The sandbox's end of one live page."""

    def __init__(self) -> None:
        self.outbox: asyncio.Queue[bytes | None] = asyncio.Queue(OUTBOX_FRAMES_MAX)

    def send(self, frame: bytes) -> None:
        try:
            self.outbox.put_nowait(frame)
        except asyncio.QueueFull:
            while not self.outbox.empty():
                self.outbox.get_nowait()
            self.outbox.put_nowait(None)


@dataclass(slots=True)
class Model:
    """One model and everything about it that a page may ask."""

    token: str
    id: str | None  # None when only its token is known, after a restart
    name: str
    switches: Switches
    rules: Rules = DEFAULTS
    toys: tuple[Toy, ...] = TOYS
    held: bool = False  # paused by the model until she resumes
    saved: Rules | None = None  # edited rules that have not taken effect yet
    pages: set[Page] = field(default_factory=set)
    _timer: asyncio.TimerHandle | None = None

    def save(self, rules: Rules, delay: float) -> None:
        """Edited rules take effect `delay` seconds later; another edit meanwhile replaces them and starts anew."""
        self.forget_timer()
        self.saved = rules
        self._timer = asyncio.get_running_loop().call_later(delay, self._take_effect)

    def _take_effect(self) -> None:
        if self.saved is not None:
            self.rules, self.saved = self.saved, None
        self._timer = None
        self.publish_state()

    def forget_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def takes_effect_in(self) -> float | None:
        """Seconds until the edited rules hold; None when nothing is waiting."""
        if self._timer is None:
            return None
        return round(max(0.0, self._timer.when() - asyncio.get_running_loop().time()), 3)

    def turn(self, on: bool, toy_id: str | None = None) -> bool:
        """Switches one toy, or all; False when there is no such toy."""
        if toy_id is not None and all(toy.id != toy_id for toy in self.toys):
            return False
        self.toys = tuple(replace(toy, on=on) if toy_id in (None, toy.id) else toy for toy in self.toys)
        self.publish_state()
        return True

    def state(self) -> dict[str, Any]:
        """What a live page has to know, whole, so that a frame may be lost without harm."""
        return {
            "type": "state",
            "model": self.name,
            "rules": to_builtins(self.rules),
            "toys": to_builtins(self.toys),
            "held": self.held,
            "switches": to_builtins(self.switches),
        }

    def for_settings_page(self) -> dict[str, Any]:
        """The state, and what the settings page shows beside it."""
        saved = self.saved if self.saved is not None else self.rules
        more = {"saved": to_builtins(saved), "warnings": warnings(saved), "takes_effect_in": self.takes_effect_in}
        return self.state() | more | {"pages": len(self.pages)}

    def publish(self, frame: dict[str, Any]) -> None:
        encoded = orjson.dumps(frame)
        for page in tuple(self.pages):
            page.send(encoded)

    def publish_state(self) -> None:
        self.publish(self.state())


class SandboxFull(RuntimeError):
    """Every model that the sandbox has room for is live."""


@dataclass(slots=True)
class Sandbox:
    """All that the sandbox holds; one per application."""

    settings_delay: float  # seconds
    speed: float  # 10 makes ten seconds of reaction last one
    developer_token: str | None  # None takes any
    switches: Switches  # what a new model starts with
    accounts: Accounts
    weather: Sky
    ledger: Ledger = field(default_factory=Ledger)
    models_max: int = MODELS_MAX
    _models: OrderedDict[str, Model] = field(default_factory=OrderedDict)

    def register(self, model_id: str, name: str, *, fresh: bool = False) -> Model:
        """The model with this id, made known if it was not; `fresh` under another token, as a new model. Raises
        SandboxFull."""
        model = self.find(tokens.issue(model_id + (f" {secrets.token_hex(8)}" if fresh else "")))
        if model is None:  # issue() makes only genuine tokens
            raise SandboxFull
        if (model.id, model.name) != (model_id, name):
            model.id, model.name = model_id, name
            model.publish_state()
        return model

    def find(self, token: str) -> Model | None:
        """The model with this token; one that a former run of the sandbox gave out is taken up again."""
        if token in self._models:
            self._models.move_to_end(token)
        elif not tokens.genuine(token) or not self._make_room():
            return None
        else:
            self._models[token] = Model(token, None, "model", self.switches)
        return self._models[token]

    @property
    def pages(self) -> int:
        return sum(len(model.pages) for model in self._models.values())

    def _make_room(self) -> bool:
        if len(self._models) < self.models_max:
            return True
        idle = next((model for model in self._models.values() if not model.pages), None)
        if idle is None:
            return False
        idle.forget_timer()
        self.ledger.forget(idle.token)
        del self._models[idle.token]
        return True
