"""The feed: who may read what, from where. What is read is `Followers`'; `feed_sse` and `feed_websocket` carry it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.errors import Invalid, TicketRefused
from relay.feeds import Audience, Cursor, read_cursor
from relay.settings import HISTORY_ENTRIES_MAX
from relay.tips import shown
from relay.web.tips import number
from relay.web.wiring import Wiring


@dataclass(frozen=True, slots=True)
class Wish:
    """What a reader asked for."""

    model: str | None
    audience: Audience
    after: Cursor | None
    last: int


async def read_wish(relay: Wiring, model: str | None, query: str, headers: Mapping[str, str]) -> Wish:
    """Who reads, and from where. Raises a `Refusal`."""
    asked = QueryParams(query)
    ticket = asked.get("ticket")
    if ticket is not None:
        granted = relay.tickets.read_feed(ticket)
        if granted.model != model:
            raise TicketRefused("this ticket is for the feed of another model")
        audience = granted.audience
    else:
        relay.keys.check(headers, "feed")
        wanted = asked.get("audience", Audience.PLATFORM)
        if wanted not in set(Audience):
            raise Invalid(f"'audience' must be one of {', '.join(Audience)}, not {shown(wanted)}", field="audience")
        audience = Audience(wanted)
    if model is not None:
        await relay.models.record(model)
    place = headers.get("last-event-id") or asked.get("after")
    last = number(asked["last"], "last", HISTORY_ENTRIES_MAX, low=0) if "last" in asked else 0
    return Wish(model, audience, read_cursor(place) if place else None, last)


def model_of(path: str) -> str | None:
    """Whose feed a path names; None for everything."""
    return path.removeprefix("/feed").removeprefix("/") or None


async def busy(_: Request) -> Response:
    """Readers are let in by `protocol`; what is pipelined behind another request comes here."""
    raise Invalid("a feed is read on a connection of its own: do not send this request before the last was answered")


routes = [Route("/feed", busy, methods=["GET"]), Route("/feed/{model}", busy, methods=["GET"])]
