/*
 * ids - the ids of events that lie as lines: texts as their characters are, numbers as
 * their digits are. One thread.
 *
 *   ids_new -> (ids_read | ids_read_stored -> ids_get*)* -> ids_free
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct err;
struct ids;

/* path: of the field. NULL and *e: it is no path. */
struct ids *ids_new(const char *path, struct err *e) MUST_USE;
void ids_free(struct ids *ids); /* NULL is fine */

/* Reads n lines, 64 readable bytes after them; they stay until the next ids_read. */
void ids_read(struct ids *ids, struct str lines, uint32_t n);

/* Whether the path names a key of the event itself, as it stands between the quotes. */
bool ids_is_plain(const char *path);

/* The same of events that were stored, so that they need not be checked again: where the
 * id is a field of the event itself, nothing after it is read. */
void ids_read_stored(struct ids *ids, struct str lines, uint32_t n);

/* The id of line i of these, valid until the next call; p NULL: it has none, or one
 * that is neither a text nor a number. */
struct str ids_get(struct ids *ids, uint32_t i);
