"""The contract with a toy vendor: its words made ours, and its servers asked.

A new vendor is a module that keeps this contract, in a folder beside `lovense/` or in a package of its own
(docs/adding-a-vendor.md).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from relay.clock import Clock
from relay.errors import BadSettings
from relay.events import Event
from relay.grants import Grant
from relay.secret import Secret
from relay.settings import Settings

VENDORS = {"lovense": "relay.vendors.lovense:Lovense"}  # names for `RELAY_VENDOR`


@dataclass(frozen=True, slots=True)
class Reading:
    """An event, and the fields that held something unreadable (they are None in the event; facts.md H26)."""

    event: Event
    anomalies: tuple[str, ...] = ()


class AccountServer(Protocol):
    """What the relay asks of a vendor whose users link their accounts. Each call asks once, whatever happens.

    Raises `VendorRefused` (an answer that says no), `VendorUntouched` (the vendor cannot have acted), or else
    `VendorUnavailable`: nobody can tell whether it has.
    """

    async def exchange(self, code: str) -> Grant:
        """The user's first pair of tokens, and her id, for an auth code."""

    async def refresh(self, token: Secret) -> Grant:
        """The next pair for a refresh token. Both tokens of the pair before are dead from then on."""

    async def user_name(self, token: Secret) -> str | None:
        """The name the user agreed to show; None where she did not."""


class Vendor(Protocol):
    """What the relay asks of a vendor."""

    kit: str  # the name the shim knows the vendor's browser script by
    accounts: AccountServer | None  # None where the vendor links none, or is not configured for it

    def read(self, raw: Any) -> Reading:
        """The vendor's own words as an event. Never raises: `Unknown` at worst."""

    def script_url(self, token: Secret) -> str:
        """The vendor's browser script for one model. Holds the token: for the model's page only."""

    def settings_url(self, token: Secret) -> str:
        """The vendor's settings page for one model. Holds the token: for the model's eyes only."""

    async def register(self, model: str, name: str) -> Secret | None:
        """The model's token from the vendor's server, or None where the vendor is not configured.

        Raises `VendorRefused` (an answer that says no) or `VendorUnavailable` (no usable answer).
        """

    async def close(self) -> None:
        """Let go of connections."""


def find_vendor(name: str) -> Callable[[Settings, Clock], Vendor]:
    """What makes the vendor that `RELAY_VENDOR` names: one of `VENDORS`, or `module:factory`. Raises `BadSettings`."""
    module, colon, factory = VENDORS.get(name, name).partition(":")
    if not colon:
        known = ", ".join(VENDORS)
        raise BadSettings([f"RELAY_VENDOR: '{name}' is no vendor: use one of {known}, or module:factory of your own"])
    try:
        found = getattr(importlib.import_module(module), factory)
    except (ImportError, AttributeError, ValueError) as error:
        raise BadSettings([f"RELAY_VENDOR: '{name}' cannot be had: {error}"]) from error
    make: Callable[[Settings, Clock], Vendor] = found
    return make
