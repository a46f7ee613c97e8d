/*
 * sight - a running server watched: its facts, again and again.
 *
 *   sight_look -> (wait -> sight_look -> sight_facts)* -> sight_free
 *
 * One thread; a look takes two requests.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "cli/watch/series.h"

struct ask;
struct cJSON;
struct err;

struct sight {
    struct series_list before, now;
    struct cJSON *status;
    double pid, epoch; /* of the server's process that the last look has seen */
    uint64_t before_ns, now_ns;
    long wait_ms; /* for each answer; 0: 10 s */
};

/* *s is zeroed before the first. False and *e: as before. */
bool sight_look(struct sight *s, struct ask *a, struct err *e) MUST_USE;
/* Between the last two looks; after one, and where another process answered the last one,
 * since the server's start. The caller's. */
struct cJSON *sight_facts(const struct sight *s);
void sight_free(struct sight *s);
