"""The tip menu: what each amount does, for whoever may read the model's feed."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from relay.errors import Forbidden, TicketRefused
from relay.views import menu_of_room
from relay.web.replies import Json
from relay.web.wiring import Wiring, wiring


def let_in(relay: Wiring, request: Request, model: str) -> None:
    """A feed ticket of this model, or a key that may read its feed or its state. Raises a `Refusal`."""
    ticket = request.query_params.get("ticket")
    if ticket is not None:
        if relay.tickets.read_feed(ticket).model != model:
            raise TicketRefused("this ticket is for another model: ask the platform for one of this model")
        return
    try:
        relay.keys.check(request.headers, "feed")
    except Forbidden:
        relay.keys.check(request.headers, "models")


async def get_menu(request: Request) -> Response:
    relay, model = wiring(request), request.path_params["model"]
    let_in(relay, request, model)
    room = await relay.hub.room(model)
    # Viewers' pages ask from the platform's origin, with a ticket and nothing else.
    return Json(menu_of_room(room), headers={"Access-Control-Allow-Origin": "*", "Cache-Control": "no-store"})


routes = [Route("/models/{model}/menu", get_menu, methods=["GET"])]
