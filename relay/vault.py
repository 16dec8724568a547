"""The vault: secrets at rest, encrypted with the newest of the operator's keys, readable with any of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from relay.errors import BadSettings
from relay.secret import Secret


class Vault:
    def __init__(self, keys: Sequence[Secret]) -> None:
        self._fernet = MultiFernet([Fernet(key.reveal()) for key in keys]) if keys else None
        self.newest = fingerprint(keys[0]) if keys else None  # tells two keys apart, and nothing about either

    def seal(self, secret: Secret) -> bytes:
        """The secret, encrypted. Raises `BadSettings` where no key was set."""
        if self._fernet is None:
            raise BadSettings(["RELAY_ENCRYPTION_KEYS is not set: secrets are only kept encrypted"])
        return self._fernet.encrypt(secret.reveal().encode())

    def open(self, sealed: bytes) -> Secret:
        """The secret. Raises `BadSettings` where none of the keys fits."""
        try:
            if self._fernet is not None:
                return Secret(self._fernet.decrypt(sealed).decode())
        except InvalidToken:
            pass
        raise BadSettings(["RELAY_ENCRYPTION_KEYS: no key opens what the store keeps: put the old key back, last"])

    def resealed(self, sealed: bytes) -> bytes:
        """The same secret, encrypted with the newest key. Raises `BadSettings` where none of the keys fits."""
        return self.seal(self.open(sealed))


def fingerprint(key: Secret) -> str:
    return hashlib.sha256(key.reveal().encode()).hexdigest()[:8]
