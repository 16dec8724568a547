"""Signatures after Standard Webhooks: made for what the relay sends, checked on what it is sent."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

SECRET_PREFIX = "whsec_"  # noqa: S105  # what comes behind it is the secret
SECRET_BYTES = 32


class Signer:
    """One secret: bytes as they are, or text as `whsec_<base64>`."""

    def __init__(self, secret: bytes | str) -> None:
        self._webhook = Webhook(secret)

    def sign(self, id: str, at: float, body: bytes) -> str:
        """`v1,<base64>` over `id.timestamp.body`; the body is UTF-8, `at` counts in whole seconds."""
        return self._webhook.sign(id, datetime.fromtimestamp(int(at), UTC), body.decode())

    def signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether one of the signatures in the `webhook-` headers is this secret's, at most 5 minutes old."""
        try:
            self._webhook.verify(body, dict(headers), json_parse=False)
        except (WebhookVerificationError, ValueError):  # malformed headers are a bare ValueError
            return False
        return True


def signature_headers(signers: Sequence[Signer], id: str, at: float, body: bytes) -> dict[str, str]:
    """What goes with a body. Each of the signers signs: a receiver knows the old secret or the new one."""
    return {
        "webhook-id": id,
        "webhook-timestamp": str(int(at)),
        "webhook-signature": " ".join(signer.sign(id, at, body) for signer in signers),
    }


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
