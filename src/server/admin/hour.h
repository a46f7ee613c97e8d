/*
 * hour - what a counter has grown by in the last hour, by minutes, and in the last 5
 * minutes, by moments of 10 s.
 *
 *   zeroed -> (hour_count* -> hour_take)* -> hour_sum, hour_recent
 *
 * Pure; one thread. Times are whole seconds of the monotonic clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { HOUR_MINUTES = 60, HOUR_MOMENTS = 30, HOUR_MOMENT_S = 10 };

struct hour {
    uint64_t seen, sum; /* of the counter's cells at the last look, and at this one */
    uint32_t more;      /* between the two */
    uint32_t minutes[HOUR_MINUTES], moments[HOUR_MOMENTS];
};

static inline void hour_count(struct hour *h, uint64_t cell)
{
    h->sum += cell;
}

/* What was counted before hour_take is from before all looks. */
static inline void hour_begin(struct hour *h)
{
    h->seen = h->sum;
}

/* All cells are counted. from_s: of the look before; fresh: what came before now_s is no
 * news of the last minutes. */
void hour_take(struct hour *h, uint64_t from_s, uint64_t now_s, bool fresh);
/* The counts of one are those of to as well. */
void hour_add(struct hour *to, const struct hour *one);

uint64_t hour_sum(const struct hour *h);
uint64_t hour_recent(const struct hour *h); /* of the last 5 minutes */
/* Its cells are gone, and the last hour has nothing of it. */
bool hour_is_over(const struct hour *h);
