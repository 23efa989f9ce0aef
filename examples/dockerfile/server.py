"""Answers every request with a greeting, with nothing but the standard library."""

import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

GREETING = "Hello from a Dockerfile"


class Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"{GREETING}, release {os.environ.get('SKY_RELEASE', 'none')}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("0.0.0.0", int(os.environ.get("PORT", "9000"))), Hello).serve_forever()
