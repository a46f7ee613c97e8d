/*
 * answer - the JSON bodies that tell clients the fates of their events. Pure; writes
 * into the caller's memory.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "decode/event.h"
#include "plan/outcome.h"
#include "plan/refused_body.h"

enum {
    ANSWER_ERRORS_MAX = 100,
    ANSWER_SMALL = 256,
    ANSWER_ERROR_BYTES = 2048,
    ANSWER_REFUSAL_BYTES = REFUSED_BODY_BYTES
};

/* Bytes that answer_events may need for b. */
size_t answer_bound(const struct event_batch *b, const struct outcome *o);

/* {"status":...,"accepted":...,"rejected":...,"errors":[...]}, or the route's own body;
 * returns the length. out has answer_bound bytes. */
size_t answer_events(const struct event_batch *b, const struct outcome *o, char *out);

/* {"error":...,"code":...,"offset":...,"detail":...}: a member that is NULL or negative
 * is left out; cut to fit out_bytes, still valid JSON for out_bytes >= 256. */
size_t answer_error(const struct answer_error *e, char *out, size_t out_bytes);

/* The same for a request that a route refuses as a whole: the route's own body where it
 * has one (own NULL: it has none). */
size_t answer_refusal(const struct refused_body *own, int status,
                      const struct answer_error *e, char out[ANSWER_REFUSAL_BYTES]);
