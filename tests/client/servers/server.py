"""Python's http.server, of HTTP and HTTPS. Usage: server.py FOLDER CERTIFICATE KEY. Prints both ports."""

import functools
import http.server
import ssl
import sys
import threading

folder, certificate, key = sys.argv[1:]


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


plain = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))


class Persistent(Handler):
    protocol_version = "HTTP/1.1"


secure = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Persistent, directory=folder))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
secure.socket = context.wrap_socket(secure.socket, server_side=True)
threading.Thread(target=secure.serve_forever, daemon=True).start()
print(plain.server_port, secure.server_port, flush=True)
plain.serve_forever()
