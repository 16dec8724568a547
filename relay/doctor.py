"""The doctor: what is configured, secrets masked, and what is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from relay.errors import BadSettings
from relay.settings import NO_SECRET, SECRET_VARIABLES, Settings, collect, require_production
from relay.values import ApiKey
from relay.vendors import find_vendor

# What the command line and the scripts read, and the relay does not.
CLIENT_VARIABLES = {"RELAY_URL", "RELAY_KEY", "RELAY_VENV"}


def examine(environ: Mapping[str, str]) -> tuple[list[str], bool]:
    """Lines to print, and whether something is wrong."""
    values, problems = collect(environ)
    settings = Settings(**values)
    lines = [describe(item.metadata["variable"], getattr(settings, item.name), environ) for item in fields(Settings)]
    try:
        require_production(settings)
    except BadSettings as error:
        problems += error.problems
    problems += look_at_vendor(settings.vendor)
    problems += look_at_store(settings.store)
    problems += strangers(environ)
    lines += ["", *(f"wrong: {problem}" for problem in problems)] if problems else ["", "nothing wrong"]
    return lines, bool(problems)


def describe(variable: str, value: Any, environ: Mapping[str, str]) -> str:
    is_set = variable in environ or variable + "_FILE" in environ
    origin = "set" if is_set else "default"
    return f"{variable:26} {mask(variable, value):44} ({origin})"


def mask(variable: str, value: Any) -> str:
    """The value as it may be shown: of a secret only that it is there, and which keys have which rights."""
    if value is None or value == () or str(value) == "" or value == NO_SECRET:
        return "-"
    if variable == "RELAY_API_KEYS":
        return ", ".join(
            f"{key.name}:{key.key}:{'+'.join(sorted(key.rights))}" for key in value if isinstance(key, ApiKey)
        )
    if isinstance(value, tuple) and variable in SECRET_VARIABLES:
        return f"{value[0]} ({len(value)} keys)"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def strangers(environ: Mapping[str, str]) -> list[str]:
    """Variables that look like ours and are not: a typing error leaves the default in force without a word."""
    known = {item.metadata["variable"] for item in fields(Settings)} | CLIENT_VARIABLES
    ours = (name for name in environ if name.startswith(("RELAY_", "LOVENSE_")))
    return [
        f"{name} is not a setting: see docs/configuration.md"
        for name in ours
        if name.removesuffix("_FILE") not in known
    ]


def look_at_vendor(name: str) -> list[str]:
    """What would keep the vendor from being found."""
    try:
        find_vendor(name)
    except BadSettings as error:
        return error.problems
    return []


def look_at_store(store: str) -> list[str]:
    """What would keep the database from being written."""
    if store == "memory:":
        return ["RELAY_STORE=memory: keeps nothing over a restart: use sqlite:///PATH in production"]
    path = Path(store.removeprefix("sqlite:///")).absolute()
    if not path.parent.is_dir():
        return [f"RELAY_STORE: the folder {path.parent} does not exist: make it"]
    target = path if path.exists() else path.parent
    if not os.access(target, os.W_OK):
        return [f"RELAY_STORE: {target} cannot be written: change its owner or mode"]
    return []
