"""Models: registered with the vendor once, and what their pages need to begin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

from relay.clock import Clock
from relay.errors import BadSettings, Invalid, UnknownModel
from relay.hub import Hub
from relay.names import clean_name
from relay.secret import Secret
from relay.stores import Change, ModelRecord, Store
from relay.tips import read_model_id, shown
from relay.vault import Vault
from relay.vendors import Vendor
from relay.wordings import KINDS, Wordings


@dataclass(frozen=True, slots=True)
class Words:
    """What the platform wishes about the announcements in a model's room."""

    chosen: dict[str, Any] = field(default_factory=dict)  # `language`, where it was given; None: the default
    switched: dict[str, bool] = field(default_factory=dict)  # kind -> whether it is announced

    def applied(self, record: ModelRecord) -> ModelRecord:
        """The record with these wishes; what was not given stays."""
        off = {kind for kind, on in self.switched.items() if not on}
        return replace(record, **self.chosen, muted=(record.muted - self.switched.keys()) | off)


def read_words(data: dict[str, Any], wordings: Wordings) -> Words:
    """`language` and `announcements` out of a request's body. Raises `Invalid`."""
    language, switched = data.get("language"), data.get("announcements", {})
    if language is not None and (not isinstance(language, str) or language not in wordings.languages):
        raise Invalid(
            f"'language' must be one of {', '.join(sorted(wordings.languages))}, not {shown(language)}: "
            "RELAY_ANNOUNCEMENTS names the file with more",
            field="language",
        )
    if not isinstance(switched, dict):
        raise Invalid(
            f"'announcements' must be an object such as {{\"tip\": false}}, not {shown(switched)}",
            field="announcements",
        )
    for kind, on in switched.items():
        if kind not in KINDS or not isinstance(on, bool):
            raise Invalid(
                f"'announcements' holds {ascii(kind)[:60]}: {shown(on)}; give true or false for {', '.join(KINDS)}",
                field="announcements",
            )
    return Words({"language": language} if "language" in data else {}, switched)


Registration = asyncio.Task[tuple[ModelRecord, bool]]


class Models:
    """Registers models; concurrent registrations of one model make one call to the vendor and share its outcome."""

    def __init__(self, hub: Hub, store: Store, vendor: Vendor, vault: Vault, clock: Clock) -> None:
        self._hub = hub
        self._store = store
        self._vendor = vendor
        self._vault = vault
        self._clock = clock
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._under_way: dict[tuple[str, bool], Registration] = {}  # by model, and whether her token is renewed

    async def register(
        self, model: str, name: object, *, renew: bool = False, words: Words | None = None
    ) -> tuple[ModelRecord, bool]:
        """The model's record, and whether it is new. Asks the vendor only for a token that is missing, or to `renew`.

        Raises `Invalid`, `VendorRefused`, `VendorUnavailable`, `StoreUnavailable`.
        """
        model = read_model_id(model)
        cleaned = clean_name(name) if isinstance(name, str) else ""
        if name is not None and not cleaned:
            raise Invalid(f"'name' must be the model's name with at least one visible character, not {shown(name)}")
        key = model, renew
        registration = self._under_way.get(key)
        first = registration is None
        if registration is None:
            registration = self._under_way[key] = asyncio.create_task(self._registered(model, cleaned, renew))
            registration.add_done_callback(partial(self._done, key))
        record, new = await asyncio.shield(registration)  # others wait for it, too: it goes on without this asker

        def wished(standing: ModelRecord) -> ModelRecord:
            named = replace(standing, name=cleaned or standing.name)
            return named if words is None else words.applied(named)

        if wished(record) != record:
            async with self._turn(model):
                record = await self._save(model, lambda standing: wished(standing or record))
        return record, new and first

    def _done(self, key: tuple[str, bool], registration: Registration) -> None:
        del self._under_way[key]
        if not registration.cancelled():
            registration.exception()  # whoever still waits has it

    async def _registered(self, model: str, name: str, renew: bool) -> tuple[ModelRecord, bool]:
        """The model's record with a token, and whether it is new. A token that cannot be renewed stays."""
        async with self._turn(model):
            standing = await self._store.model(model)
            token = standing.token if standing else None
            if token is None or renew:
                fresh = await self._vendor.register(model, name or (standing.name if standing else model))
                token = token if fresh is None else self._vault.seal(fresh)

            def change(record: ModelRecord | None) -> ModelRecord:
                if record is None:
                    return ModelRecord(model, name or model, self._clock.now(), token)
                return replace(record, name=name or record.name, token=token)

            return await self._save(model, change), standing is None

    async def reseal(self) -> tuple[int, list[str]]:
        """Encrypt every token with the newest key: how many there were, and the models whose token no key opens.

        Raises `StoreUnavailable`.
        """
        done, lost = 0, []
        for model in await self._store.models():
            async with self._turn(model.id):
                standing = await self._store.model(model.id)
                if standing is None or standing.token is None:
                    continue
                try:
                    token = self._vault.resealed(standing.token)
                except BadSettings:
                    lost.append(model.id)
                    continue
                await self._save(model.id, partial(_with_token, token=token))
                done += 1
        return done, lost

    def _turn(self, model: str) -> asyncio.Lock:
        """One at a time changes a model's record."""
        return self._turns.setdefault(model, asyncio.Lock())

    async def _save(self, model: str, change: Callable[[ModelRecord | None], ModelRecord]) -> ModelRecord:
        """Write a model's record, through her room where there is one."""
        try:
            room = await self._hub.room(model)
        except UnknownModel:
            record = change(None)
            await self._store.keep(Change(model=record))
            return record
        room.record = change(room.record)
        await self._hub.committed(room, Change(model=room.record))
        return room.record

    async def record(self, model: str) -> ModelRecord:
        """Raises `UnknownModel`."""
        record = await self._store.model(model)
        if record is None:
            raise UnknownModel(f"model '{model:.128}' is not registered: PUT /models/{model:.128} first")
        return record

    def secrets(self, record: ModelRecord) -> list[Secret]:
        """What must not show in anything that is written about the model."""
        return [] if record.token is None else [self._vault.open(record.token)]

    def script_url(self, record: ModelRecord) -> str | None:
        """The vendor's script, for the model's own page only; None where the vendor gave no token."""
        return None if record.token is None else self._vendor.script_url(self._vault.open(record.token))

    def settings_url(self, record: ModelRecord) -> str | None:
        """The vendor's settings page, for the model's own eyes only."""
        return None if record.token is None else self._vendor.settings_url(self._vault.open(record.token))


def _with_token(record: ModelRecord | None, token: bytes) -> ModelRecord:
    assert record is not None, "models are never forgotten"
    return replace(record, token=token)
