/*
 * watchdog - looks whether each worker comes back from its hooks.
 *
 *   watchdog_start ─► every 100 ms: at the same event since
 *                    ├─ 1 s   ─► the policy's signal: an interpreted hook raises
 *                    └─ 1.8 s ─► logged, noted in spool/suspect, exit 70
 *
 * and whether values that the policy keeps fill a state's memory: then the live policy
 * is loaded once more, into new states.
 *
 * Only time that the worker's thread had of the machine counts as stuck. The
 * supervisor's thread.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "stats/stats.h"

struct server;

/* The call that a worker was last seen in. */
struct watch_seen {
    const void *state; /* whose; compared only. NULL: in none */
    uint64_t pass;
    uint32_t event;            /* of the call's request */
    uint64_t since_ns, ran_ns; /* first seen: clock, thread's time */
    bool interrupted;
};

struct watch {
    struct server *s;
    ev_timer look;
    struct watch_seen *seen; /* one a worker */
    stats_cell *stopped;
    uint64_t freshened_ns; /* when a load for want of memory was last asked for */
};

void watchdog_start(struct watch *w, struct server *s); /* the workers run */
void watchdog_stop(struct watch *w); /* before they end; once more is fine */
