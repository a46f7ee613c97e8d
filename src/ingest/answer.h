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

enum { ANSWER_ERRORS_MAX = 100, ANSWER_SMALL = 256 };

/* Bytes that answer_events may need for b. */
size_t answer_bound(const struct event_batch *b, const struct outcome *o);

/* {"status":...,"accepted":...,"rejected":...,"errors":[...]}, or the route's own body;
 * returns the length. out has answer_bound bytes. */
size_t answer_events(const struct event_batch *b, const struct outcome *o, char *out);

/* {"error":...,"code":...,"offset":...,"detail":...}: a member that is NULL or negative
 * is left out; cut to fit out_bytes, still valid JSON for out_bytes >= 256. */
size_t answer_error(const struct answer_error *e, char *out, size_t out_bytes);
