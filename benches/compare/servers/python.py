"""The contract on Python's own http.server, with a thread per connection."""

import json
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Contract(BaseHTTPRequestHandler):
    """Fixed text, JSON rendered per request, and an echo."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one write

    def do_GET(self):
        """Answers /plaintext and /json."""
        path = self.path.split("?")[0]
        if path == "/plaintext":
            self.answer("text/plain", b"Hello, World!")
        elif path == "/json":
            self.answer("application/json", json.dumps({"message": "Hello, World!"}, separators=(",", ":")).encode())
        else:
            self.send_error(404)

    def do_POST(self):
        """Sends the body back."""
        self.answer("application/octet-stream", self.rfile.read(int(self.headers["content-length"])))

    def answer(self, kind, body):
        """Sends one whole answer."""
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        """Prints no log."""


class Server(ThreadingHTTPServer):
    """Has a long queue of connections before accept."""

    request_queue_size = 4096
    daemon_threads = True


host, port = (sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8080").split(":")
server = Server((host, int(port)), Contract)
server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)  # like the other servers that can
print(f"listening on http://{host}:{server.server_address[1]}", flush=True)
server.serve_forever()
