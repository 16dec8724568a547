"""`relay capture` and `relay replay`: a live broadcast as a file, and played again."""

from __future__ import annotations

import asyncio
import os
from typing import BinaryIO

import click

from relay.cli_client import client, client_options, settings_or_exit, show, whereto


@click.command()
@click.argument("model")
@click.option("--names", is_flag=True, help="Keep the tippers' own names and the tips' ids.")
@click.option("--output", type=click.Path(dir_okay=False), help="A new file to write to (default: standard output).")
@click.option("--seconds", type=click.IntRange(1, 86400), help="How long (default: until interrupted, at most a day).")
@client_options
def capture(model: str, names: bool, output: str | None, seconds: int | None, url: str | None, key: str | None) -> None:
    """Record a live broadcast: the vendor's raw events and the tips, as JSON lines."""
    from relay.recorder import Stopped, record

    query = {"names": str(names).lower()} | ({"seconds": str(seconds)} if seconds else {})
    try:
        with client(url, key) as http:
            record(http, f"/models/{model}/capture", query, output)
    except Stopped as error:
        raise click.ClickException(str(error)) from None


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--into", help="The relay to play it into (RELAY_URL; default: RELAY_HOST and RELAY_PORT).")
@click.option("--sandbox", "stand_in", help="The sandbox to play the vendor's events into instead.")
@click.option("--model", help="The model to play it as (default: 'replay'; in the sandbox the recorded one).")
@click.option("--speed", type=click.FloatRange(0), default=1.0, show_default=True, help="Times as fast; 0: at once.")
@click.option("--origin", help="The Origin of the page (default: the first of RELAY_ORIGINS).")
@click.option("--key", envvar="RELAY_KEY", help="An API key (RELAY_KEY; default: the first of RELAY_API_KEYS).")
def replay(
    file: BinaryIO,
    into: str | None,
    stand_in: str | None,
    model: str | None,
    speed: float,
    origin: str | None,
    key: str | None,
) -> None:
    """Play a recording again, into a relay or into the sandbox, and print what came of it."""
    from relay import recordings, replays
    from relay.replays.stage import ReplayFailed

    if into and stand_in:
        raise click.UsageError("--into and --sandbox exclude each other")
    try:
        header, lines = recordings.read(file)
        if stand_in:
            work = replays.into_sandbox(
                lines,
                url=stand_in,
                developer_token=os.environ.get("LOVENSE_DEVELOPER_TOKEN", "replay"),
                model=model or header.model,
                name=header.name,
                speed=speed,
            )
        else:
            url, key = whereto(into or os.environ.get("RELAY_URL"), key)
            origin = origin or next((one for one in settings_or_exit().origins if one != "*"), url)
            work = replays.into_relay(lines, url=url, key=key, origin=origin, model=model or "replay", speed=speed)
        show(asyncio.run(work))
    except recordings.BadRecording as error:
        raise click.ClickException(f"{file.name}: {error}") from None
    except ReplayFailed as error:
        raise click.ClickException(str(error)) from None
