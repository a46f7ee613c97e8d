/*
 * headers - the texts of a request's head, copied as they come: its target first, then
 * names and values; and the place of each.
 *
 *   headers_init -> (headers_begin -> headers_put* -> headers_trim -> headers_merge
 *                    -> headers_list)* -> headers_fini
 *
 * One owner, the parser (parse.c), which also notes the places. Views of the texts live
 * until the next call that adds one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"
#include "base/str.h"

enum { HEADERS_MAX = 64 };

/* Where a header's texts lie in text. */
struct header_place {
    uint32_t name, name_n, value, value_n;
};

struct headers {
    char *text;
    uint32_t text_n, text_room;
    uint32_t max_text; /* bytes of the names, the values and the target */
    uint32_t target_n; /* the target lies first in text */
    uint32_t n;
    struct header_place list[HEADERS_MAX];
};

void headers_init(struct headers *h);
void headers_fini(struct headers *h);

/* Of another head. */
void headers_begin(struct headers *h, uint32_t max_text);
/* Lets go of the texts' memory, but for a little. */
void headers_rest(struct headers *h);

/* Room for n more bytes of text. */
void headers_reserve(struct headers *h, size_t n);

/* Appends a text, or a part of one. False: the texts would pass max_text. */
static inline bool headers_put(struct headers *h, const char *p, size_t n)
{
    if (h->text_n > h->max_text || n > h->max_text - h->text_n) {
        return false;
    }
    if (h->text_n + n > h->text_room) {
        headers_reserve(h, n);
    }
    memcpy(h->text + h->text_n, p, n);
    h->text_n += (uint32_t)n;
    return true;
}

/* Blanks at the ends of values go. */
void headers_trim(struct headers *h);
/* Headers that are there twice become one list (RFC 9110, 5.3). May move the texts. */
void headers_merge(struct headers *h);

/* Returns how many there are. */
uint32_t headers_list(const struct headers *h, struct str_pair out[HEADERS_MAX]);
