/*
 * error - the answers that http itself gives. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "http/encoding.h"

const char *http_phrase(int status); /* "Not Found"; "Other" */

/* {"error":<phrase>,"code":...,"limit":...,"detail":...}; the texts need no escapes;
 * limit -1: none. Returns the length, as snprintf does. */
size_t http_error_text(int status, const char *code, const char *detail, int64_t limit,
                       char *out, size_t n);

/* Further header lines of such an answer: whole lines, mostly "". */
const char *http_error_lines(int status);

struct http_error {
    int status;
    const char *code;
    char detail[96];
    int64_t limit; /* -1: none */
};

struct http_error http_error_encoding(void);           /* one unknown to us */
struct http_error http_error_large(uint64_t max_body); /* as it is sent */
struct http_error http_error_inflate(enum encoding_result r, uint64_t max_body);
