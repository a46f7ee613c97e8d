/*
 * enrich - the values that a route puts into each event of a request: of the envelope
 * around them, of the path, the query and the headers. Pure; the worker's thread.
 */
#pragma once

#include "base/attr.h"
#include "plan/plan.h"
#include "plan/request.h"

enum { ENRICH_MAX = ENVELOPE_FIELDS_MAX };

enum enrich_from { ENRICH_ENVELOPE, ENRICH_TIME, ENRICH_REQUEST };

/* A field of the schema at or below an added key. */
struct enrich_slot {
    uint32_t slot;
    struct str path; /* below the key; "": the key itself */
};

struct addition {
    struct str key; /* JSON text, with its quotes */
    enum enrich_from from;
    enum request_part part;          /* ENRICH_REQUEST */
    struct str name;                 /* of the parameter, argument, header */
    const struct field *field;       /* not ENRICH_ENVELOPE: its rules; NULL: none */
    const struct enrich_slot *slots; /* ENRICH_ENVELOPE */
    uint32_t n_slots;
};

/* In plan->arena. ENRICH_ENVELOPE ones come first: item i is the batch's
 * envelope[i]. */
struct enrichment {
    struct addition list[ENRICH_MAX];
    uint32_t n;
};

/* For the events of b that are still EVENT_ACCEPT, before check_events: an
 * envelope's value is given to those that lack the key; a value of the request is
 * set in all, or the key taken away where the request has none, and checked
 * against its field. Events refused or without room for the edit are marked. False:
 * all of it would pass max_bytes; a large value and many small events are a small
 * body, and would be a block that fits nowhere. */
bool enrich_events(const struct route *r, struct event_batch *b,
                   const struct policy_request *q, uint64_t max_bytes) MUST_USE;
