/*
 * passed - listening sockets that systemd opened and passed to this process
 * (LISTEN_FDS, LISTEN_PID, LISTEN_FDNAMES; sd_listen_fds(3)).
 *
 * The supervisor's thread. The sockets stay systemd's: each call gives a copy of the
 * descriptor, which is the caller's to close.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"

struct err;

/* The name of the socket at place i, from 0; false: so many were not passed. */
bool passed_name(int i, char *out, size_t n) MUST_USE;

/* The socket of that name (FileDescriptorName=, by default that of the socket unit).
 * bound gets its address. Non-blocking. -1 and *e: there is none, or several, or it is no
 * listening stream socket. */
int passed_open(const char *name, char *bound, size_t bound_bytes,
                struct err *e) MUST_USE;
