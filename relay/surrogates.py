"""Lone surrogates: half an emoji, which JavaScript and Python write into JSON and no decoder of ours takes."""

from __future__ import annotations

import json
import re

SURROGATE = re.compile("[\ud800-\udfff]")


def mended(data: str | bytes) -> str:
    """The same JSON with U+FFFD for every lone surrogate (facts.md 1.4). Raises `ValueError`, `RecursionError`."""
    return SURROGATE.sub("\ufffd", json.dumps(json.loads(data), ensure_ascii=False))


def half_an_emoji(error: Exception) -> bool:
    """Whether a decoder may have given up on a lone surrogate; where one ends the text, msgspec says 'truncated'."""
    return "surrogate" in str(error) or "truncated" in str(error)
