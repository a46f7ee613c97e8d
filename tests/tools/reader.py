"""Runs a program whose standard error is a small pipe or a terminal with one reader.

    reader.py pipe|terminal FILE PROGRAM ...

PROGRAM takes the place of this process. The reader writes what comes to FILE, and its
process id to FILE.reader; it ends with the last writer. A reader that SIGSTOP stops soon has
PROGRAM before a full pipe (4 KiB) or a full terminal.
"""

import fcntl
import os
import pty
import sys
import tty

kind, file, argv = sys.argv[1], sys.argv[2], sys.argv[3:]
if kind == "terminal":
    here, there = pty.openpty()
    tty.setraw(there)
else:
    here, there = os.pipe()
    fcntl.fcntl(there, fcntl.F_SETPIPE_SZ, 4096)

child = os.fork()
if child == 0:
    # A child of nobody, so that the program has none that ends.
    if os.fork() == 0:
        os.close(there)
        out = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        with open(file + ".new", "w", encoding="utf-8") as f:
            f.write(str(os.getpid()))
        os.rename(file + ".new", file + ".reader")
        while True:
            try:
                text = os.read(here, 65536)
            except OSError:  # of a terminal that nobody has any more
                break
            if not text:
                break
            os.write(out, text)
    os._exit(0)
os.waitpid(child, 0)
os.close(here)
os.dup2(there, 2)
os.close(there)
os.execvp(argv[0], argv)
