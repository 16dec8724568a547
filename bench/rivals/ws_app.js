// `ws` on Node as its documentation shows it: every client in a loop, and a map that knows each page.
const { createServer } = require("node:http");
const { WebSocketServer } = require("ws");

const readers = new WebSocketServer({ noServer: true, perMessageDeflate: false });
const pages = new WebSocketServer({ noServer: true, perMessageDeflate: false });
const models = new Map();
const followers = new Set();

const POSTS = {
  "/publish": (text) => {
    for (const client of readers.clients) client.send(text);
  },
  "/tips": (text) => {
    const order = JSON.parse(text);
    models.get(order.model)?.send(JSON.stringify({ type: "tip", ...order }));
  },
};

const server = createServer((request, response) => {
  if (request.url === "/follow") return follow(response);
  let text = "";
  request.setEncoding("utf8");
  request.on("data", (part) => {
    text += part;
  });
  request.on("end", () => {
    POSTS[request.url](text);
    response.writeHead(202).end();
  });
});

/** What became of tips, as an event stream. */
function follow(response) {
  response.writeHead(200, { "Content-Type": "text/event-stream" }).flushHeaders();
  followers.add(response);
  response.on("close", () => followers.delete(response));
}

readers.on("connection", (client) => client.on("error", console.error));
pages.on("connection", (client, model) => {
  models.set(model, client);
  client.on("error", console.error);
  client.on("close", () => models.delete(model));
  client.on("message", (data) => {
    const { id, outcome } = JSON.parse(data);
    for (const follower of followers) follower.write(`data: ${JSON.stringify({ id, status: outcome })}\n\n`);
  });
});
server.on("upgrade", (request, socket, head) => {
  const { pathname, searchParams } = new URL(request.url, "http://bench");
  const clients = pathname === "/page" ? pages : readers;
  clients.handleUpgrade(request, socket, head, (client) => {
    clients.emit("connection", client, searchParams.get("model"));
  });
});
server.listen(Number(process.argv[2]), "127.0.0.1", 4096);
