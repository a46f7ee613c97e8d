/*
 * redeliver - a running server sends a sink's dead letters to that sink once more; this
 * asks for it, waits and prints the result.
 */
#pragma once

#include <stdbool.h>

struct ask_options; /* which server, and its token: cli/ask.h */

/* Returns the exit code: 0 when each was taken, EXIT_SETUP when no server answers. */
int redeliver(const struct ask_options *at, const char *sink, bool dry);
/* Ends it; 0: nothing of it is sent any more. */
int redeliver_stop(const struct ask_options *at, const char *sink);
