"""Django Channels on Daphne as its documentation shows it: a group for each model's page.

The channel layer is the one in memory: in one process it is the fastest. For more its documentation wants Redis.
"""

import asyncio
import json
from urllib.parse import parse_qs

from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    CHANNEL_LAYERS={"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}},
    ROOT_URLCONF=__name__,
    SECRET_KEY="bench",
)

from django.core.asgi import get_asgi_application  # noqa: E402

http = get_asgi_application()

from channels.generic.websocket import AsyncJsonWebsocketConsumer  # noqa: E402
from channels.layers import get_channel_layer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.http import HttpResponse, StreamingHttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

followers = set()


class Page(AsyncJsonWebsocketConsumer):
    async def connect(self):
        self.model = parse_qs(self.scope["query_string"].decode())["model"][0]
        await self.channel_layer.group_add(self.model, self.channel_name)
        await self.accept()

    async def disconnect(self, code):
        await self.channel_layer.group_discard(self.model, self.channel_name)

    async def receive_json(self, ack):
        for follower in followers:
            follower.put_nowait({"id": ack["id"], "status": ack["outcome"]})

    async def page_tip(self, event):
        await self.send_json({"type": "tip", **event["order"]})


async def tip(request):
    order = json.loads(request.body)
    await get_channel_layer().group_send(order["model"], {"type": "page.tip", "order": order})
    return HttpResponse(status=202)


async def follow(_):
    """What became of tips, as an event stream."""
    queue = asyncio.Queue()

    async def stream():
        followers.add(queue)
        try:
            yield ":\n\n"  # Daphne holds a response's head back until there is some of its body
            while True:
                yield f"data: {json.dumps(await queue.get(), separators=(',', ':'))}\n\n"
        finally:
            followers.discard(queue)

    return StreamingHttpResponse(stream(), content_type="text/event-stream")


urlpatterns = [path("tips", tip), path("follow", follow)]
app = ProtocolTypeRouter({"http": http, "websocket": URLRouter([path("page", Page.as_asgi())])})
