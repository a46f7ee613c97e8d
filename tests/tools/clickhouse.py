"""A current ClickHouse for tests: an HTTP port before the engine of PyPI's chdb-core.

    PYTHON clickhouse.py PORT       the Python of tests/chdb.sh

The parser, types and tables are the real ones; there are no users and no replicas.
Statements stand in ?query= or in the body, settings in the URL; INSERT ... FORMAT
JSONEachRow takes a body that is plain, gzip or zstd. Errors have their code in
X-ClickHouse-Exception-Code, as a server's.
"""

import gzip
import http.server
import re
import sys
import threading
import urllib.parse

import zstandard
from chdb import session

OURS = {"query", "query_id", "wait_end_of_query", "user", "password", "database"}
INSERT = re.compile(r"\s*INSERT\s+INTO\s.*\sFORMAT\s+JSONEachRow\s*$", re.I | re.S)
engine = session.Session()
one_at_a_time = threading.Lock()


def unpack(body, coding):
    if coding == "gzip":
        return gzip.decompress(body)
    if coding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return body


def text(value):
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def statement(url, body):
    """What the engine is to run."""
    pairs = urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query, True)
    query = "".join(v for k, v in pairs if k == "query")
    settings = ", ".join(k + " = " + text(v) for k, v in pairs if k not in OURS)
    rows = body.decode("utf-8", "surrogateescape")
    if INSERT.match(query):
        head = query[:query.upper().rindex("FORMAT")]
        more = "SETTINGS " + settings + " " if settings else ""
        return head + more + "FORMAT JSONEachRow\n" + rows
    return query + rows


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one write: a second one would wait for the first's ACK

    def log_message(self, *args):
        pass

    def answer(self, status, body, code=None, insert=False):
        data = body.encode("utf-8", "surrogateescape")
        self.send_response(status)
        if code is not None:
            self.send_header("X-ClickHouse-Exception-Code", str(code))
        if insert:
            self.send_header("X-ClickHouse-Summary", "{}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = unpack(body, self.headers.get("Content-Encoding"))
        run = statement(self.path, body)
        insert = "FORMAT JSONEachRow\n" in run
        try:
            with one_at_a_time:
                out = str(engine.query(run, "TabSeparated"))
            self.answer(200, "" if insert else out, insert=insert)
        except Exception as e:  # what the engine raises is a plain one
            found = re.search(r"Code: (\d+)", str(e))
            self.answer(404 if found and found[1] == "60" else 500, str(e) + "\n",
                        found[1] if found else "1002")

    do_GET = do_POST


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
