// Node's servers of HTTP and HTTPS. Usage: node server.mjs CERTIFICATE KEY. Prints both ports.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createTls } from "node:https";

function answer(request, response) {
  if (request.url === "/large") {
    response.end("x".repeat(300000)); // a known length
  } else if (request.url === "/early") {
    response.writeHead(413, { connection: "close" }).end("too large");
  } else if (request.url === "/cut") {
    response.writeHead(200, { "content-length": 10 });
    response.write("water", () => response.socket.destroy());
  } else if (request.url === "/once") {
    // Closes the connection behind this answer, without saying so.
    response.on("finish", () => setTimeout(() => request.socket.end(), 20));
    response.end("once");
  } else {
    // Chunks, as they come, and trailers.
    response.writeHead(200, { trailer: "x-method", "x-host": request.headers.host });
    request.on("data", (piece) => response.write(piece));
    request.on("end", () => {
      response.addTrailers({ "x-method": request.method });
      response.end();
    });
  }
}

const [certificate, key] = process.argv.slice(2);
const plain = createServer(answer);
const secure = createTls({ cert: readFileSync(certificate), key: readFileSync(key) }, answer);
plain.on("upgrade", (_request, socket) => {
  socket.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n");
  socket.pipe(socket);
});
plain.listen(0, "127.0.0.1", () =>
  secure.listen(0, "127.0.0.1", () => console.log(`${plain.address().port} ${secure.address().port}`)),
);
