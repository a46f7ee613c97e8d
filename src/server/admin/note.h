/*
 * note - where a running server's admin listener is, for commands on the same machine.
 *
 *   spool/ADMIN    ADDRESS PID
 *
 * Written at each start, and not synced: after a power cut no server runs. Only the lock on
 * the spool says whether the server of a note runs, and the note is believed only if that
 * process wrote it. Reading takes no lock, so that it is in nobody's way.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

struct err;

enum { NOTE_ADDRESS = 192 };

struct note {
    char address
        [NOTE_ADDRESS]; /* "127.0.0.1:9100", "unix:/path", "https://[::1]:9100" */
    long pid;
};

/* The supervisor. False and *e: commands need --admin. */
bool note_write(const char *spool_dir, const char *address, bool tls,
                struct err *e) MUST_USE;

/* False and *e: there is none, or its server does not run. Any process. */
bool note_read(struct note *n, const char *spool_dir, struct err *e) MUST_USE;
bool note_there(const char *spool_dir) MUST_USE;
