"""uWebSockets through socketify, as its documentation shows it: a topic that readers subscribe to. Fan-out only."""

import sys

from socketify import App, AppListenOptions, CompressOptions, OpCode

app = App()


def publish(res, _):
    text = bytearray()

    def arrived(res, chunk, is_end):
        text.extend(chunk or b"")
        if is_end:
            app.publish("coco", text.decode(), OpCode.TEXT)
            res.write_status(202).end("")

    res.on_aborted(lambda _: None)
    res.on_data(arrived)


app.ws(
    "/feed",
    {
        "compression": CompressOptions.DISABLED,
        "max_backpressure": 64 * 1024 * 1024,
        "idle_timeout": 120,
        "open": lambda ws: ws.subscribe("coco"),
    },
)
app.post("/publish", publish)
app.listen(AppListenOptions(port=int(sys.argv[1]), host="127.0.0.1"), lambda _: None)
app.run()
