/*
 * whole - what an integer's text is, and its digits as an integer column reads them.
 * Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

/* An int field's range. */
struct whole_range {
    uint8_t bits; /* 8, 16, 32 or 64 */
    bool is_unsigned;
};

struct whole {
    bool minus;
    uint64_t v;
};

enum whole_result {
    WHOLE_OK = 0,
    WHOLE_NONE,  /* a fraction, or no number */
    WHOLE_SMALL, /* beyond the range */
    WHOLE_LARGE
};

/* The integer that a number's text is: also 1.0, 1e3, 007, +5 and 1.50e2. */
enum whole_result whole_read(struct str text, struct whole *out) MUST_USE;

/* Whether the range has it. */
enum whole_result whole_in(const struct whole *w, struct whole_range range) MUST_USE;

enum { WHOLE_BYTES = 21 };

/* Its digits, without leading zeros and "-0"; the length. */
size_t whole_write(const struct whole *w, char out[WHOLE_BYTES]);
