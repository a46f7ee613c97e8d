/*
 * position - the name of an event for receivers that drop names they have seen:
 *
 *   UUID/STREAM/EPOCH.WORKER/SEQUENCE
 *
 * Each stream of a spool counts from 1. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

enum { POSITION_MAX = 192 }; /* with its NUL */

struct position {
    struct str uuid;
    struct str stream; /* {NULL, 0}: an older version wrote it without */
    uint32_t epoch, worker;
    uint64_t seq;
};

/* Returns its length. */
size_t position_write(const struct position *p, char out[POSITION_MAX]);

/* Views into text, also of older versions. False: it is not a position. */
bool position_read(struct str text, struct position *out) MUST_USE;
