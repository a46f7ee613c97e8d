"""An HTTP endpoint for tests: takes batches of events, knows a batch by its id.

    receiver.py PORT DIR [CERT KEY [CA]]    with CERT: TLS; with CA: and a client's
                                            certificate of that authority

DIR/events.ndjson has every event that was taken, as it came, behind a line "#id" for
its batch; DIR/requests.ndjson a line a request: time, method, path, headers, the
port of its connection, the number of its bytes, the answer's status and what became of
it. DIR/rules says how requests are answered, one rule a line, read for each of them:

    status CODE [SECONDS]   an answer without taking it; SECONDS: Retry-After
    limit BYTES             413 for larger bodies
    key SECRET              401 without X-Api-Key: SECRET
    poison                  400 for a batch with an event whose value is text
    conflict                409 for a batch that is there already
    page [MIB]              200 and a page of HTML, and the batch is not taken
    sorry EVERY             503 and a page of HTML that has a code, to all requests but
                            every EVERYth
    memory BYTES            larger bodies are refused as ClickHouse does without memory
    late SECONDS [insert]   before the answer; insert: not before that to a question
    lose                    a batch that was taken, or is there, gets no answer
    drop                    the same on a connection that had a request before; the other
                            rules are for the first request of a connection
    badrow CODE [row]       a batch with an event whose value is text is refused as
                            ClickHouse does, with that text quoted; row: and its number
    allbad CODE             every batch is refused so
    clickhouse VERSION      a question is answered with that, as ClickHouse does; a batch's
                            id is its deduplication token
    partitions N            and a batch with more than N values of "part" is refused

What was taken outlives kill -9: a batch is one write.
"""

import gzip
import itertools
import json
import os
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

port, folder = int(sys.argv[1]), sys.argv[2]
lock = threading.Lock()
turns = itertools.count(1)
seen = set()
flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
events_fd = os.open(folder + "/events.ndjson", flags, 0o644)
requests_fd = os.open(folder + "/requests.ndjson", flags, 0o644)


def rules():
    try:
        with open(folder + "/rules", encoding="utf-8") as f:
            return {w[0]: w[1:] for w in (line.split() for line in f) if w}
    except FileNotFoundError:
        return {}


def lines_of(body, content_type):
    if content_type == "application/json":
        return [json.dumps(x, separators=(",", ":"), ensure_ascii=False).encode()
                for x in json.loads(body)]
    return body.splitlines()


def peer_of(c):
    if not isinstance(c, ssl.SSLSocket) or not c.getpeercert():
        return None
    return c.getpeercert()["subject"][0][0][1]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one write: a second one would wait for the first's ACK
    served = 0  # requests of the connection

    def log_message(self, *args):
        pass

    def decide(self, body, rule):
        """Status, Retry-After, what became of it."""
        if "status" in rule:
            return int(rule["status"][0]), rule["status"][1:], "fault"
        if "key" in rule and self.headers.get("X-Api-Key") != rule["key"][0]:
            return 401, [], "key"
        if "page" in rule:
            text = "x" * (int(rule["page"][0]) << 20) if rule["page"] else "Please log in"
            return 200, [], "<html><body>" + text + "</body></html>"
        if "sorry" in rule and next(turns) % int(rule["sorry"][0]) != 0:
            return 503, [], "<html><body>Error Code: 503</body></html>"
        if "memory" in rule and len(body) > int(rule["memory"][0]):
            return 500, [], "Code: 241. DB::Exception: Memory limit exceeded"
        if "limit" in rule and len(body) > int(rule["limit"][0]):
            return 413, [], "limit"
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        lines = lines_of(body, self.headers.get("Content-Type"))
        if "poison" in rule and any(
                isinstance(json.loads(x).get("value"), str) for x in lines):
            return 400, [], "an event is bad"
        if "allbad" in rule:
            return 500, [], "Code: " + rule["allbad"][0] + ". DB::Exception: no column"
        if "badrow" in rule:
            values = [json.loads(x).get("value") for x in lines]
            for k, value in enumerate(values):
                if isinstance(value, str):
                    where = ": (at row %d)" % (k + 1) if "row" in rule["badrow"] else ""
                    return 500, [], ("Code: " + rule["badrow"][0] + ". DB::Exception: "
                                     "Cannot parse '" + value + "'" + where)
        if "partitions" in rule and len(
                {json.loads(x)["part"] for x in lines}) > int(rule["partitions"][0]):
            return 500, [], ("Code: 252. DB::Exception: Too many partitions for single "
                             "INSERT block (more than " + rule["partitions"][0] + ")")
        batch = self.headers.get("Idempotency-Key")
        for token in parse_qs(urlsplit(self.path).query).get(
                "insert_deduplication_token", []):
            batch = token
        with lock:
            if batch in seen:
                return 409 if "conflict" in rule else 200, [], "copy"
            if batch:
                seen.add(batch)
            text = b"#%s\n" % str(batch).encode()
            self.taken = text + b"".join(x + b"\n" for x in lines)
        return 200, [], "taken"

    def take(self):
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        rule = rules()
        self.served += 1
        self.taken = b""
        asks = "clickhouse" in rule and "query=SELECT" in self.path
        if asks:
            status, after, what = 200, [], "version " + rule["clickhouse"][0] + "\n"
        else:
            if "drop" in rule and self.served > 1:
                rule = {"lose": []}
            status, after, what = self.decide(body, rule)
        note = {"at": time.time(), "method": self.command, "path": self.path,
                "headers": {k.lower(): v for k, v in self.headers.items()},
                "peer": peer_of(self.connection),
                "port": self.client_address[1], "bytes": len(body), "status": status, "what": what}
        # First: a test that has waited for an event asks for its request.
        os.write(requests_fd, json.dumps(note).encode() + b"\n")
        if self.taken:
            os.write(events_fd, self.taken)
        if "lose" in rule and what in ("taken", "copy"):
            self.close_connection = True
            return
        if "clickhouse" in rule and what in ("taken", "copy"):
            what = ""
        if "late" in rule and not (asks and "insert" in rule["late"]):
            time.sleep(float(rule["late"][0]))
        answer = what.encode()
        self.send_response(status)
        if after:
            self.send_header("Retry-After", after[0])
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PUT = take


with open(folder + "/events.ndjson", encoding="utf-8") as known:
    seen.update(line[1:].strip() for line in known if line.startswith("#"))
ThreadingHTTPServer.request_queue_size = 128
server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
if len(sys.argv) > 3:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[3], sys.argv[4])
    if len(sys.argv) > 5:
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(sys.argv[5])
    server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
