/*
 * head - the bytes of a request's head, held to the grammar of RFC 9112 where
 * http-parser is lax: one space between the parts of the request line, "HTTP/1.1" in
 * these letters, line ends of CR and LF, no byte that no header may have.
 *
 *   head_reset -> head_feed* -> HEAD_DONE
 *
 * Pure; byte by byte or whole, the result is the same.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct head {
    int state;
    unsigned n; /* of empty lines before it, of the method's or version's bytes */
};

enum head_result {
    HEAD_MORE = 0,
    HEAD_DONE, /* the empty line is read */
    HEAD_BAD   /* the byte after those taken can't be there: head_why */
};

void head_reset(struct head *h);

/* Returns how many bytes are good. */
size_t head_feed(struct head *h, const char *p, size_t n, enum head_result *r);

bool head_has_method(const struct head *h); /* and the space after it */

/* After HEAD_BAD: the text that was expected; static. */
const char *head_why(const struct head *h);
