#include "server/keys/keystores.h"

#include <limits.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "policy/load/load.h"
#include "policy/run/handles.h"
#include "server/internal.h"
#include "server/keys/collector.h"
#include "shared/registry.h"

#define END_NS 2000000000ull

static struct collector *make(struct server *s, const struct stream_plan *st, int id,
                              struct err *e)
{
    char dir[PATH_MAX];
    struct collector *c;

    (void)snprintf(dir, sizeof dir, "%s/keys/%s", s->spool_dir, st->name);
    c = collector_open(&(struct collector_conf){.spool = s->spool,
                                                .stream = id,
                                                .name = st->name,
                                                .dir = dir,
                                                .window_ms = st->dedup_window_ms},
                       e);
    /* One that hangs meanwhile is left to the end of the process. */
    if (c != NULL && !collector_start(c, e)) {
        if (!collector_close(c, clock_mono_ns() + END_NS)) {
            log_write(LOG_ERROR, "stuck", "thread=dedup stream=%s", st->name);
        }
        c = NULL;
    }
    return c;
}

static bool open_one(struct server *s, struct policy *policy, uint32_t i, int id,
                     struct err *e)
{
    const struct stream_plan *st = &policy_plan(policy)->streams[i];
    struct seen *seen = handles_find_seen(s->registry, st, false);
    bool ok = true;

    policy_keep(policy, i, seen);
    if (s->collectors[id] == NULL) {
        s->collectors[id] = make(s, st, id, e);
        ok = s->collectors[id] != NULL;
    }
    if (ok) {
        collector_window(s->collectors[id], st->dedup_window_ms);
        ok = collector_attach(s->collectors[id], seen, st->dedup_key.p, e);
    }
    seen_unref(seen);
    return ok;
}

bool keystores_open(struct server *s, struct policy *policy, const int *ids,
                    struct err *e)
{
    const struct plan *plan = policy_plan(policy);

    for (uint32_t i = 0; i < plan->n_streams; i++) {
        if (plan->streams[i].dedup_persist && !open_one(s, policy, i, ids[i], e)) {
            return false;
        }
    }
    return true;
}

void keystores_show(struct server *s)
{
    const struct plan *plan = policy_plan(s->policy);
    bool shown[SPOOL_STREAMS_MAX] = {false};

    for (uint32_t i = 0; i < plan->n_streams; i++) {
        shown[s->stream_ids[i]] = plan->streams[i].dedup_persist;
    }
    for (uint32_t i = 0; i < SPOOL_STREAMS_MAX; i++) {
        if (s->collectors[i] != NULL) {
            collector_hide(s->collectors[i], !shown[i]);
        }
    }
}

bool keystores_close(struct server *s, uint64_t until_ns)
{
    bool all = true;

    for (uint32_t i = 0; i < SPOOL_STREAMS_MAX; i++) {
        if (s->collectors[i] != NULL && !collector_close(s->collectors[i], until_ns)) {
            log_write(LOG_ERROR, "stuck",
                      "thread=dedup why=\"its thread does not end\"");
            all = false;
        }
        s->collectors[i] = NULL;
    }
    return all;
}
