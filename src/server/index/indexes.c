#include "server/index/indexes.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/mem.h"
#include "index/names.h"
#include "plan/plan.h"
#include "server/index/indexer.h"
#include "server/index/newest.h"
#include "server/internal.h"

/* ---- the streams that there were ---- */

/* stale: the one on the disk does not say so much that it may be believed. */
static void write_roster(struct server *s, bool stale)
{
    const bool waited = s->roster_waits;
    char quoted[ERR_TEXT_MAX + 16];
    struct err e;
    const bool in_place = spool_in_place(s->spool, &e);

    s->roster_waits = !in_place || !roster_write(&s->roster, s->spool_dir, &e);
    s->roster_stale = s->roster_waits && (stale || s->roster_stale);
    if (s->roster_stale && in_place) {
        roster_void(s->spool_dir);
    }
    if (s->roster_waits && !waited) {
        log_write(LOG_WARN, "streams_not_noted", "why=%s",
                  log_quote(quoted, sizeof quoted, e.text));
        paused_look(s); /* in a second indexes_again */
    }
}

bool indexes_again(struct server *s)
{
    if (s->roster_waits) {
        write_roster(s, false);
    }
    return s->roster_waits;
}

static void meet(struct server *s, const char *stream, int id)
{
    struct spool_earlier has;

    spool_earlier(s->spool, id, &has);
    roster_meet(&s->roster, stream,
                &(struct roster_shards){has.last, has.older, has.whole});
}

/* Not before the last event of the stream. */
static int64_t not_before(const struct server *s, const char *stream, int64_t ms)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/%s", s->spool_dir, stream);
    return newest_write_ms(path, ms);
}

/* Before an event of this process is stored, and before it deletes one of another. */
static void begin_roster(struct server *s, const struct plan *plan, const int *ids)
{
    int64_t now_ms = clock_wall_ms();
    char quoted[ERR_TEXT_MAX + 16];
    bool stale = false;
    struct err e;

    for (uint32_t i = 0; i < plan->n_streams; i++) {
        now_ms = not_before(s, plan->streams[i].name, now_ms);
    }
    if (roster_read(&s->roster, s->spool_dir, &e) == ROSTER_BAD) {
        s->roster.lost_ms = now_ms;
        log_write(LOG_WARN, "streams_not_noted", "why=%s",
                  log_quote(quoted, sizeof quoted, e.text));
    }
    roster_begin(&s->roster, spool_epoch(s->spool), now_ms);
    for (uint32_t i = 0; i < plan->n_streams; i++) {
        stale |= !roster_has(&s->roster, plan->streams[i].name);
        meet(s, plan->streams[i].name, ids[i]);
    }
    /* Not stale: it has all streams. That it lacks this epoch the next process sees. */
    write_roster(s, stale);
}

static bool note_skips(struct server *s, const struct plan *plan)
{
    struct roster_skip *list = mem_alloc(ROSTER_SKIPS_MAX * sizeof *list);
    uint32_t n = 0;
    bool changed;

    for (uint32_t i = 0; i < plan->n_streams; i++) {
        const struct stream_plan *st = &plan->streams[i];

        for (uint32_t j = 0; j < st->n_sinks; j++) {
            if (st->sinks[j].when_full == FULL_SKIP && n < ROSTER_SKIPS_MAX) {
                struct roster_skip *k = &list[n++];

                (void)snprintf(k->stream, sizeof k->stream, "%s", st->name);
                (void)snprintf(k->sink, sizeof k->sink, "%s",
                               plan->sinks[st->sinks[j].sink].name);
            }
        }
    }
    changed = roster_note_skips(&s->roster, list, n);
    free(list);
    return changed;
}

static bool is_planned(const struct plan *plan, const char *stream)
{
    for (uint32_t i = 0; i < plan->n_streams; i++) {
        if (strcmp(plan->streams[i].name, stream) == 0) {
            return true;
        }
    }
    return false;
}

/* The live policy has these streams, and no other: an index that begins later, and sluice
 * find, must know of them. */
static void note_streams(struct server *s, const struct plan *plan)
{
    const char *names[PLAN_STREAMS_MAX];
    int64_t now_ms = clock_wall_ms();
    bool changed, skips;

    for (uint32_t i = 0; i < plan->n_streams; i++) {
        names[i] = plan->streams[i].name;
    }
    for (uint32_t i = 0; i < s->roster.n; i++) {
        const struct roster_stream *x = &s->roster.list[i];

        if (x->until_ms == 0 && !is_planned(plan, x->name)) {
            now_ms = not_before(s, x->name, now_ms);
        }
    }
    changed = roster_note(&s->roster, names, plan->n_streams, now_ms);
    skips = note_skips(s, plan);
    if (changed || skips || s->roster_waits) {
        write_roster(s, changed);
    }
}

/* ---- their indexers ---- */

static void conf_of(struct indexer_conf *conf, const struct server *s,
                    const struct plan *plan, const struct stream_plan *st, int id,
                    char dir[PATH_MAX])
{
    (void)snprintf(dir, PATH_MAX, "%s/%s/" INDEX_FOLDER, s->spool_dir, st->name);
    *conf = (struct indexer_conf){.spool = s->spool,
                                  .stream = id,
                                  .name = st->name,
                                  .dir = dir,
                                  .segment_bytes = plan->spool.segment_bytes,
                                  .prints = s->prints,
                                  .known = roster_known(&s->roster, st->name),
                                  .settings = {.policy8 = plan_policy8(plan),
                                               .field = st->index_field,
                                               .keep_ms = st->index_keep_ms,
                                               .max_bytes = st->index_max_bytes}};
}

/* A canary's events have their ids in the field of its policy, but how long all files are
 * kept is the live one's to say: those that another policy lets go do not come back. */
static void keep_as(struct indexer_settings *settings, const struct plan *live,
                    const char *stream)
{
    for (uint32_t i = 0; i < live->n_streams; i++) {
        const struct stream_plan *st = &live->streams[i];

        if (st->index_field != NULL && strcmp(st->name, stream) == 0) {
            settings->keep_ms = st->index_keep_ms;
            settings->max_bytes = st->index_max_bytes;
        }
    }
}

static bool open_one(struct server *s, const struct plan *plan,
                     const struct stream_plan *st, int id, bool tried, struct err *e)
{
    struct indexer_conf conf;
    char dir[PATH_MAX];

    conf_of(&conf, s, plan, st, id, dir);
    if (tried) {
        keep_as(&conf.settings, policy_plan(s->policy), st->name);
    }
    if (st->index_field == NULL) {
        if (s->indexers[id] == NULL && path_there(dir) != 0) {
            indexer_off(&conf);
        }
        return true;
    }
    if (s->indexers[id] != NULL) {
        return indexer_apply(s->indexers[id], &conf.settings, e);
    }
    s->indexers[id] = indexer_open(&conf, e);
    return s->indexers[id] != NULL;
}

bool indexes_open(struct server *s, const struct plan *plan, const int *ids, bool tried,
                  struct err *e)
{
    if (s->roster.until == 0) {
        begin_roster(s, plan, ids);
    }
    for (uint32_t i = 0; i < plan->n_streams; i++) {
        if (!open_one(s, plan, &plan->streams[i], ids[i], tried, e)) {
            return false;
        }
    }
    return true;
}

void indexes_follow(struct server *s)
{
    const struct plan *plan = policy_plan(s->policy);
    bool shown[SPOOL_STREAMS_MAX] = {false};

    note_streams(s, plan);
    for (uint32_t i = 0; i < plan->n_streams; i++) {
        const struct stream_plan *st = &plan->streams[i];
        struct indexer *x = s->indexers[s->stream_ids[i]];

        shown[s->stream_ids[i]] = st->index_field != NULL;
        if (st->index_field != NULL && x != NULL) {
            indexer_keep(x, st->index_keep_ms, st->index_max_bytes);
        }
    }
    for (uint32_t i = 0; i < SPOOL_STREAMS_MAX; i++) {
        if (s->indexers[i] != NULL) {
            indexer_hide(s->indexers[i], !shown[i]);
        }
    }
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
    (void)indexes_again(s);
    roster_free(&s->roster);
    return all;
}
