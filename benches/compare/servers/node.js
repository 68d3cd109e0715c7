// The contract on Node's own http module.
'use strict';
const http = require('node:http');

const [host, port] = (process.argv[2] || '127.0.0.1:8080').split(':');

function answer(response, kind, body) {
  response.writeHead(200, { 'content-type': kind, 'content-length': body.length, server: 'node' });
  response.end(body);
}

const server = http.createServer((request, response) => {
  const [path] = request.url.split('?');
  if (path === '/plaintext') {
    answer(response, 'text/plain', 'Hello, World!');
  } else if (path === '/json') {
    answer(response, 'application/json', JSON.stringify({ message: 'Hello, World!' }));
  } else if (path === '/echo') {
    const parts = [];
    request.on('data', (part) => parts.push(part));
    request.on('end', () => answer(response, 'application/octet-stream', Buffer.concat(parts)));
  } else {
    response.writeHead(404, { 'content-length': 0 }).end();
  }
});
server.keepAliveTimeout = 60000;
server.listen({ host, port: Number(port), backlog: 4096 }, () => {
  console.log(`listening on http://${server.address().address}:${server.address().port}`);
});
