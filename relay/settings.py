"""Every setting and every limit, from the environment.

`RELAY_X_FILE` reads `RELAY_X` from a file, for any variable. Wrong or missing values are all named at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from relay.errors import BadSettings
from relay.secret import Secret
from relay.values import (
    ApiKey,
    number_between,
    one_of,
    read_api_keys,
    read_encryption_keys,
    read_origins,
    read_seconds,
    read_secrets,
    read_some_seconds,
    read_store,
    read_ttl,
    read_url,
)
from relay.wordings import BUILT_IN, Wordings, load_wordings

NO_SECRET = Secret("")

# Limits that are part of the contract, or that nobody has had reason to move.
TIP_BODY_BYTES_MAX = 64 * 1024
BATCH_BODY_BYTES_MAX = 8 * 1024 * 1024
BATCH_TIPS_MAX = 1000
TIP_ID_LENGTH_MAX = 128
MODEL_ID_LENGTH_MAX = 128
AMOUNT_MAX = 2**53 - 1  # what a JavaScript number still counts exactly
LINE_TIPS_MAX = 10_000  # tips waiting for one model
FLIGHT_TIPS_MAX = 16  # tips on their way to one page, not acknowledged yet
FRAME_BYTES_MAX = 64 * 1024  # from the page
FRAMES_PER_SECOND_MAX = 200  # from one page, after a burst of twice as many; a big one counts as several
TIP_ANSWERS_MAX = 4  # frames a page may say about a tip besides: its acknowledgement, and what the vendor says of it
OUTBOX_BYTES_MAX = 1024 * 1024  # written to one page and not taken by it
HELLO_SECONDS_MAX = 10
DOUBTS_ASKED_MAX = 200  # uncertain tips a page is asked about at once
ANSWER_SECONDS_MAX = 10  # for the page to answer what it was asked
OLD_PAGE_ANSWER_SECONDS_MAX = 0.7  # for a page that is being replaced
ASK_AGAIN_SECONDS = 5  # past its deadline, before the page is asked about a tip it never spoke of
CLOCKS_APART_SECONDS = 5  # left of a tip by the relay's clock, where its page says there is nothing left
TURNED_AWAY_SECONDS = 5  # before a page that turned a tip away without a word is tried again
SENT_GRACE_SECONDS = 30  # past its deadline, before a sent tip nobody speaks of is uncertain
SILENCE_SECONDS = 900  # of the vendor about its queue, before what it showed there counts as swept away
REACTION_SECONDS_MAX = 3600.0  # whatever the vendor says
SETTLE_SECONDS = 3  # a tip gone from the vendor's queue may still show up as running (facts.md H28)
TICKET_SECONDS = 300  # a page's ticket, until it is first used
FEED_TICKET_SECONDS = 3600  # a reader's, to connect with
RESUME_SECONDS = 24 * 3600
FOLLOWER_ENTRIES_MAX = 1000  # entries kept for one reader while it reads history
FOLLOWER_BYTES_MAX = 256 * 1024  # written to one reader and not taken by it, before it falls behind
FOLLOWER_HISTORY_BYTES_MAX = 32 * 1024  # the same while it reads history: this is nobody's but its own
FOLLOWER_STUCK_SECONDS = 10  # for a reader that fell behind to take what was written, before it is cut
HISTORY_ENTRIES_MAX = 10_000  # entries read back for one reader in one go
PAGE_RECEIPTS_MAX = 1000
UNKNOWN_EVENTS_KEPT = 20
FOLD_SECONDS = 1.0  # tips of one model within it are announced together
FOLD_TIPS_MAX = 50  # in one announcement
FOLD_TIPPERS_MAX = 5  # announced one by one
SETTLED_SECONDS = {("toy", True): 3, ("toy", False): 3, ("online", True): 0, ("online", False): 15}  # before it is said
UNSETTLED_SECONDS_MAX = 30  # for what keeps changing to be said all the same
QUEUE_WORDS_SECONDS = 15  # between two announcements of the queue's length
HUSHED_TIPS_MAX = 100  # private tips that ended, of which a room knows after a restart
NO_REACTION_WATCH_SECONDS = 600  # late evidence for a tip without reaction still counts so long


def setting(variable: str, doc: str, read: Callable[[str], Any] = str, default: Any = MISSING) -> Any:
    metadata = {"variable": variable, "doc": doc, "read": read}
    if default is MISSING:
        return field(metadata=metadata)
    if callable(default):
        return field(metadata=metadata, default_factory=default)
    return field(metadata=metadata, default=default)


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator can set."""

    secrets: tuple[Secret, ...] = setting("RELAY_SECRETS", "signing keys for tickets, newest first", read_secrets, ())
    encryption_keys: tuple[Secret, ...] = setting(
        "RELAY_ENCRYPTION_KEYS", "keys for vendor tokens at rest, newest first", read_encryption_keys, ()
    )
    api_keys: tuple[ApiKey, ...] = setting("RELAY_API_KEYS", "backends: name:key[:right+right], …", read_api_keys, ())
    origins: tuple[str, ...] = setting("RELAY_ORIGINS", "origins whose pages may connect", read_origins, ())
    store: str = setting("RELAY_STORE", "sqlite:///PATH or memory:", read_store, "sqlite:///relay.db")
    public_url: str | None = setting("RELAY_PUBLIC_URL", "how browsers reach the relay", read_url, None)
    host: str = setting("RELAY_HOST", "address to listen on", str, "127.0.0.1")
    port: int = setting("RELAY_PORT", "port to listen on; PORT counts too; 0 picks one", number_between(0, 65535), 8000)
    tip_ttl: float = setting("RELAY_TIP_TTL", "seconds a tip may wait for its page", read_ttl, 120.0)
    reaction_grace: float = setting(
        "RELAY_REACTION_GRACE", "seconds a played tip waits for vendor evidence", read_seconds, 60.0
    )
    uncertain: str = setting(
        "RELAY_UNCERTAIN", "what to do with uncertain tips", one_of("hold", "replay", "skip"), "hold"
    )
    anonymous_name: str = setting("RELAY_ANONYMOUS_NAME", "the alias of anonymous tippers", str, "Anonymous")
    announcements: Wordings = setting(  # a field, and frozen
        "RELAY_ANNOUNCEMENTS", "JSON or TOML file with announcements per language", load_wordings, BUILT_IN
    )
    heartbeat: float = setting("RELAY_HEARTBEAT", "seconds between pings to a page", read_some_seconds, 20.0)
    drain_seconds: float = setting(
        "RELAY_DRAIN_SECONDS", "seconds over which pages are told to return", read_seconds, 20.0
    )
    retention_days: int = setting("RELAY_RETENTION_DAYS", "days a tip's record is kept", number_between(1, 3650), 30)
    history_days: int = setting("RELAY_HISTORY_DAYS", "days the feed can be resumed", number_between(1, 3650), 7)
    sinks_private: str = setting(
        "RELAY_SINKS_PRIVATE", "sinks in our own network, and without TLS", one_of("refuse", "allow"), "refuse"
    )
    history_entries: int = setting(
        "RELAY_HISTORY_ENTRIES", "entries of one model's feed that are kept at most", number_between(1, 10**9), 100_000
    )
    log_level: str = setting(
        "RELAY_LOG_LEVEL", "least severity logged", one_of("debug", "info", "warning", "error"), "info"
    )
    vendor: str = setting("RELAY_VENDOR", "the toy's vendor: lovense, or module:factory", str, "lovense")
    developer_token: Secret = setting("LOVENSE_DEVELOPER_TOKEN", "vendor's developer token", Secret, NO_SECRET)
    app_id: str = setting("LOVENSE_APP_ID", "vendor's App Gallery application", str, "")
    app_secret: Secret = setting("LOVENSE_APP_SECRET", "vendor's App Gallery secret", Secret, NO_SECRET)
    lovense_api_url: str = setting(
        "LOVENSE_API_URL", "the vendor's Cam Kit server", read_url, "https://api.lovense-api.com"
    )
    lovense_app_gallery_url: str = setting(
        "LOVENSE_APP_GALLERY_URL", "the vendor's App Gallery server", read_url, "https://appgallery.lovense.com"
    )

    def __repr__(self) -> str:
        return f"Settings(store={self.store!r}, host={self.host!r}, port={self.port})"

    @property
    def vendor_configured(self) -> bool:
        return bool(self.developer_token or self.app_id or self.app_secret)

    @property
    def links_accounts(self) -> bool:
        """Whether the vendor's users can link their accounts: the call needs all three."""
        return bool(self.developer_token and self.app_id and self.app_secret)


SECRET_VARIABLES = frozenset(
    {"RELAY_SECRETS", "RELAY_ENCRYPTION_KEYS", "RELAY_API_KEYS", "LOVENSE_DEVELOPER_TOKEN", "LOVENSE_APP_SECRET"}
)


def read_settings(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Settings from the environment; `overrides` (from the command line) win. Raises `BadSettings`."""
    values, problems = collect(os.environ if environ is None else environ)
    values.update({name: value for name, value in overrides.items() if value is not None})
    if problems:
        raise BadSettings(problems)
    return Settings(**values)


def require_production(settings: Settings) -> None:
    """What `relay serve` refuses to start without. Raises `BadSettings`."""
    problems = [
        f"{variable} is not set: {remedy}"
        for variable, value, remedy in (
            ("RELAY_SECRETS", settings.secrets, "'relay keys' makes one"),
            ("RELAY_API_KEYS", settings.api_keys, "'relay keys' makes one"),
            ("RELAY_ORIGINS", settings.origins, "list the origins of your broadcasters' pages"),
        )
        if not value
    ]
    if (settings.app_id or settings.app_secret) and not settings.links_accounts:
        needed = ("LOVENSE_DEVELOPER_TOKEN", "LOVENSE_APP_ID", "LOVENSE_APP_SECRET")
        values = (settings.developer_token, settings.app_id, settings.app_secret)
        missing = " and ".join(one for one, value in zip(needed, values, strict=True) if not value)
        problems.append(f"{missing} is not set: linked accounts need all three; without them set no LOVENSE_APP_ID")
    if settings.vendor_configured and not settings.encryption_keys:
        problems.append(
            "RELAY_ENCRYPTION_KEYS is not set: vendor tokens are only kept encrypted; 'relay keys' makes one"
        )
    if problems:
        raise BadSettings(problems)


def collect(environ: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Every value that can be read, and a sentence for every one that cannot."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for item in fields(Settings):
        variable = item.metadata["variable"]
        if variable == "RELAY_PORT" and not {variable, variable + "_FILE"} & environ.keys():
            variable = "PORT"  # what hosting platforms set
        try:
            text = _look_up(environ, variable)
        except (OSError, ValueError) as error:  # not there, not ours to read, not text
            why = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
            problems.append(f"{variable}_FILE={environ[variable + '_FILE']}: {why}")
            continue
        if text is None or not text.strip():
            continue
        try:
            values[item.name] = item.metadata["read"](text.strip())
        except ValueError as error:
            shown = "its value" if variable in SECRET_VARIABLES else repr(text.strip())
            problems.append(f"{variable}: {shown} is not usable: {error}")
    return values, problems


def _look_up(environ: Mapping[str, str], variable: str) -> str | None:
    file = environ.get(variable + "_FILE")
    return Path(file).read_text(encoding="utf-8") if file else environ.get(variable)
