/*
 * redeliver - a running server sends a sink's dead letters to that sink once more; this
 * asks for it, waits and prints the result.
 */
#pragma once

#include <stdbool.h>

/* admin: host:port. Returns the exit code: 0 when each was taken. */
int redeliver(const char *admin, const char *sink, bool dry);
/* Ends it; 0: nothing of it is sent any more. */
int redeliver_stop(const char *admin, const char *sink);
