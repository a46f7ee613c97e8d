/*
 * moment - a time as commands print it. Pure; any thread.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"

enum { MOMENT_TEXT = 40 };

/* Milliseconds since 1970 as UTC; step_ms: how exact they are. Returns out. */
static inline const char *moment_text(char out[MOMENT_TEXT], int64_t ms,
                                      uint32_t step_ms)
{
    const int64_t part = (ms % 1000 + 1000) % 1000; /* also before 1970 */
    const time_t s = (time_t)(ms / 1000 - (ms % 1000 < 0));
    struct tm t;
    char day[32]; /* of any 64 bits, as a file may have them */

    (void)gmtime_r(&s, &t);
    (void)strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &t);
    if (step_ms >= 1000) {
        (void)snprintf(out, MOMENT_TEXT, "%sZ", day);
    } else {
        (void)snprintf(out, MOMENT_TEXT, "%s.%03dZ", day, (int)part);
    }
    return out;
}

/* The moment so long ago; 0, the first of all, if that was before 1970. */
static inline int64_t moment_ago(int64_t ms)
{
    int64_t now = clock_wall_ms();

    return ms < now ? now - ms : 0;
}
