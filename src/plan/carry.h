/*
 * carry - what a route puts into each event of a request: values of the envelope
 * around them, of the path, the query and the headers. Pure; the worker's thread.
 */
#pragma once

#include "base/attr.h"
#include "plan/plan.h"
#include "plan/request.h"

enum { CARRY_MAX = ENVELOPE_FIELDS_MAX };

enum carry_from { CARRY_ENVELOPE, CARRY_TIME, CARRY_REQUEST };

/* A field of the schema at or below a carried key. */
struct carry_slot {
    uint32_t slot;
    struct str path; /* below the key; "": the key itself */
};

struct carried {
    struct str key; /* JSON text, with its quotes */
    enum carry_from from;
    enum request_part part;         /* CARRY_REQUEST */
    struct str name;                /* of the parameter, argument, header */
    const struct field *field;      /* not CARRY_ENVELOPE: its rules; NULL: none */
    const struct carry_slot *slots; /* CARRY_ENVELOPE */
    uint32_t n_slots;
};

/* In plan->arena. CARRY_ENVELOPE ones come first: item i is the batch's
 * envelope[i]. */
struct carry {
    struct carried list[CARRY_MAX];
    uint32_t n;
};

/* For the events of b that are still EVENT_ACCEPT, before check_events: an
 * envelope's value is given to those that lack the key; a value of the request is
 * set in all, or the key taken away where the request has none, and checked
 * against its field. Events refused or without room for the edit are marked. False:
 * all of it would pass max_bytes; a large value and many small events are a small
 * body, and would be a block that fits nowhere. */
bool carry_into(const struct route *r, struct event_batch *b,
                const struct policy_request *q, uint64_t max_bytes) MUST_USE;
