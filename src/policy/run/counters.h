/*
 * counters - the counters, gauges, limits and seen keys of one state, by the places
 * that its policy gives them; the things themselves are the hub's.
 *
 *   held_new (when a state is ready, and for its examples) -> helpers -> held_free
 *
 * The state's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "plan/plan.h"

struct err;
struct held;
struct hub;

/* What the plan names, from hub, which must outlive it. trial: of the examples,
 * with room for a few keys. NULL and *e: the hub has a name otherwise. */
struct held *held_new(struct hub *hub, const struct plan *plan, bool trial,
                      struct err *e) MUST_USE;
void held_free(struct held *h); /* NULL is fine */

/* The keys that stream i of the plan has seen; NULL: it does not remember, or h is
 * NULL. Lives with h. */
struct seen;
struct seen *held_seen(const struct held *h, uint32_t i);
