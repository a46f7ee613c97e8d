/*
 * quotas - what was used of the policy's quotas, on disk: spool/quotas/NAME-WINDOW.quota.
 *
 *   quotas_open (the spool is ours) -> quotas_close -> quotas_free
 *
 * A thread of its own saves each second what has changed; the last time when it ends. So
 * a restart or an upgrade forgets nothing, and a process that is killed at most what was
 * used since the last save. A disk that takes nothing is tried again each second, and
 * requests do not wait for it. The thread also sweeps the buckets of limits. Main thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct err;
struct quotas;
struct registry;
struct spool;

/* The registry's quotas begin with what the files below spool_dir have; the spool says
 * whether it is still there. NULL and *e: no thread, or no folder. */
struct quotas *quotas_open(struct registry *registry, const struct spool *spool,
                           const char *spool_dir, struct err *e) MUST_USE;

/* Before the spool is closed, whose lock keeps others from the files. False: the thread
 * hangs, and what it uses must stay. NULL is fine. */
bool quotas_close(struct quotas *q, uint64_t until_ns) MUST_USE;

/* After the last load has ended: it may read a file. NULL is fine. */
void quotas_free(struct quotas *q);
