/*
 * utf8 - one character at a time. Pure; inline, because it stands in inner loops.
 */
#pragma once

#include <stddef.h>

/* One well-formed multi-byte character (RFC 3629) at p; its length or 0. */
static inline unsigned utf8_char(const char *at, const char *end)
{
    const unsigned char *p = (const unsigned char *)at;
    size_t n = (size_t)(end - at);

    if (n >= 2 && p[0] >= 0xC2 && p[0] <= 0xDF && (p[1] & 0xC0) == 0x80) {
        return 2;
    }
    if (n >= 3 && p[0] >= 0xE0 && p[0] <= 0xEF && (p[1] & 0xC0) == 0x80 &&
        (p[2] & 0xC0) == 0x80 && !(p[0] == 0xE0 && p[1] < 0xA0) &&
        !(p[0] == 0xED && p[1] > 0x9F)) {
        return 3;
    }
    if (n >= 4 && p[0] >= 0xF0 && p[0] <= 0xF4 && (p[1] & 0xC0) == 0x80 &&
        (p[2] & 0xC0) == 0x80 && (p[3] & 0xC0) == 0x80 &&
        !(p[0] == 0xF0 && p[1] < 0x90) && !(p[0] == 0xF4 && p[1] > 0x8F)) {
        return 4;
    }
    return 0;
}
