/*
 * tapping - what a worker tells the taps that watch it: a JSON line for each event that
 * passes a tap's filter.
 *
 *   {"time":1763900000000,"route":"POST /v1/events","decision":"rejected","status":422,
 *    "code":"wrong_type","field":"n","reason":"…","generation":3,"streams":["events"],
 *    "index":2,"event":{…}}
 *
 * decision: stored, dropped, duplicate, dead, rejected, or refused with the request. event is
 * the text that is stored, after all masks; a rejected or refused one has "raw" instead, if
 * the tap asks for it. Headers, peers and keys are never in a line. The worker's thread; only
 * while in->n_taps > 0.
 */
#pragma once

#include "base/str.h"

struct account;
struct ingest;
struct outcome;
struct request_state;

/* in->batch was decided as o says. unstored: the code of why nothing of it is stored all the
 * same; NULL: it is. Before the next scan. */
void tapping_events(struct ingest *in, const struct request_state *p,
                    const struct outcome *o, const char *unstored);

/* A request is refused before it has events. */
struct tapped_refusal {
    const struct account *account;
    int status;
    const char *code, *detail;
    struct str raw; /* its body; {NULL, 0}: it is not told */
};
void tapping_refusal(struct ingest *in, const struct tapped_refusal *no);
