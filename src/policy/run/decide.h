/*
 * decide - the fate of a request, up to where its events would be stored.
 *
 *   decide_head (headers) -> decide_body (whole body) -> outcome_of
 *
 * The worker, a policy's examples, the testing kit and a replay all come here, so
 * that all decide alike. The state's thread; no I/O.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "decode/scan.h"
#include "plan/auth.h"
#include "plan/outcome.h"
#include "plan/request.h"

struct policy_state;

/* A request refused as a whole. Texts are static, or live until the next call on
 * the state. */
struct refused {
    int status;
    struct answer_error error;
    double wait_ms;               /* 429 of a limit: until the same may pass; else 0 */
    const struct policy *hook_of; /* whose on_request gave the code; else NULL */
    bool limited;    /* by a limit of the route: the events may come again */
    char allow[128]; /* 405: the methods of the path; else "" */
    /* Of a request that the route's auth refuses; else AUTH_OK and NULL. */
    enum auth_reason auth;
    const char *challenge; /* 401: whole lines, of the plan */
    char text[256];        /* the memory that error.detail may point to */
};

/* Route, auth, media type, on_request. req gets the accepted key. False: *no tells. */
bool decide_head(struct policy_state *s, struct policy_request *req,
                 struct str content_type, const struct route **route,
                 enum scan_shape *shape, struct refused *no) MUST_USE;

/* The Retry-After of a 429: whole seconds, from 1. */
uint32_t decide_retry_s(double wait_ms);

/* Told after each stage that ran; for time measured. */
enum decide_stage { DECIDE_DECODE, DECIDE_CHECK, DECIDE_POLICY };
struct decide_meter {
    void (*passed)(void *arg, enum decide_stage stage);
    void *arg;
};

/* Fates for all events of the body, which lies as scan_body wants it. m may be
 * NULL. *raised: hooks that raised. False: *no tells. */
bool decide_body(struct policy_state *s, const struct route *route,
                 enum scan_shape shape, const struct policy_request *req,
                 struct str body, struct event_batch *b, const struct decide_meter *m,
                 uint32_t *raised, struct refused *no) MUST_USE;
