/*
 * redeliver - a running server sends a sink's dead letters to that sink once more; this
 * asks for it, waits and prints the result.
 */
#pragma once

#include <stdbool.h>

/* The admin listener of the server: HOST:PORT, or https://HOST:PORT if it has TLS. */
struct redeliver_at {
    const char *admin;
    const char *ca; /* PEM file of the authorities that its certificate needs; NULL: the
                       system's */
};

/* Returns the exit code: 0 when each was taken. */
int redeliver(const struct redeliver_at *at, const char *sink, bool dry);
/* Ends it; 0: nothing of it is sent any more. */
int redeliver_stop(const struct redeliver_at *at, const char *sink);
