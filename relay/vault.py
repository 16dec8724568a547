"""The vault: vendor tokens at rest, encrypted with the newest of the operator's keys, readable with any of them."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from relay.errors import BadSettings


class Vault:
    def __init__(self, keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys]) if keys else None

    def seal(self, secret: str) -> bytes:
        """The secret, encrypted. Raises `BadSettings` where no key was set."""
        if self._fernet is None:
            raise BadSettings(["RELAY_ENCRYPTION_KEYS is not set: vendor tokens are only kept encrypted"])
        return self._fernet.encrypt(secret.encode())

    def open(self, sealed: bytes) -> str:
        """The secret. Raises `BadSettings` where none of the keys fits."""
        try:
            if self._fernet is not None:
                return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            pass
        raise BadSettings(["RELAY_ENCRYPTION_KEYS: no key opens what the store keeps: put the old key back, last"])
