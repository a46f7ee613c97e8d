/*
 * access - the access log that a policy asks for. In plan->arena.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct access_plan {
    const char *path; /* relative: below the data directory */
    bool json;
    double sample;       /* share of the requests that have a line, 0..1 */
    bool always_refused; /* and those of which something is refused */
    uint64_t max_bytes;  /* 0: it does not rotate by itself */
    uint32_t keep;
};
