// `ws` on Node as its documentation shows it: every client in a loop.
const { createServer } = require("node:http");
const { WebSocketServer } = require("ws");

const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
const server = createServer((request, response) => {
  let text = "";
  request.setEncoding("utf8");
  request.on("data", (part) => {
    text += part;
  });
  request.on("end", () => {
    for (const client of sockets.clients) client.send(text);
    response.writeHead(202).end();
  });
});
server.on("upgrade", (request, socket, head) => {
  sockets.handleUpgrade(request, socket, head, (client) => client.on("error", () => {}));
});
server.listen(Number(process.argv[2]), "127.0.0.1", 4096);
