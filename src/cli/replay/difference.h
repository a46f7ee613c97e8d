/*
 * difference - whether two verdicts on an event differ, and how. One thread.
 */
#pragma once

#include "base/str.h"
#include "cli/replay/compare.h"

struct changes;

struct difference {
    struct changes *changes;
    const struct plan *fresh, *old; /* old NULL: compared with what is stored */
    const char *stream;             /* where the event lies; "": unknown */
};

/* The event as it lies there; the old verdict on it; the new one. */
void difference_add(const struct difference *d, struct str stored,
                    const struct verdict *was, const struct verdict *v);
