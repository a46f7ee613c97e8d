/*
 * pulse - whether every worker's and every sink's thread comes back to its loop: for
 * /status, and for the service manager's watchdog, which is told only then that all is well.
 *
 *   pulse_start ─► a question to each thread ─► all have answered ─► WATCHDOG=1, the next
 *                                          └─► one has not ─► no more messages; logged
 *
 * The supervisor's thread.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "stats/stats.h"

struct server;
struct pulse_round;

struct pulse {
    struct server *s; /* NULL: it is not asked */
    ev_timer look;
    struct pulse_round *round;
    uint64_t late_ns, look_ns; /* when a thread is late; the last look */
    bool watched;              /* there is a watchdog */
    stats_cell *silent;
    bool told; /* that a thread of this round is late */
};

void pulse_start(struct pulse *p, struct server *s); /* the threads run */
/* For how long a thread has not answered, and its name as "worker=0"; 0: all answer. */
uint64_t pulse_silent_ms(const struct pulse *p, char *thread, size_t bytes);
void pulse_stop(struct pulse *p); /* before they end; once more is fine */
