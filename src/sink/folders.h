/*
 * folders - which sink writes to which folder: each folder has one owner, because two
 * sinks would give their files the same names.
 *
 *   folders_new -> (folders_take -> folders_leave)* -> folders_free
 *
 * One table a process, shared by the sinks' threads. Folders are compared by device
 * and inode, and by name. Any thread.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

struct err;
struct folders;

struct folders *folders_new(void);
void folders_free(struct folders *f); /* NULL is fine */

/* dir, which exists, is the sink's from now on. One that belongs to the sink `was`
 * (NULL: no such) passes over. False and *e: it belongs to another sink, or can't be
 * looked at. f NULL: true. */
bool folders_take(struct folders *f, const char *dir, const char *sink, const char *was,
                  struct err *e) MUST_USE;

/* No longer: unless another sink has taken it over. */
void folders_leave(struct folders *f, const char *dir, const char *sink);
