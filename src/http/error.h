/*
 * error - the answers that http itself gives. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

const char *http_phrase(int status); /* "Not Found"; "Other" */

/* {"error":<phrase>,"code":...,"detail":...}; the texts need no escapes. Returns
 * the length, as snprintf does. */
size_t http_error_text(int status, const char *code, const char *detail,
                       char *out, size_t n);

/* The detail of a 413. */
size_t http_error_large(uint64_t max_body, char *out, size_t n);
