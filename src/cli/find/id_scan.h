/*
 * id_scan - the events of a block that have an id. Reads as JSON only the lines in which
 * the id's characters stand, or those of blocks in which an escape may hide it. One
 * thread.
 *
 *   id_scan_new -> (id_scan_begin -> id_scan_next*)* -> id_scan_free
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct err;
struct id_scan;
struct spool_block;

/* paths: of the ids, n of them; an event has the id by any of them. The id stays the
 * caller's. NULL and *e: one is no path. */
struct id_scan *id_scan_new(struct str id, const char (*paths)[512], uint32_t n,
                            struct err *e) MUST_USE;
void id_scan_free(struct id_scan *s); /* NULL is fine */

/* b with its 64 bytes after it stays until the next one. */
void id_scan_begin(struct id_scan *s, const struct spool_block *b);
/* Of the first events of the blocks: whether there was one, and whether one has an id. If
 * none has, the paths may be misspelt. NULL is fine. */
bool id_scan_asked(const struct id_scan *s);
bool id_scan_met(const struct id_scan *s);
bool id_scan_met_first(const struct id_scan *s); /* by the first path */
/* *line: the next event of the block that has the id. False: no more. */
bool id_scan_next(struct id_scan *s, uint32_t *line);
