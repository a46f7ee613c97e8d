/*
 * stored - events that lie in a spool, also of a running server, or in the files of
 * an archive: read in order, a part of a stream at a time. Reads only; memory is
 * bounded by the largest event.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct err;

struct stored_part {
    const char *stream;   /* NULL: the file's name does not say */
    const char *reason;   /* dead letters, opened: why; NULL: events */
    struct str lines;     /* whole ones, each ends in a newline; 64 more bytes can
                           be read after them */
    int64_t time_ms;      /* when they came: of the block, or of the file */
    uint64_t done, total; /* bytes of the input, for progress */
};

/* False: that is enough. Views live during the call. */
typedef bool stored_fn(void *arg, const struct stored_part *p);

/* path: a spool's folder (its dead letters are left out), a folder with .ndjson, .ndjson.gz
 * or .ndjson.zst files, or one such file. *unread: segments of a spool of which events are
 * missing, because they are damaged or the disk does not give them. False and *e: it is none of
 * these, or can't be read. */
bool stored_read(const char *path, stored_fn *fn, void *arg, uint64_t *unread,
                 struct err *e) MUST_USE;
