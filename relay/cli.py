"""The command line: `relay serve` in production, the rest for getting there."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from typing import Any

import click
import httpx2
import orjson
from cryptography.fernet import Fernet

from relay import __version__
from relay.cli_client import call, client, client_options, give_up, settings_or_exit, show
from relay.cli_recordings import capture, replay
from relay.doctor import examine
from relay.errors import BadSettings, StoreUnavailable
from relay.logs import configure_logs
from relay.settings import require_production


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="relay")
def main() -> None:
    """The bridge between a live-streaming platform's tips and the toy on the broadcaster's page."""


@main.command()
@click.option("--host", help="Address to listen on (RELAY_HOST).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (RELAY_PORT or PORT); 0 picks one.")
@click.option("--store", help="sqlite:///PATH or memory: (RELAY_STORE).")
def serve(host: str | None, port: int | None, store: str | None) -> None:
    """Run the relay. Refuses to start without its secrets, naming each missing variable."""
    settings = settings_or_exit(host=host, port=port, store=store)
    try:
        require_production(settings)
    except BadSettings as error:
        give_up(error)
    configure_logs(settings.log_level)
    workers = os.environ.get("WEB_CONCURRENCY", "1")
    if workers != "1" and settings.store.startswith("sqlite"):
        click.echo(f"WEB_CONCURRENCY={workers} is ignored: one process holds the SQLite file", err=True)
    from relay.web.app import make_app
    from relay.web.server import serve as run
    from relay.web.wiring import wire

    try:
        wiring = wire(settings)
    except BadSettings as error:
        give_up(error)
    run(
        make_app(wiring),
        [wiring],
        host=settings.host,
        port=settings.port,
        says=lambda url: f"relay: {url}",
    )


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8001, show_default=True)
@click.option("--settings-delay", default=10.0, show_default=True, help="Seconds until edited settings take effect.")
@click.option("--speed", default=1.0, show_default=True, help="How many times faster reactions run.")
@click.option("--developer-token", help="The only developer token that is accepted (default: any).")
@click.option("--app-id", help="The only App Gallery application that is known (default: any).")
@click.option("--app-secret", default="sandbox-app-secret", show_default=True, help="What auth codes are signed with.")
@click.option("--listeners", type=click.Choice(["append", "replace"]), default="append", show_default=True)
def sandbox(host: str, port: int, **options: Any) -> None:
    """Run a stand-in for the vendor: its token servers, account servers, settings page and model.js."""
    from relay.sandbox import create_app
    from relay.web.server import serve as run

    configure_logs("warning")
    run(create_app(**options), [], host=host, port=port, says=lambda url: f"sandbox: {url}")


@main.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option("--db", type=click.Path(), help="Keep the demo's database here (default: thrown away).")
@click.option("--settings-delay", default=10.0, show_default=True, help="Seconds until edited settings take effect.")
@click.option("--speed", default=1.0, show_default=True, help="How many times faster reactions run.")
def demo(port: int, db: str | None, settings_delay: float, speed: float) -> None:
    """Relay, sandbox and demo pages on one port of 127.0.0.1, with keys of their own. Not for production."""
    from relay.demo import run_demo

    configure_logs("warning")
    run_demo(port=port, db=db, settings_delay=settings_delay, speed=speed)


# -- Talking to a running relay ----------------------------------------------------------------------------------------


@main.command()
@click.argument("model")
@click.argument("name")
@click.argument("amount")
@click.option("--id", "tip_id", help="The tip's id (default: a fresh one).")
@click.option("--anonymous", is_flag=True)
@click.option("--private", is_flag=True)
@click.option("--expires-in", type=float, help="Seconds it may wait for its page.")
@client_options
def tip(
    model: str,
    name: str,
    amount: str,
    tip_id: str | None,
    anonymous: bool,
    private: bool,
    expires_in: float | None,
    url: str | None,
    key: str | None,
) -> None:
    """Post a tip and print its receipt."""
    body: dict[str, Any] = {
        "id": tip_id or f"cli-{secrets.token_hex(8)}",
        "model": model,
        "tipper": name,
        "amount": amount,
        "anonymous": anonymous,
        "private": private,
    }
    if expires_in is not None:
        body["expires_in"] = expires_in
    with client(url, key) as http:
        show(call(http, "POST", "/tips", json=body))


@main.command()
@click.argument("model", required=False)
@click.option("--after", help="Resume behind this entry's id.")
@click.option("--last", type=int, help="Begin with so many entries of history.")
@click.option("--audience", type=click.Choice(["platform", "chat", "viewer"]), default="platform", show_default=True)
@client_options
def follow(
    model: str | None, after: str | None, last: int | None, audience: str, url: str | None, key: str | None
) -> None:
    """Print the feed of one model, or of all, one JSON entry a line, until interrupted."""
    query = {"audience": audience} | ({"after": after} if after else {}) | ({"last": str(last)} if last else {})
    path = f"/feed/{model}" if model else "/feed"
    try:
        with client(url, key) as http, http.stream("GET", path, params=query, timeout=None) as answer:
            if answer.is_error:
                body = orjson.loads(answer.read())
                raise click.ClickException(f"{body.get('type')}: {body.get('detail')}")
            for line in answer.iter_lines():
                if line.startswith("data: ") and '"type":"heartbeat"' not in line:
                    click.echo(line.removeprefix("data: "))
    except KeyboardInterrupt:
        pass
    except httpx2.HTTPError as error:
        raise click.ClickException(f"the feed ended: {error}") from None


@main.command()
@click.argument("model")
@click.option("--name", help="Register the model under this name first.")
@client_options
def ticket(model: str, name: str | None, url: str | None, key: str | None) -> None:
    """Print what a model's page needs: its ticket, the script line, the vendor's settings page."""
    with client(url, key) as http:
        if name is not None:
            call(http, "PUT", f"/models/{model}", json={"name": name})
        show(call(http, "POST", f"/models/{model}/ticket"))


main.add_command(capture)
main.add_command(replay)


# -- Settings ----------------------------------------------------------------------------------------------------------


@main.group(invoke_without_command=True)
@click.option("--name", default="platform", show_default=True, help="The backend that the API key is for.")
@click.pass_context
def keys(context: click.Context, name: str) -> None:
    """Print a fresh set of secrets as an env file."""
    if context.invoked_subcommand is not None:
        return
    click.echo(f"RELAY_SECRETS={secrets.token_urlsafe(32)}")
    click.echo(f"RELAY_ENCRYPTION_KEYS={Fernet.generate_key().decode()}")
    click.echo(f"RELAY_API_KEYS={name}:{secrets.token_urlsafe(32)}")


@keys.command()
@client_options
def rotate(url: str | None, key: str | None) -> None:
    """Encrypt every kept secret with the newest of RELAY_ENCRYPTION_KEYS, so that the older ones can be removed.

    Works on the store itself, or asks the relay that is running on it.
    """
    from relay.vault import fingerprint
    from relay.web.keys import rotate_store

    settings = settings_or_exit()
    done = None
    if url is None and settings.store != "memory:":
        try:
            done = asyncio.run(rotate_store(settings))
        except BadSettings as error:
            give_up(error)
        except StoreUnavailable as error:
            raise click.ClickException(error.detail) from None
    if done is None:
        with client(url, key) as http:
            done = call(http, "POST", "/keys/rotate")
        if settings.encryption_keys and done["newest"] != fingerprint(settings.encryption_keys[0]):
            raise click.ClickException("the running relay does not have the newest key yet: restart it, then rotate")
    click.echo(
        f"encrypted with the newest key: {done['models']} models' tokens, {done['accounts']} accounts, "
        f"{done['sinks']} sinks"
    )
    if done["unreadable"]:
        names = ", ".join(done["unreadable"])
        raise click.ClickException(f"no key opens {names}: put the old key back, or register and link these anew")
    click.echo("the older keys can be removed")


@main.command()
def doctor() -> None:
    """Say what is configured, secrets masked, and what is wrong. Exit code 1 when something is."""
    lines, wrong = examine(os.environ)
    for line in lines:
        click.echo(line)
    sys.exit(1 if wrong else 0)
