"""Values of settings, read from the environment's text. Each raises `ValueError` with what it must be."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from relay.secret import Secret

RIGHTS = frozenset({"tips", "models", "feed", "accounts"})
EXPIRES_IN_SECONDS_MAX = 24 * 3600


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A backend's key. `rights` is a subset of `RIGHTS`."""

    name: str
    key: Secret
    rights: frozenset[str] = RIGHTS


def read_list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def read_float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("must be a number") from None


def read_seconds(text: str) -> float:
    value = read_float(text)
    if not 0 <= value <= 30 * 86400:
        raise ValueError("must be between 0 and 2592000 seconds")
    return value


def read_some_seconds(text: str) -> float:
    value = read_seconds(text)
    if not value:
        raise ValueError("must be above 0 seconds")
    return value


def read_ttl(text: str) -> float:
    value = read_float(text)
    if not 0 < value <= EXPIRES_IN_SECONDS_MAX:
        raise ValueError(f"must be above 0 and at most {EXPIRES_IN_SECONDS_MAX} seconds")
    return value


def number_between(low: float, high: float) -> Callable[[str], int]:
    def read(text: str) -> int:
        value = read_float(text)
        if not value.is_integer():
            raise ValueError("must be a whole number")
        if not low <= value <= high:
            raise ValueError(f"must be between {low:g} and {high:g}")
        return int(value)

    return read


def one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text

    return read


def read_secrets(text: str) -> tuple[Secret, ...]:
    keys = read_list(text)
    if any(len(key) < 32 for key in keys):
        raise ValueError("each key must have at least 32 characters; 'relay keys' makes good ones")
    return tuple(map(Secret, keys))


def read_encryption_keys(text: str) -> tuple[Secret, ...]:
    keys = read_list(text)
    if any(not re.fullmatch(r"[A-Za-z0-9_-]{43}=", key) for key in keys):
        raise ValueError("each key must be 32 bytes in url-safe base64; 'relay keys' makes good ones")
    return tuple(map(Secret, keys))


def read_api_keys(text: str) -> tuple[ApiKey, ...]:
    keys = []
    for part in read_list(text):
        name, _, rest = part.partition(":")
        key, _, rights = rest.partition(":")
        wanted = frozenset(rights.split("+")) if rights else RIGHTS
        if not name or len(key) < 16:
            raise ValueError("must be 'name:key' or 'name:key:right+right', each key at least 16 characters")
        if wanted - RIGHTS:
            raise ValueError(f"the rights of '{name}' must be among {', '.join(sorted(RIGHTS))}")
        keys.append(ApiKey(name, Secret(key), wanted))
    return tuple(keys)


def read_origins(text: str) -> tuple[str, ...]:
    origins = tuple(part.rstrip("/").lower() for part in read_list(text))
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"https?://[^/]+", origin):
            raise ValueError(f"'{origin}' is not an origin; write 'https://host' or 'https://host:port'")
    return origins


def read_url(text: str) -> str:
    if not re.fullmatch(r"https?://\S+", text):
        raise ValueError("must be an http(s) URL")
    return text.rstrip("/")


def read_store(text: str) -> str:
    if text != "memory:" and not (text.startswith("sqlite:///") and len(text) > len("sqlite:///")):
        raise ValueError("must be 'sqlite:///PATH' or 'memory:'")
    return text
