"""Lovense: Cam Kit for Web (its script's words in `wire`, its server in `client`) and App Gallery (`app_gallery`)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from relay.clock import Clock
from relay.secret import Secret
from relay.settings import Settings
from relay.vendors import AccountServer, Reading
from relay.vendors.lovense.app_gallery import AppGalleryClient
from relay.vendors.lovense.calls import TIMEOUT_SECONDS
from relay.vendors.lovense.client import CamKitClient
from relay.vendors.lovense.wire import read


class Lovense:
    """Keeps the `Vendor` contract over the wire table and the HTTP clients. `timeout`: seconds for a call's steps."""

    kit = "camkit"

    def __init__(self, settings: Settings, clock: Clock | None = None, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self._base = settings.lovense_api_url
        self._client = CamKitClient(settings, timeout=timeout) if settings.developer_token else None
        self._gallery = None
        if settings.links_accounts:
            self._gallery = AppGalleryClient(settings, clock or Clock(), timeout=timeout)
        self.accounts: AccountServer | None = self._gallery

    def read(self, raw: Any) -> Reading:
        return read(raw)

    def script_url(self, token: Secret) -> str:
        return f"{self._base}/api/cam/model/v2/model.js?mToken={quote(token.reveal(), safe='')}"

    def settings_url(self, token: Secret) -> str:
        return f"{self._base}/api/cam/model/v2/setting?mToken={quote(token.reveal(), safe='')}"

    async def register(self, model: str, name: str) -> Secret | None:
        return None if self._client is None else await self._client.get_token(model, name)

    async def close(self) -> None:
        for client in (self._client, self._gallery):
            if client is not None:
                await client.close()
