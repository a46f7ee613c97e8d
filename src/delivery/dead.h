/*
 * dead - a sink's dead letters: events that it refused, each a line of
 * data/dead/sink-NAME.ndjson with the server's words.
 *
 *   dead_open -> (dead_begin -> dead_put* -> dead_sync -> dead_keep | dead_rewind)*
 *             -> dead_close
 *
 * The delivery thread. A letter is in the file for good once dead_sync has said so and
 * the journal has the file's length and mark; letters of this sink after that length
 * are cut on opening if their events are still to be delivered, because they are put
 * again. People edit, move, truncate and
 * replace the file while it is in use: letters go to the end of the file that has the
 * name, and nothing else is cut or written over.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "sink/position.h"

struct err;

enum { DEAD_MARK_BYTES = 40 };

/* Whether the event at that position is still to be delivered. */
typedef bool dead_owes_fn(void *arg, const struct position *at);

struct dead {
    int fd;             /* -1: not opened yet */
    dead_owes_fn *owes; /* set between dead_init and dead_open; NULL: all are */
    void *arg;
    char path[3072];
    char sink[96];
    uint64_t length; /* of the file, as far as is known */
    uint64_t synced;
    uint64_t begun;             /* where this attempt's letters begin */
    bool whole;                 /* they lie together */
    uint64_t kept;              /* length that the journal knows of, */
    char mark[DEAD_MARK_BYTES]; /* which file that was, and how it ended */
    char *line;
    size_t line_room;
    uint64_t told_ns, untold; /* letters since the last log line, */
    int untold_code;          /* and the server's words of the last one */
    char untold_why[200];
};

struct dead_letter {
    struct str event, sink, why;
    struct position at;
    int code; /* the server's */
    int64_t time_ms;
    uint64_t generation;
};

void dead_init(struct dead *d, const char *data_dir, const char *sink);

/* length and mark: as the journal has them; UINT64_MAX: it has none, and all is kept.
 * The file is made at the first letter. */
bool dead_open(struct dead *d, uint64_t length, const char *mark,
               struct err *e) MUST_USE;

/* Letters come. *tell: the journal must know d->length and d->mark before. */
bool dead_begin(struct dead *d, bool *tell, struct err *e) MUST_USE;
bool dead_put(struct dead *d, const struct dead_letter *l, struct err *e) MUST_USE;
/* n letters were put: a log line, at most one a second; dead_close tells the rest. */
void dead_tell(struct dead *d, int code, const char *why, uint32_t n);
bool dead_sync(struct dead *d, struct err *e) MUST_USE; /* sets d->mark */
void dead_keep(struct dead *d);                         /* the journal has it */
void dead_rewind(struct dead *d); /* it has not: the letters are put again */
void dead_close(struct dead *d);

/* Bytes of the file that has the name now; 0: there is none. */
uint64_t dead_bytes(const struct dead *d);
