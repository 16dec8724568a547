// Socket.IO on Node as its documentation shows it: one emit to everybody.
const { createServer } = require("node:http");
const { Server } = require("socket.io");

const server = createServer((request, response) => {
  if (request.url !== "/publish") return;
  let text = "";
  request.setEncoding("utf8");
  request.on("data", (part) => {
    text += part;
  });
  request.on("end", () => {
    io.emit("entry", JSON.parse(text));
    response.writeHead(202).end();
  });
});
const io = new Server(server, { transports: ["websocket"], perMessageDeflate: false });
server.listen(Number(process.argv[2]), "127.0.0.1", 4096);
