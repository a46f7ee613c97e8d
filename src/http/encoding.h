/*
 * encoding - compressed request bodies made plain, under a cap.
 *
 *   encoding_new -> encoding_inflate* -> encoding_free
 *
 * One a worker: the result lies in its buffer until the next call. Nothing
 * allocates once the buffer has grown to the largest body.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "http/http.h"

struct encoding;

enum encoding_result {
    ENCODING_OK = 0,
    ENCODING_LARGE, /* more than max bytes */
    ENCODING_BAD    /* damaged, cut off, or something after it */
};

struct encoding *encoding_new(void);
void encoding_free(struct encoding *e); /* NULL is fine */

/* The value of Content-Encoding; false: none that we know. */
bool encoding_of(struct str value, enum http_encoding *out);

/* What holds when the headers say sent, and the first bytes are to tell: brotli has
 * none of its own. */
enum http_encoding encoding_detected(enum http_encoding sent);

/* HTTP_PAD readable bytes lie after *out, as they do after in: a body that is not
 * compressed is its own result. */
enum encoding_result encoding_inflate(struct encoding *e, enum http_encoding how,
                                      struct str in, uint64_t max,
                                      struct str *out) MUST_USE;
