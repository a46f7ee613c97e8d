/*
 * progress - whether another process still runs: one that was stopped, or waits for ever,
 * uses no time of a processor.
 *
 *   progress_begin -> progress_stands*
 *
 * Any thread. It is asked several times a second.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct progress {
    pid_t pid;
    uint64_t ticks;    /* that it has used */
    uint64_t since_ns; /* since when these are all (clock_mono_ns) */
};

void progress_begin(struct progress *p, pid_t pid, uint64_t now_ns);

/* For how long it has used none, in ns; 0: that can't be known. */
uint64_t progress_stands(struct progress *p, uint64_t now_ns);
