"""Who calls: backends by API key or by Standard Webhooks signature; readers by feed ticket."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence

from relay.errors import Forbidden, Unauthenticated
from relay.signatures import Signer
from relay.values import ApiKey

HINT = "send 'Authorization: Bearer <api key>', or sign the body (Standard Webhooks)"


class Keys:
    """The backends' keys."""

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        self._keys = keys
        self._signers = [(key, Signer(key.key.reveal().encode())) for key in keys]

    def check(self, headers: Mapping[str, str], right: str, body: bytes = b"") -> ApiKey:
        """The key behind a request. Raises `Unauthenticated`, or `Forbidden` where it lacks the right."""
        key = self._by_bearer(headers) if "authorization" in headers else self._by_signature(headers, body)
        if key is None:
            raise Unauthenticated(f"the key or signature is not one of ours: {HINT}")
        if right not in key.rights:
            raise Forbidden(f"key '{key.name}' lacks the right '{right}': add it in RELAY_API_KEYS")
        return key

    def check_early(self, headers: Mapping[str, str], right: str) -> None:
        """As `check`, as far as can be told before the body has come: a signature is over it."""
        if "authorization" in headers or "webhook-signature" not in headers:
            self.check(headers, right)

    def _by_bearer(self, headers: Mapping[str, str]) -> ApiKey | None:
        scheme, _, given = headers["authorization"].partition(" ")
        if scheme.lower() != "bearer" or not given:
            raise Unauthenticated(f"the Authorization header is not understood: {HINT}")
        sent = given.strip().encode("utf-8", "replace")
        found = None
        for key in self._keys:  # all of them, always: the time taken tells nothing
            if hmac.compare_digest(sent, key.key.reveal().encode()):
                found = key
        return found

    def _by_signature(self, headers: Mapping[str, str], body: bytes) -> ApiKey | None:
        """Standard Webhooks headers over the raw body, at most 5 minutes old; the secret is the key."""
        signed = {name: headers[name] for name in headers if name.startswith("webhook-")}
        if "webhook-signature" not in signed:
            raise Unauthenticated(f"the request is not authenticated: {HINT}")
        return next((key for key, signer in self._signers if signer.signed(signed, body)), None)
