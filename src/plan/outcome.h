/*
 * outcome - the sum of a request's fates: the HTTP status and the counts. Pure; shared
 * by the worker's answers, the policy's examples and the testing kit, so that all
 * decide alike.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decode/event.h"
#include "plan/plan.h"

struct outcome {
    int status;        /* 202, 401, 422, 429, 500, or the route's own for 202 and 422 */
    uint32_t accepted; /* stored, dropped ones and dead ones included */
    uint32_t rejected;
    uint32_t dropped; /* of accepted */
    uint32_t repeats; /* of dropped: dedup has seen their keys */
    uint32_t dead;    /* of accepted */
    double wait_ms;   /* 429 by a limit: until the same may pass; else 0 */
    bool unverified;  /* 401: none has a good signature, on a route with signed */
    bool store;       /* false: a route with partial = false refuses all */
    const struct answer_plan *answer; /* the route's own, of accepted events; NULL */
    const char *location;             /* where it redirects; NULL: nowhere */
    const struct refused_body *refused_body; /* the route's own, of a refusal; NULL */
};

/* 202 unless every event of a non-empty batch was rejected (422; or 500 when
 * all of them with code "policy_error", 429 when with "rate_limited", 401 when all are
 * EVENT_UNVERIFIED), or partial = false and one was. */
void outcome_of(const struct route *r, const struct event_batch *b, struct outcome *o);

/* Whether outcome_keep_refused may make dead letters of r's events: its answer to
 * accepted events says nothing of refused ones beside them. */
bool outcome_keeps_refused(const struct route *r);

/* Before outcome_of, where the route answers a partly refused batch by a fixed text:
 * refused events are kept as dead letters, because the client does not hear of them.
 * Where one of them may pass later, outcome_of refuses the whole batch instead. */
void outcome_keep_refused(const struct route *r, struct event_batch *b);

/* Of a batch of which nothing is stored: the first event that gives the status its reason.
 * NULL: none was refused. */
const struct event *outcome_reason(const struct outcome *o,
                                   const struct event_batch *b);

/* The status of a body that scan_body refused: 400 or 413, and the word for its
 * code: "invalid_json", "too_many_events", "too_deep". */
int outcome_of_scan(enum scan_result r, const char **code);

/* Why a request is refused as a whole; a member that is NULL or negative is left
 * out. */
struct answer_error {
    const char *error, *code, *detail;
    int64_t offset, limit;
};
