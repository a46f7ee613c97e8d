/*
 * replay - one replay of a sink's dead letters, as its two files share it: replay.c is
 * its course, replay_file.c the letters' file and the batches made of it.
 *
 * The delivery thread.
 */
#pragma once

#include "delivery/internal.h"
#include "delivery/letters.h"
#include "delivery/progress.h"

struct replay {
    char path[3200], mark[3200]; /* of the letters in hand, and how far they are */
    unsigned source;             /* where they were: see replay_file.c */
    struct letters *letters;
    struct progress at;
    uint64_t bad;                     /* unreadable lines of the batch in hand */
    struct batch *batch;              /* NULL: none is in hand */
    uint32_t place[PROGRESS_LETTERS]; /* of its events among the letters in hand */
    bool parked;                      /* it is to be submitted again, */
    uint64_t due_ns;                  /* then */
    bool rebuild;                     /* the batch in hand is an earlier run's */
    bool dry, resumed, failed, stopped;
    uint64_t remaining;
    struct err why;
};

/* ---- replay_file.c ---- */

/* The first file from r->source on that is there. r->letters stay NULL: there are
 * none. */
bool replay_open_file(struct delivery *d, struct replay *r, struct err *e) MUST_USE;
bool replay_more(const struct delivery *d, const struct replay *r); /* files after it */
/* After the last letter. Nothing is deleted that was not delivered, or is dead
 * again: a file with other lines stays, under another name. */
bool replay_close_file(struct replay *r, struct err *e) MUST_USE;
/* The next letters, up to the end that was noted when they are an earlier run's.
 * r->at.end, n, bad and place are set. */
bool replay_fill(struct delivery *d, struct replay *r, struct batch *b,
                 struct err *e) MUST_USE;
