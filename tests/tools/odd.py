"""A server that breaks HTTP's rules, for tests of what sends to it.

    odd.py PORT DIR      DIR/mode has the mode, read for each connection

early     200 as soon as the headers are there; the body is never read
endless   reads the request, then 200 and a body without an end
headers   reads the request, then 200 and 1 MB of headers
junk      reads the request, then words that are no HTTP
trickle   reads the request, then 200, a byte every 0.2 s
redirect  302 to /other
hints     103 a few times, then 200
close     200, and the connection is closed
html      200 and a page, whatever is asked
DIR/taken has a line a body that was read whole in hints and close.
"""

import os
import socket
import sys
import threading
import time

port, folder = int(sys.argv[1]), sys.argv[2]
PAGE = b"<html><body>Please log in</body></html>"


def answer(body=b"", status=b"200 OK", more=b""):
    return (b"HTTP/1.1 " + status + b"\r\n" + more + b"Content-Length: "
            + str(len(body)).encode() + b"\r\n\r\n" + body)


def read_request(c, head_only=False):
    data = b""
    while b"\r\n\r\n" not in data:
        more = c.recv(4096)
        if not more:
            return None
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    if head_only:
        return head, body
    c.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    while len(body) < length:
        more = c.recv(65536)
        if not more:
            return None
        body += more
    return head, body


def take(body):
    with open(folder + "/taken", "ab") as f:
        f.write(body)


def odd(c, mode):
    if mode == "early":
        read_request(c, True)
        c.sendall(answer())
        time.sleep(1)
        c.close()
        return
    request = read_request(c)
    if request is None:
        return
    if mode == "endless":
        c.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            c.sendall(b"x" * 65536)
    elif mode == "headers":
        c.sendall(answer(more=b"".join(b"X-%d: %s\r\n" % (i, b"y" * 1000)
                                       for i in range(1000))))
    elif mode == "junk":
        c.sendall(b"hello, this is no HTTP\r\n\r\n")
    elif mode == "trickle":
        for byte in answer(b"x" * 1000):
            c.sendall(bytes([byte]))
            time.sleep(0.2)
    elif mode == "redirect":
        c.sendall(answer(status=b"302 Found", more=b"Location: /other\r\n"))
    elif mode == "html":
        c.sendall(answer(PAGE, more=b"Content-Type: text/html\r\n"))
    else:
        take(request[1])
        if mode == "hints":
            c.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 3)
        c.sendall(answer())


def serve(c):
    try:
        with open(folder + "/mode", encoding="utf-8") as f:
            odd(c, f.read().strip())
    except OSError:
        pass
    finally:
        c.close()


listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
listener.bind(("127.0.0.1", port))
listener.listen(64)
os.close(0)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
