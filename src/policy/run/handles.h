/*
 * handles - the counters, gauges, limits and seen keys of one state, by the places
 * that its policy gives them; the things themselves are the registry's.
 *
 *   handles_new (when a state is ready, and for its examples) -> helpers -> handles_free
 *
 * The state's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "plan/plan.h"

struct err;
struct handles;
struct registry;

/* The plan's handles, from registry, which must outlive them. rehearsal: of the
 * examples, with room for a few keys. NULL and *e: the registry has a name
 * otherwise. */
struct handles *handles_new(struct registry *registry, const struct plan *plan,
                            bool rehearsal, struct err *e) MUST_USE;
void handles_free(struct handles *h); /* NULL is fine */

/* The memory that such handles have of st's keys, which has dedup: a reference. */
struct seen *handles_find_seen(struct registry *registry, const struct stream_plan *st,
                               bool rehearsal) MUST_USE;

/* Limit i of the plan; NULL: h has none. Lives with h. */
struct held_limit {
    struct buckets *buckets; /* a reference; NULL: a quota */
    struct quota *quota;
};
const struct held_limit *handles_limit(const struct handles *h, uint32_t i);

/* The keys that stream i of the plan has seen; NULL: it does not remember, or h is
 * NULL. Lives with h. */
struct seen;
struct seen *handles_seen(const struct handles *h, uint32_t i);
