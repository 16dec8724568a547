"""How the command line talks to a running relay: where it is, with which key, and what a refusal looks like."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

import click
import httpx2
import orjson

from relay.errors import BadSettings
from relay.settings import Settings, read_settings


def client_options(command: Any) -> Any:
    command = click.option(
        "--key", envvar="RELAY_KEY", help="An API key (RELAY_KEY; default: the first of RELAY_API_KEYS)."
    )(command)
    return click.option("--url", envvar="RELAY_URL", help="The relay (RELAY_URL; default: RELAY_HOST and RELAY_PORT).")(
        command
    )


def whereto(url: str | None, key: str | None) -> tuple[str, str]:
    """The relay's address and a key for it: what is given, else what the environment says."""
    if url is None or key is None:
        settings = settings_or_exit()
        if key is None and not settings.api_keys:
            raise click.UsageError("no API key: give --key, or set RELAY_KEY or RELAY_API_KEYS")
        key = key or settings.api_keys[0].key.reveal()
        url = url or settings.public_url or f"http://{settings.host}:{settings.port}"
    return url, key


def client(url: str | None, key: str | None) -> httpx2.Client:
    url, key = whereto(url, key)
    headers = {"Authorization": f"Bearer {key}"}
    return httpx2.Client(base_url=url, headers=headers, timeout=30, trust_env=False)


def call(http: httpx2.Client, method: str, path: str, **given: Any) -> Any:
    """The answer's JSON; a refusal's sentence on standard error, and exit code 1."""
    try:
        answer = http.request(method, path, **given)
    except httpx2.HTTPError as error:
        raise click.ClickException(f"{http.base_url} does not answer: {error}") from None
    try:
        body = answer.json()
    except ValueError:
        raise click.ClickException(f"{http.base_url} answered HTTP {answer.status_code} and no JSON") from None
    if answer.is_error:
        raise click.ClickException(f"{body.get('type')}: {body.get('detail')}")
    return body


def show(data: Any) -> None:
    click.echo(orjson.dumps(data, option=orjson.OPT_INDENT_2).decode())


def settings_or_exit(**overrides: Any) -> Settings:
    try:
        return read_settings(**overrides)
    except BadSettings as error:
        give_up(error)


def give_up(error: BadSettings) -> NoReturn:
    for problem in error.problems:
        click.echo(problem, err=True)
    sys.exit(2)
