/* How many segments a stream has had made, reused or deleted. */
#pragma once

#include <stdio.h>
#include <time.h>

#include "stats/stats.h"

static inline void rest(void)
{
    (void)nanosleep(&(struct timespec){0, 2000000}, NULL);
}

static inline uint64_t segments(const char *stream, const char *op)
{
    char labels[96];

    (void)snprintf(labels, sizeof labels, "stream=\"%s\",op=\"%s\"", stream, op);
    return stats_value("sluice_spool_segments_total", labels);
}

/* Waits until that many are made. */
static inline void until_created(const char *stream, uint64_t n)
{
    for (int i = 0; i < 10000 && segments(stream, "created") < n; i++) {
        rest();
    }
    assert_int_equal(n, segments(stream, "created"));
}
