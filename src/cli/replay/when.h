/*
 * when - the times that stored events name themselves, for judging them by the
 * clock they came by. One thread.
 *
 *   when_new -> (when_read -> when_of*)* -> when_free
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct err;
struct when;

/* path: of a field with milliseconds or RFC 3339 text. NULL and *e. */
struct when *when_new(const char *path, struct err *e) MUST_USE;
void when_free(struct when *w); /* NULL is fine */

/* Reads n lines, 64 readable bytes after them. */
void when_read(struct when *w, struct str lines, uint32_t n);

/* The time of line i of these; `otherwise` when it names none. */
int64_t when_of(const struct when *w, uint32_t i, int64_t otherwise);
