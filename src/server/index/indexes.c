#include "server/index/indexes.h"

#include <limits.h>
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "index/names.h"
#include "plan/plan.h"
#include "server/index/indexer.h"
#include "server/internal.h"

static bool open_one(struct server *s, const struct plan *plan,
                     const struct stream_plan *st, int id, struct err *e)
{
    const struct indexer_settings settings = {.field = st->index_field,
                                              .keep_ms = st->index_keep_ms,
                                              .max_bytes = st->index_max_bytes};
    char dir[PATH_MAX];

    if (s->indexers[id] != NULL) {
        return indexer_apply(s->indexers[id], &settings, e);
    }
    (void)snprintf(dir, sizeof dir, "%s/%s/" INDEX_FOLDER, s->spool_dir, st->name);
    s->indexers[id] =
        indexer_open(&(struct indexer_conf){.spool = s->spool,
                                            .stream = id,
                                            .name = st->name,
                                            .dir = dir,
                                            .segment_bytes = plan->spool.segment_bytes,
                                            .prints = s->prints,
                                            .settings = settings},
                     e);
    return s->indexers[id] != NULL;
}

bool indexes_open(struct server *s, const struct plan *plan, const int *ids,
                  struct err *e)
{
    for (uint32_t i = 0; i < plan->n_streams; i++) {
        if (plan->streams[i].index_field != NULL &&
            !open_one(s, plan, &plan->streams[i], ids[i], e)) {
            return false;
        }
    }
    return true;
}

bool indexes_close(struct server *s, uint64_t until_ns)
{
    bool all = true;

    for (uint32_t i = 0; i < SPOOL_STREAMS_MAX; i++) {
        if (s->indexers[i] != NULL && !indexer_close(s->indexers[i], until_ns)) {
            log_write(LOG_ERROR, "stuck",
                      "thread=index why=\"its thread does not end\"");
            all = false;
        }
        s->indexers[i] = NULL;
    }
    return all;
}
