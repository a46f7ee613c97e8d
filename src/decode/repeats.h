/*
 * repeats - names that come more than once among the parameters of a request: the first,
 * the last or all of them are kept. Of params.c; lives on the stack of one call.
 */
#pragma once

#include "decode/params.h"

enum { REPEATS_TABLE = 2 * PARAMS_MAX };

struct repeated_member {
    uint64_t hash;
    uint32_t at, value, end; /* "name":value in the room, without the comma */
    uint16_t next, last;     /* 1 + index of the next and the last of that name */
    bool behind;             /* it is not the first of its name */
    bool list;               /* it is in an array also alone */
};

struct repeats {
    uint16_t table[REPEATS_TABLE]; /* 1 + index of the first of a name */
    struct repeated_member list[PARAMS_MAX];
    uint32_t n;
    bool any;
};

void repeats_start(struct repeats *r);

/* The member that was written last; of PARAMS_FIRST it may be taken back. */
void repeats_add(struct params *x);

/* The object. x->p is behind it. */
struct str repeats_end(struct params *x);
