/*
 * registry - the things that outlive a generation of the policy: its counters and
 * gauges, the buckets of its limits, the keys that its streams have seen; each by its
 * name.
 *
 *   registry_new (one a process) -> registry_metric, registry_buckets, registry_seen at each load ->
 *   registry_publish when the generation goes live -> registry_unref
 *
 * Counted. Any thread; asking takes a lock, so it is done at load. A thing that the
 * next generation asks for in the same words is the same thing; in other words, a new
 * one, beside that of the generations before. So a load that is refused changes
 * nothing: the things that only it has asked for go with it.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "shared/buckets.h"
#include "shared/metric.h"
#include "shared/quota.h"
#include "shared/seen.h"

struct err;
struct registry;

/* published: its limits and memories show up in /metrics, and its metrics once
 * registry_publish was called for them, as long as a generation has them;
 * such a registry goes when /metrics is not read any longer. */
struct registry *registry_new(bool published);
struct registry *registry_ref(struct registry *h);
void registry_unref(struct registry *h); /* NULL is fine */

bool registry_is_published(const struct registry *h);

/* Another number at each call: for metric_add. */
uint32_t registry_stripe(struct registry *h);

/* The registry's, for the caller until registry_metric_drop; NULL and *e: the name has
 * another kind or other labels. */
struct metric *registry_metric(struct registry *h, const struct metric_conf *conf,
                               struct err *e) MUST_USE;
/* One without users is freed. */
void registry_metric_drop(struct registry *h, const struct metric *m);
/* Shows it in /metrics, if the registry does that at all; once more is fine. */
void registry_publish(struct registry *h, struct metric *m);

/* A reference for the caller. */
struct buckets *registry_buckets(struct registry *h, const char *name,
                                 const struct buckets_conf *conf) MUST_USE;
/* The same of a quota: another amount is the same quota, and another max_keys too, which
 * holds from the next start on. */
struct quota *registry_quota(struct registry *h, const char *name,
                             const struct quota_conf *conf) MUST_USE;

/* key: the remembered field, "event_id"; another field is another memory. */
struct seen *registry_seen(struct registry *h, const char *name, const char *key,
                           const struct seen_conf *conf) MUST_USE;

/* Names that no generation has any more go, and with them their series: of the thread that
 * calls registry_quotas_unsaved, now and then. */
void registry_tidy(struct registry *h);

/* ---- registry_rounds.c: another thread, now and then ---- */

/* restore is called for each quota that a generation asks for first, before any thread
 * uses it: at once for those that were asked for so far, as a process does that makes its
 * states before it takes another one's place. Set before any worker runs; NULL: not any
 * more. */
typedef void registry_quota_fn(void *arg, const char *name, struct quota *q);
void registry_quotas_restore(struct registry *h, registry_quota_fn *restore, void *arg);
/* The quotas that have something unsaved, not under the lock; q lives during the call. */
void registry_quotas_unsaved(struct registry *h, registry_quota_fn *save, void *arg);

/* Those buckets that were not swept for long: see buckets_sweep. */
void registry_buckets_sweep(struct registry *h, double now_ms);
