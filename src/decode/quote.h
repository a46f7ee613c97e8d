/*
 * quote - text to a JSON string. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/* The most bytes that quote_write needs for n bytes of text. */
static inline size_t quote_bound(size_t n)
{
    return 6 * n + 2;
}

/* Writes text in quotes to out; returns the length, or 0 when text is not
 * UTF-8 (nothing useful is in out then). */
size_t quote_write(struct str text, char *out);

/* The same for any bytes: each byte that is not UTF-8 becomes U+FFFD. */
size_t quote_mended(struct str text, char *out);

bool quote_is_utf8(struct str text);
