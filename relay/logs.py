"""Logs: one JSON line per event on standard error (words on a terminal), without secrets or tippers' words."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import TextIO, cast

import orjson
import structlog


def configure_logs(level: str) -> None:
    """Ours as JSON; uvicorn's only from warnings on, since its access and handshake lines print query strings."""
    words = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if words else structlog.processors.JSONRenderer(_dumps)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, Unbreakable())),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _dumps(event: object, **_: object) -> str:
    return orjson.dumps(event, default=str).decode()


class Unbreakable:
    """Standard error that never raises: a log on a full disk must not take a page or a stop with it."""

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
