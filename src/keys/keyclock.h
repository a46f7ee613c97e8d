/*
 * keyclock - the time by which keys may go for good: the wall clock, unless that has
 * jumped ahead. A machine that starts with a wrong clock would take all keys for too old.
 *
 *   keyclock_init -> keyclock_now*
 *
 * A wall clock that is ahead of the time that has passed is believed once it has run
 * evenly for a window, at most a day: the keys stay that much longer when it was right,
 * as after a long stop. Pure; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct keyclock {
    int64_t now_ms, mono_ms; /* of the last look */
    bool ahead;
    int64_t lead_ms,
        since_ms; /* ahead: by how much; since when, by the monotonic clock */
};

/* last_ms: a time that was believed before, by an earlier process; 0: unknown. */
void keyclock_init(struct keyclock *c, int64_t last_ms, int64_t wall_ms,
                   int64_t mono_ms);

/* Milliseconds since 1970; never above wall_ms. c->ahead: wall_ms is not believed.
 * window_ms: of the keys. */
int64_t keyclock_now(struct keyclock *c, int64_t wall_ms, int64_t mono_ms,
                     int64_t window_ms);
