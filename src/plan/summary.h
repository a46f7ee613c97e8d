/*
 * summary - a route's own answer to many events: their numbers in its body, and a part
 * for each of them. Pure; the worker's thread.
 */
#pragma once

#include <stddef.h>

#include "decode/event.h"
#include "plan/outcome.h"
#include "plan/plan.h"

/* The most bytes that summary_write may write. */
size_t summary_bound(const struct answer_plan *a, const struct event_batch *b,
                     const struct outcome *o);

/* The body of an answer with a->summary. Returns its length. */
size_t summary_write(const struct answer_plan *a, const struct event_batch *b,
                     const struct outcome *o, char *out);
