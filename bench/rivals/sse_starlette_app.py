"""sse-starlette as its documentation shows it: a queue for each reader."""

import asyncio

from sse_starlette import EventSourceResponse
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

readers = set()


async def events(_):
    queue = asyncio.Queue()
    readers.add(queue)

    async def stream():
        try:
            while True:
                yield {"data": await queue.get()}
        finally:
            readers.discard(queue)

    return EventSourceResponse(stream())


async def publish(request):
    text = (await request.body()).decode()
    for queue in readers:
        queue.put_nowait(text)
    return Response(status_code=202)


app = Starlette(routes=[Route("/events", events), Route("/publish", publish, methods=["POST"])])
