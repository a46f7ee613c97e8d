"""Clients of a server that is replaced again and again: over HTTP and HTTPS, on kept
connections and on new ones, each at a rate of its own.

    upgrade_clients.py PORT TLS_PORT RATE ACKS

RATE: requests a second, of all clients together; 0: as many as they can. It ends at the
end of its input. ACKS gets the number of each event that was acknowledged. Prints a line
for each kind: kind=... sent=... rate=... failed=... p50_ms=... p99_ms=... max_ms=..., and the first
failures. A request that its server answers with 503 or a reset has failed; a kept
connection that the server has ended with "Connection: close" is opened again.
"""
import http.client
import json
import ssl
import sys
import threading
import time

EACH = 3  # clients of a kind
KINDS = [("http", True), ("http", False), ("https", True), ("https", False)]
over = threading.Event()


class Client(threading.Thread):
    def __init__(self, number, tls, kept, port, pause_s):
        super().__init__()
        self.number, self.tls, self.kept = number, tls, kept
        self.port, self.pause_s = port, pause_s
        self.took, self.acked, self.failures, self.sent = [], [], [], 0
        self.conn = None
        self.context = ssl.create_default_context()
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE

    def connect(self):
        if self.tls:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60,
                                               context=self.context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, n):
        if self.conn is None:
            self.conn = self.connect()
        self.conn.request("POST", "/v1/events", json.dumps({"n": n}),
                          {"Content-Type": "application/json"})
        answer = self.conn.getresponse()
        answer.read()
        if answer.status != 202:
            raise RuntimeError("answered %d" % answer.status)
        if not self.kept or self.conn.sock is None:
            self.conn.close()
            self.conn = None

    def run(self):
        due = time.monotonic()
        while not over.is_set():
            n = self.number + self.sent * 1000
            self.sent += 1
            began = time.monotonic()
            try:
                self.ask(n)
                self.acked.append(n)
            except Exception as why:  # whatever it is: the request was not served
                self.failures.append("%r" % why)
                self.conn = None
            self.took.append((time.monotonic() - began) * 1000)
            due += self.pause_s
            left = due - time.monotonic()
            if left > 0:
                over.wait(left)
            elif left < -1:
                due = time.monotonic()


def show(kind, clients, seconds):
    took = sorted(t for c in clients for t in c.took)
    failures = [f for c in clients for f in c.failures]
    print("kind=%s sent=%d rate=%.1f failed=%d p50_ms=%.2f p99_ms=%.2f max_ms=%.2f" % (
        kind, len(took), len(took) / seconds, len(failures), took[len(took) // 2],
        took[min(len(took) - 1, len(took) * 99 // 100)], took[-1]))
    for f in failures[:5]:
        print("# " + f)


def main():
    port, tls_port, rate = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    pause_s = EACH * len(KINDS) / rate if rate > 0 else 0
    clients = []
    for i in range(EACH * len(KINDS)):
        scheme, kept = KINDS[i % len(KINDS)]
        clients.append(Client(i, scheme == "https", kept,
                              tls_port if scheme == "https" else port, pause_s))
    began = time.monotonic()
    for c in clients:
        c.start()
    sys.stdin.read()
    over.set()
    seconds = time.monotonic() - began
    for c in clients:
        c.join()
    with open(sys.argv[4], "a") as acks:
        for c in clients:
            acks.writelines("%d\n" % n for n in c.acked)
    for k, (scheme, kept) in enumerate(KINDS):
        show("%s_%s" % (scheme, "kept" if kept else "new"), clients[k::len(KINDS)],
             seconds)
    show("all", clients, seconds)


main()
