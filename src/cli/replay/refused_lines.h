/*
 * refused_lines - records of refusals (conf/REFUSED.md), read back.
 *
 *   refused_lines_new -> refused_lines_read* -> refused_lines_free
 *
 * One thread. A record's views live until the next call.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct err;
struct refused_lines;

struct refused_line {
    const char *code;       /* NUL-terminated */
    struct str route;       /* "POST /v1/:kind" */
    struct str path, query; /* as sent; "" none */
    struct str type, peer;  /* "" none */
    int64_t time_ms;        /* -1: unknown */
    bool one;               /* raw is one event of a batch */
    bool cut;               /* the rest of it was not kept */
    struct str raw;         /* as sent; 64 readable bytes after it */
};

/* Whether a line is a record: it begins as each of them does. */
bool refused_lines_is(struct str line);

struct refused_lines *refused_lines_new(struct err *e) MUST_USE;
void refused_lines_free(struct refused_lines *l); /* NULL is fine */

/* line has 64 readable bytes after it. False: it is damaged. */
bool refused_lines_read(struct refused_lines *l, struct str line,
                        struct refused_line *out) MUST_USE;
