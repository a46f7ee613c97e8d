/*
 * text_pattern - a Lua pattern without captures, %b, %f and back references, matched
 * in one pass over a text whatever it holds: no input makes it slow. Pure; a pattern
 * is immutable and any thread's.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

enum { TEXT_PATTERN_ITEMS = 63 };

/* Item i of the pattern is bit i of each mask; bit n is the end. */
struct text_pattern {
    uint64_t takes[256]; /* items that a byte fits */
    uint64_t repeats;    /* items that may take more than one byte */
    uint64_t skips;      /* items that may take none */
    uint64_t end;
    bool from_start, to_end; /* ^ and $ */
};

/* NULL: done; else why text is no such pattern: "has a capture", static. */
const char *text_pattern_read(struct str text, struct text_pattern *out) MUST_USE;

/* Whether text has a place that the pattern fits, as string.find looks for one. */
bool text_pattern_fits(const struct text_pattern *p, struct str text);
