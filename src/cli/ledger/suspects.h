/*
 * suspects - ids that a destination may lack or have twice: how often each was accepted
 * and how often it is there; and the words in which a ledger names those that differ.
 *
 *   suspects_add* -> suspects_join -> suspects_tell -> suspects_free
 *
 * One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "cli/ledger/entries.h"

struct tallies;

enum { SUSPECTS_NAMED_MAX = 1000, SUSPECT_ID_MAX = 200, SUSPECT_WHERE_MAX = 160 };

struct suspect {
    uint64_t print;
    int64_t here, there; /* events, rows or messages */
    int64_t unconfirmed; /* of here: the destination need not have them */
    int64_t later;       /* events, when the destination was asked for the last time */
    struct entry at;     /* one of its events; seq 0: none */
    char *id;            /* as the destination has it; NULL: not known */
    char *where;         /* in the destination, in words; NULL: not known */
};

struct suspects {
    struct suspect *list; /* by print, after suspects_join */
    uint32_t n, room;
};

/* How a destination compares with what was accepted. */
struct check_result {
    uint64_t minutes, expected, found; /* compared; events with an id; rows */
    uint64_t missing, doubled, extra;  /* ids */
    uint64_t
        unconfirmed; /* ids of events that the destination need not have, and has not */
    uint64_t anonymous; /* rows without an id, which a table has as '' */
    uint64_t empty;     /* events whose id is '': not among the expected ones */
    bool cut;           /* there are more than were looked at */
};

struct suspect *suspects_add(struct suspects *s, uint64_t print); /* else zeros */
/* The one of that print, after suspects_join; NULL: none. */
struct suspect *suspects_find(const struct suspects *s, uint64_t print);
/* One for each id from `from` on; those whose counts agree go, if `differing`. */
void suspects_join(struct suspects *s, uint32_t from, bool differing);
/* False: it is none of them. */
bool suspects_drop(struct suspects *s, uint64_t print);
void suspects_cut(struct suspects *s, uint32_t n); /* keeps the first n */
bool suspect_differs(const struct suspect *s);
/* Its id, as the destination has it, unless it has one. A long one is cut, and ends so. */
void suspect_name(struct suspect *s, struct str id);
/* One of its messages is there. */
void suspect_note_where(struct suspect *s, const char *topic, int32_t partition,
                        int64_t offset);
/* Those that were accepted never go. */
void suspects_drop_foreign(struct suspects *s);

/* Writes a line for each to stdout, and counts them in out. rows: what the destination
 * has, "rows". */
void suspects_tell(struct suspects *s, const char *spool, const struct tallies *t,
                   const char *rows, struct check_result *out);
void suspects_free(struct suspects *s);
