// Socket.IO on Node as its documentation shows it: an emit to everybody, and a room for each model's page.
const { createServer } = require("node:http");
const { Server } = require("socket.io");

const followers = new Set();

const POSTS = {
  "/publish": (entry) => io.emit("entry", entry),
  "/tips": (order) => io.to(order.model).emit("tip", order),
};

const server = createServer((request, response) => {
  if (request.url === "/follow") return follow(response);
  let text = "";
  request.setEncoding("utf8");
  request.on("data", (part) => {
    text += part;
  });
  request.on("end", () => {
    POSTS[request.url](JSON.parse(text));
    response.writeHead(202).end();
  });
});

/** What became of tips, as an event stream. */
function follow(response) {
  response.writeHead(200, { "Content-Type": "text/event-stream" }).flushHeaders();
  followers.add(response);
  response.on("close", () => followers.delete(response));
}

const io = new Server(server, { transports: ["websocket"], perMessageDeflate: false });
io.engine.on("connection", (socket) => {
  socket.request = null; // as its documentation advises, for less memory
});
io.on("connection", (socket) => {
  const { model } = socket.handshake.auth;
  if (model) socket.join(model);
  socket.on("ack", ({ id, outcome }) => {
    for (const follower of followers) follower.write(`data: ${JSON.stringify({ id, status: outcome })}\n\n`);
  });
});
server.listen(Number(process.argv[2]), "127.0.0.1", 4096);
