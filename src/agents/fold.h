/*
 * fold - texts as the sieve compares them: ASCII letters are small, and the two other
 * characters that a regular expression without case takes for ASCII letters (U+017F for s,
 * U+212A for k) are those letters. Pure.
 */
#pragma once

#include <stddef.h>

#include "base/str.h"

/* out has room for in.n bytes; returns how many it got. The fold of two texts, one after
 * the other, is the fold of both, if they are whole characters. */
static inline size_t fold_text(struct str in, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < in.n; i++) {
        unsigned char c = (unsigned char)in.p[i];

        if (c >= 'A' && c <= 'Z') {
            c = (unsigned char)(c | 0x20);
        } else if (c == 0xC5 && i + 1 < in.n && (unsigned char)in.p[i + 1] == 0xBF) {
            c = 's';
            i++;
        } else if (c == 0xE2 && i + 2 < in.n && (unsigned char)in.p[i + 1] == 0x84 &&
                   (unsigned char)in.p[i + 2] == 0xAA) {
            c = 'k';
            i += 2;
        }
        out[n++] = (char)c;
    }
    return n;
}
