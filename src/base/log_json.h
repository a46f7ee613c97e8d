/*
 * log_json - a line of key=value pairs as a JSON object. Pure.
 */
#pragma once

#include <stddef.h>

#include "base/str.h"

/* The most bytes that log_json needs for a line of n. */
static inline size_t log_json_bound(size_t n)
{
    return 6 * n + 16;
}

/* line has no newline: ts=... level=info event=policy generation=8 why="a \"b\"".
 * Quoted values and words become texts, whole numbers stay numbers; bytes that are not
 * UTF-8 become U+FFFD. Writes to out, without a newline; returns the length. */
size_t log_json(struct str line, char *out);
