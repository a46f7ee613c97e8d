/*
 * replayed - which letters of a file of dead letters have been replayed.
 *
 *   replayed_open -> replayed_has, replayed_add* -> replayed_save -> replayed_close
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct err;
struct replayed;

struct mark {
    uint64_t id[2];
};

/* Of a letter: its place in the spool, its time and its event. */
struct mark mark_of(struct str position, double time_ms, struct str event);

/* path: of the letters. NULL and *e: the marks can't be read. */
struct replayed *replayed_open(const char *path, struct err *e) MUST_USE;
void replayed_close(struct replayed *m); /* NULL is fine */
bool replayed_has(const struct replayed *m, struct mark x);
void replayed_add(struct replayed *m, struct mark x);
/* Writes all added marks to the disk. */
bool replayed_save(struct replayed *m, struct err *e) MUST_USE;
const char *replayed_path(const struct replayed *m);
