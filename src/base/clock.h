/*
 * clock - the clocks, read at the edges only; pure code takes the time
 * as an argument. Any thread.
 */
#pragma once

#include <stdint.h>
#include <time.h>

/* Milliseconds since 1970, for event time. */
static inline int64_t clock_wall_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Nanoseconds since some start, for durations. */
static inline uint64_t clock_mono_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Nanoseconds that the calling thread has run: the time of other threads and processes
 * does not count. A system call. */
static inline uint64_t clock_thread_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
