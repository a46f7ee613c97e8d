/*
 * lines - the access log of the live policy: opened, followed over reloads, closed.
 *
 *   lines_open (before the workers) -> lines_follow* -> lines_close (after them) | lines_end
 *
 * The supervisor's, unless said otherwise.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct err;
struct plan;
struct server;

/* A log that can't be opened is told, and does not hold up the start. */
void lines_open(struct server *s);
/* The live policy is another one. */
void lines_follow(struct server *s);

/* Whether plan's log can be opened. Any thread; may block. */
bool lines_try(const struct server *s, const struct plan *plan, struct err *e) MUST_USE;

/* Ends its thread, and tells which lines the log lacks; false: it hangs in a disk.
 * Workers may be there that hang themselves. */
bool lines_end(struct server *s, uint64_t until_ns) MUST_USE;
/* The same, after the workers. */
bool lines_close(struct server *s, uint64_t until_ns) MUST_USE;
