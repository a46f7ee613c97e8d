/*
 * dead - a sink's dead letters: events that it refused, each a line of
 * data/dead/sink-NAME.ndjson with the server's words.
 *
 *   dead_open -> (dead_put* -> dead_sync -> dead_keep | dead_rewind)* -> dead_close
 *
 * The delivery thread. What was put is in the file for good once dead_sync has
 * said so and the journal has its length; anything behind that is cut on opening.
 * The file may be taken away at any time: the next letter begins another.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct err;

struct dead {
    int fd;             /* -1: not opened yet */
    char path[3072];
    uint64_t length, synced;
    uint64_t kept;      /* length that the journal knows of */
    char *line;
    size_t line_room;
    uint64_t told_ns, untold; /* letters since the last log line */
};

struct dead_letter {
    struct str event, sink, stream, why;
    const char *uuid;   /* of the spool */
    uint32_t epoch, worker;
    uint64_t seq;
    int code;           /* the server's */
    int64_t time_ms;
    uint64_t generation;
};

void dead_init(struct dead *d, const char *data_dir, const char *sink);

/* length: what the journal knows of; more in the file is cut. The file is made at
 * the first put. */
bool dead_open(struct dead *d, uint64_t length, struct err *e) MUST_USE;
bool dead_put(struct dead *d, const struct dead_letter *l,
              struct err *e) MUST_USE;
/* n letters were put: a log line, at most one a second. */
void dead_tell(struct dead *d, const char *sink, int code, const char *why,
               uint32_t n);
bool dead_sync(struct dead *d, struct err *e) MUST_USE;
void dead_keep(struct dead *d);   /* the journal has it */
void dead_rewind(struct dead *d); /* it has not: what was put is put again */
void dead_close(struct dead *d);
