/*
 * base64 - bytes as letters (RFC 4648, the standard alphabet, padded). Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"

static inline size_t base64_length(size_t n)
{
    return (n + 2) / 3 * 4;
}

/* Writes base64_length(s.n) letters; returns how many. out and s do not overlap. */
size_t base64_write(struct str s, char *out);

/* Reads what base64_write wrote to out, which has s.n bytes. False: it is not that. */
bool base64_read(struct str s, char *out, size_t *n) MUST_USE;

/* Reads the alphabet for URLs without padding (RFC 7515, 2), in its one form: unused bits
 * of the last letter are zero. out has s.n bytes. False: it is not that. */
bool base64url_read(struct str s, char *out, size_t *n) MUST_USE;
