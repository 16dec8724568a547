"""Model tokens that prove themselves: a sandbox that was restarted still knows the tokens it gave out."""

from __future__ import annotations

import hashlib
import hmac

_KEY = b"the sandbox guards nothing: this key only tells our tokens from typing errors"
_HALF = 16  # characters; the vendor's own tokens are 32 hexadecimal characters, so ours are too


def issue(model_id: str) -> str:
    """The token of a model: the same for the same id, today and after a restart."""
    name = hashlib.sha256(b"model:" + model_id.encode()).hexdigest()[:_HALF]
    return name + _seal(name)


def genuine(token: str) -> bool:
    """Whether a sandbox gave out this token."""
    return len(token) == 2 * _HALF and token.isascii() and hmac.compare_digest(token[_HALF:], _seal(token[:_HALF]))


def _seal(name: str) -> str:
    return hmac.new(_KEY, name.encode(), hashlib.sha256).hexdigest()[:_HALF]
