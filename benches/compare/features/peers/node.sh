#!/bin/sh
# Node with the package ws, which is installed into $TARGET once.
set -eu
folder=$TARGET/features-node
[ -d "$folder/node_modules/ws" ] || npm install --silent --no-audit --no-fund --prefix "$folder" ws@8 >&2
NODE_PATH=$folder/node_modules exec node -e '
const [host, port] = process.argv[1].split(":");
const server = new (require("ws").WebSocketServer)({ host, port: Number(port), backlog: 4096 });
server.on("connection", (socket) => socket.on("message", (data, binary) => socket.send(data, { binary })));
' "$1"
