"""A proxy in front of ClickHouse: something happens between two questions.

    between.py PORT UP FOLDER

Forwards POST requests to 127.0.0.1:UP. Before the N-th it runs FOLDER/N, if it is there, as
a shell script, and waits for its end. FOLDER/asked has the number of questions.
"""

import http.client
import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

port, up, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    n = 0

    def do_POST(self):
        Handler.n += 1
        body = self.rfile.read(int(self.headers["Content-Length"]))
        script = f"{folder}/{Handler.n}"
        if os.path.exists(script):
            subprocess.run(["sh", script], check=True)
        c = http.client.HTTPConnection("127.0.0.1", up)
        c.request("POST", self.path, body)
        answer = c.getresponse()
        text = answer.read()
        with open(f"{folder}/asked", "w", encoding="utf-8") as f:
            f.write(str(Handler.n))
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format, *args):
        pass


HTTPServer(("127.0.0.1", port), Handler).serve_forever()
