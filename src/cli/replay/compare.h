/*
 * compare - one policy's verdicts on lines that are stored already.
 *
 *   compare_new -> (compare_route -> compare_lines -> compare_verdict*)* -> compare_free
 *
 * One thread. Decides by the code that the server decides by; the conf has the parts of
 * a request besides its events.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "decode/event.h"
#include "plan/plan.h"

struct err;
struct comparison;
struct policy;

enum {
    COMPARE_LINES_MAX = 10000, /* of one call of compare_lines */
    COMPARE_HEADERS_MAX = 32
};

struct compare_conf {
    const char *route;              /* "POST /v1/events"; NULL: the one that fits */
    const struct str_pair *headers; /* of every request */
    uint32_t n_headers;
};

/* The policy's own reference is kept; conf outlives the comparison. NULL and *e. */
struct comparison *compare_new(struct policy *p, const struct compare_conf *conf,
                               struct err *e) MUST_USE;
void compare_free(struct comparison *j); /* NULL is fine */

/* The route that events of this stream (NULL: unknown) are decided by. NULL and *e:
 * none fits, or several do. */
const struct route *compare_route(struct comparison *j, const char *stream,
                                  struct err *e) MUST_USE;

/* How many lines may be compared at once: as many as a request may have, fewer when
 * the route's hook has a bound of time a request. */
uint32_t compare_most(const struct comparison *j, const struct route *route);

struct verdict {
    enum event_fate fate;
    const char *code, *field, *message; /* NULL: none */
    uint64_t streams; /* bit i: plan->streams[i]; bit n_streams: dead letters */
    struct str line;  /* as it would be stored: a view until the next call */
};

/* Decides n lines (1..compare_most), each with its newline, 64 readable bytes
 * after them; text[0..n) are the lines without it. */
void compare_lines(struct comparison *j, const struct route *route, int64_t time_ms,
                   struct str lines, const struct str *text, uint32_t n);

/* Decides what a client sent and a route refused: by the route that its request has
 * now, or by conf->route. on_request is not asked: its headers are not kept. q->raw may
 * be written after. Of several events the first that is not accepted decides. */
struct refused_line;
struct verdict compare_refused(struct comparison *j, const struct refused_line *q);

/* The verdict on line i of these. */
struct verdict compare_verdict(struct comparison *j, uint32_t i);
