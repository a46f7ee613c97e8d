/*
 * chars - the classes of bytes that HTTP/1.1 names. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/word.h"

enum {
    CHAR_TOKEN = 1,  /* RFC 9110, 5.6.2: tchar */
    CHAR_TARGET = 2, /* visible ASCII but '#', which no target has */
    CHAR_VALUE = 4,  /* of a field: visible, obs-text, space, tab */
    CHAR_DIGIT = 8,
    CHAR_HEX = 16,
    CHAR_HOST = 32 /* RFC 3986, 3.2.2: reg-name, but for '%' */
};

extern const uint8_t http_chars[256];

static inline bool char_is(char c, unsigned classes)
{
    return (http_chars[(unsigned char)c] & classes) != 0;
}

/* Whether the WORD_BYTES bytes at p are all of CHAR_VALUE; false also for a tab. */
static inline bool chars_are_value(const char *p)
{
    uint64_t v = word_at(p);

    return !word_has_less(v, 0x20) && !word_has(v, 0x7F);
}
