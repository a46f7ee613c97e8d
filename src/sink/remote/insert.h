/*
 * insert - one batch on its way to a server: its parts, the rows that
 * the server refused, its tries.
 *
 *   begin -> next part ─► body ─► send ─► answer ─┬ taken ────► verdict OK, next
 *                          ▲        └ hedge ─► ───┤
 *                          │ without that row ◄───┼ a row is refused
 *                          │ two halves ◄─────────┼ some row is refused, or too
 *                          │                      │   many partitions
 *                          └── (pump, later) ◄────┴ RETRY, MAYBE, SETUP
 *
 * After the last part the refused rows are handed back as SINK_DATA, unless there
 * are so many that it is the table that is wrong (SINK_SETUP). The sink's thread.
 */
#pragma once

#include <ev.h>

#include "sink/remote/remote.h"

enum {
    INSERT_EXTRA_MAX = 32, /* inserts of a batch beyond one a part */
    INSERT_ROWS_MAX = 10,  /* refused rows that any batch may have */
    INSERT_PARTS_MAX = 2 + 2 * INSERT_EXTRA_MAX
};

struct insert_try {
    struct transfer *transfer; /* NULL: not running */
    struct insert *insert;
    struct endpoint *endpoint;
    uint64_t generation;       /* of the endpoint's breaker */
};

struct insert {
    struct insert *next;       /* of the sink's list */
    struct sink *sink;
    struct batch *batch;
    struct insert_part {
        uint32_t first, n;
    } parts[INSERT_PARTS_MAX], /* the last one is the next */
        aside[INSERT_PARTS_MAX]; /* of which each row was refused, in order */
    uint32_t n_parts, n_aside;
    uint32_t *refused;         /* rows, in order */
    uint32_t n_refused, refused_room;
    uint32_t extra;
    int code;                  /* of the last refused row */
    char why[600];             /* the server's words for it */
    char *body;                /* compressed */
    size_t n_body, body_room;
    struct insert_try tries[2];
    uint64_t began_ns;         /* the part was sent first */
    enum coding coding;        /* of body */
    struct target *target;     /* NULL: it was not sent yet */
    bool maybe;                /* a try may have been taken: the same bytes again */
    bool parked;
    bool enlarge;              /* the server has too many parts */
    ev_timer hedge;
};

/* Takes b, or goes on with it where it was left. */
void insert_begin(struct sink *s, struct batch *b);

/* An endpoint has said whether it is there: those that wait for one go on, or back
 * to the pump. */
void insert_asked(struct sink *s, bool ok, const struct transfer_answer *a);

/* Ends its tries and forgets it; the batch stays the pump's. */
void insert_free(struct insert *i);

/* parts.c: i's parts and refused rows; the last part is the one in hand. */
/* Rows of the parts that are left are tried again, those set aside, too; the others
 * were refused while their neighbours went into the table, and stay so. */
void parts_forgive(struct insert *i);
/* Parts in hand of which each row was refused wait for what becomes of the others. */
void parts_set_aside(struct insert *i);
/* More is refused, or more was tried, than bad rows explain. */
bool parts_too_many(const struct insert *i);
void parts_refuse(struct insert *i, uint32_t row); /* as the batch counts */
/* Row number `sent` of those sent of the part that begins with first, as the batch
 * counts. */
uint32_t parts_row(const struct insert *i, uint32_t first, int64_t sent);
/* How many of rows first .. first + n - 1 are refused. */
uint32_t parts_refused(const struct insert *i, uint32_t first, uint32_t n);
/* The one in hand, which has two rows or more. The journal has it, so that also the
 * next process sends what this one sent. */
void parts_halve(struct insert *i);
void parts_emit(struct sink *s, struct journal_draft *draft); /* all of all inserts */

/* What the rows first .. first + n - 1 are but for those refused, whoever sends them
 * and however often: of their places, so that no other set of rows has the same, also
 * when a restart has put the batch together anew of what was left of it. */
void parts_token(const struct insert *i, uint32_t first, uint32_t n, char *out,
                 size_t max);
