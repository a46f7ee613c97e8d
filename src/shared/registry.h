/*
 * registry - what outlives a generation of the policy: its counters and gauges, the
 * buckets of its limits, the keys that its streams have seen; each by its name.
 *
 *   hub_new (one a process) -> hub_metric, hub_buckets, hub_seen at each load ->
 *   hub_publish when the generation goes live -> hub_unref
 *
 * Counted. Any thread; asking takes a lock, so it is done at load. A thing that
 * the next generation asks for in the same words is the same thing; in other words,
 * a new one, beside that of the generations before. So a load that is refused
 * changes nothing: what only it has asked for goes with it.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "shared/buckets.h"
#include "shared/metric.h"
#include "shared/seen.h"

struct err;
struct hub;

/* published: its limits and memories show up in /metrics, and its metrics once
 * hub_publish was called for them, also when no generation has them any more; such
 * a hub goes when nobody asks for /metrics any longer. */
struct hub *hub_new(bool published);
struct hub *hub_ref(struct hub *h);
void hub_unref(struct hub *h); /* NULL is fine */

/* Another number at each call: for metric_add. */
uint32_t hub_stripe(struct hub *h);

/* The hub's, for the caller until hub_metric_drop; NULL and *e: the name has
 * another kind or other labels. */
struct metric *hub_metric(struct hub *h, const struct metric_conf *conf,
                          struct err *e) MUST_USE;
/* One that was never published and that nobody uses is forgotten. */
void hub_metric_drop(struct hub *h, const struct metric *m);
/* Shows it in /metrics, if the hub does that at all; once more is fine. */
void hub_publish(struct hub *h, struct metric *m);

/* A reference for the caller. */
struct buckets *hub_buckets(struct hub *h, const char *name,
                            const struct buckets_conf *conf) MUST_USE;
/* key: what is remembered, "event_id"; another one is another memory. */
struct seen *hub_seen(struct hub *h, const char *name, const char *key,
                      const struct seen_conf *conf) MUST_USE;
