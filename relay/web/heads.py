"""Heads of requests that were read and found good before.

A backend posts all of its tips with the same head, byte for byte, but for the length of the body. What the same bytes
say need not be found out again: neither what they mean, nor whether the key in them is one of ours.
"""

from __future__ import annotations

from collections.abc import Mapping

END_OF_HEAD = b"\r\n\r\n"
POST_TIPS = b"POST /tips HTTP/1.1\r\n"
HEADS_MAX = 512  # a backend has one for every length of body
HEAD_BYTES_MAX = 2048


class Heads:
    """Good heads of `POST /tips`, each with the length of the body behind it in bytes."""

    __slots__ = ("_sizes", "get")

    def __init__(self) -> None:
        self._sizes: dict[bytes, int] = {}
        self.get = self._sizes.get

    def __repr__(self) -> str:
        return f"<{len(self._sizes)} heads>"  # they hold keys

    def learn(self, request: bytes, headers: Mapping[str, str], body: bytes) -> None:
        """`request` was one whole request with these headers and this body, and its key is good for tips. A head that
        says something about one tip only is not worth knowing."""
        head, _, rest = request.partition(END_OF_HEAD)
        of_one_tip = "idempotency-key" in headers or "authorization" not in headers  # else it is signed
        if of_one_tip or rest != body or not head.startswith(POST_TIPS) or len(head) > HEAD_BYTES_MAX:
            return
        if len(self._sizes) >= HEADS_MAX:
            self._sizes.clear()
        self._sizes[head + END_OF_HEAD] = len(body)
