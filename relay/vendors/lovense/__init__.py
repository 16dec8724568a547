"""Lovense: Cam Kit for Web (its script's words in `wire`, its servers in `client`)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from relay.settings import Settings
from relay.vendors import Reading
from relay.vendors.lovense.client import CamKitClient
from relay.vendors.lovense.wire import read


class Lovense:
    """Keeps the `Vendor` contract over the wire table and the HTTP client."""

    kit = "camkit"

    def __init__(self, settings: Settings) -> None:
        self._base = settings.lovense_api_url
        self._client = CamKitClient(settings) if settings.developer_token else None

    def read(self, raw: Any) -> Reading:
        return read(raw)

    def script_url(self, token: str) -> str:
        return f"{self._base}/api/cam/model/v2/model.js?mToken={quote(token, safe='')}"

    def settings_url(self, token: str) -> str:
        return f"{self._base}/api/cam/model/v2/setting?mToken={quote(token, safe='')}"

    async def register(self, model: str, name: str) -> str | None:
        return None if self._client is None else await self._client.get_token(model, name)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
