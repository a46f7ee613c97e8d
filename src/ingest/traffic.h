/*
 * traffic - the requests of one route at one worker: counted by method and status,
 * and how long they took.
 *
 *   traffic_init -> traffic_answered*
 *
 * Of the worker's thread; its cells are its owner's. Counting takes no lock and allocates
 * nothing, but for the first request of a method and status.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"
#include "stats/stats.h"

/* Of a label; clients can't add to them. */
enum method {
    METHOD_NONE, /* the bytes are not a request */
    METHOD_POST,
    METHOD_GET,
    METHOD_HEAD,
    METHOD_PUT,
    METHOD_PATCH,
    METHOD_DELETE,
    METHOD_OPTIONS,
    METHOD_OTHER
};

enum {
    TRAFFIC_CELLS_MAX = 48 /* pairs of method and status; further ones are "other" */
};

struct traffic_cell {
    uint16_t status;
    uint8_t method;
    stats_cell *cell;
};

struct traffic {
    const char *route;         /* the account's */
    struct stats_owner *owner; /* of its series */
    struct stats_histogram *seconds, *body,
        *first_byte; /* made with the first request */
    uint32_t n;
    struct traffic_cell cells[TRAFFIC_CELLS_MAX + 1];
};

/* When a request began, on the monotonic clock, and what it asked. */
struct request_mark {
    uint64_t began_ns; /* its headers were read; 0: they never were */
    uint64_t whole_ns; /* its body was read; 0: it was not */
    uint8_t method;    /* enum method */
    char trace[33];    /* 32 digits, of its traceparent; "": it has none */
};

enum method method_of(struct str word);

/* route: "POST /v1/events", or "none". Both live as long as t. */
void traffic_init(struct traffic *t, const char *route, struct stats_owner *owner);

/* A request is answered with that status (100 to 599). */
void traffic_answered(struct traffic *t, const struct request_mark *m, int status,
                      uint64_t now_ns, int64_t wall_ms);
/* The same without a time: no part of it is a client's request. */
void traffic_count(struct traffic *t, enum method method, int status);
