/*
 * sheet - the text of a route's own answer: the same calls count its bytes and write them.
 * Pure; any thread.
 */
#pragma once

#include <stddef.h>
#include <string.h>

#include "base/str.h"
#include "base/text.h"

enum { SHEET_TEXT_MAX = 512 };

struct sheet {
    char *out; /* NULL: bytes are counted, not written; else room for all of them */
    size_t n;
};

static inline void sheet_put(struct sheet *t, struct str s)
{
    if (t->out != NULL && s.n > 0) {
        memcpy(t->out + t->n, s.p, s.n);
    }
    t->n += s.n;
}

/* The first bytes of s, at most max <= SHEET_TEXT_MAX, as they stand in that place: up to
 * six bytes for each. */
void sheet_put_text(struct sheet *t, enum text_for to, struct str s, size_t max);
