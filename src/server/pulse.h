/*
 * pulse - the service manager's watchdog: it is told that all is well only while every
 * worker's and every sink's thread comes back to its loop.
 *
 *   pulse_start ─► a question to each thread ─► all have answered ─► WATCHDOG=1, the next
 *                                          └─► one has not ─► no more messages; logged
 *
 * The supervisor's thread. Without a watchdog nothing is asked.
 */
#pragma once

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

struct server;
struct pulse_round;

struct pulse {
    struct server *s; /* NULL: no watchdog */
    ev_timer look;
    struct pulse_round *round;
    uint64_t late_ns;
    bool told; /* that a thread of this round is late */
};

void pulse_start(struct pulse *p, struct server *s); /* the threads run */
void pulse_stop(struct pulse *p); /* before they end; once more is fine */
