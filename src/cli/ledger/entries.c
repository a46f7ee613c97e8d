#include "cli/ledger/entries.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "index/ids.h"
#include "index/names.h"
#include "index/reader.h"
#include "spool/inspect.h"
#include "spool/spool.h"

struct walk {
    int64_t from_ms, to_ms;
    entry_fn *fn;
    void *arg;
};

static bool walk_group(const struct walk *w, struct index_file *f, uint32_t g,
                       struct err *e)
{
    struct index_id ids[INDEX_GROUP];
    uint32_t n;

    if (!index_group(f, g, ids, &n, e)) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t seq = f->head.first + ids[i].ordinal;
        const struct index_row *row = index_row_of(f, seq);

        if (row != NULL && row->wall_ms >= w->from_ms && row->wall_ms < w->to_ms) {
            w->fn(w->arg, &(struct entry){.print = ids[i].print,
                                          .epoch = f->head.epoch,
                                          .worker = f->head.worker,
                                          .seq = seq,
                                          .wall_ms = row->wall_ms});
        }
    }
    return true;
}

static bool walk_file(const struct walk *w, struct index_file *f, struct err *e)
{
    if (f->head.n_ids == 0 || f->head.newest_ms < w->from_ms ||
        f->head.oldest_ms >= w->to_ms) {
        return true;
    }
    if (!index_rows(f, e)) {
        return false;
    }
    for (uint32_t g = 0; g < index_groups(f->head.n_ids); g++) {
        if (!walk_group(w, f, g, e)) {
            return false;
        }
    }
    return true;
}

/* A damaged part is met only now, since the counts did not need it. */
static bool damaged(const char *path, struct err *e)
{
    const struct err why = *e;

    return err_set(
        e,
        "%s: %s: ids can't be compared: compare another period, or move the file "
        "away: then the segments that are still there have its ids",
        path, why.text);
}

bool entries_each(const char *spool, const struct tallies *t, int64_t from_ms,
                  int64_t to_ms, entry_fn *fn, void *arg, struct err *e)
{
    const struct walk w = {from_ms, to_ms, fn, arg};
    struct index_file f = {.fd = -1};
    char dir[PATH_MAX - 64], path[PATH_MAX];
    bool ok = true;

    (void)snprintf(dir, sizeof dir, "%s/%s/" INDEX_FOLDER, spool, t->stream);
    for (uint32_t i = 0; ok && i < t->index.n; i++) {
        const struct index_run *r = &t->index.runs[i];

        (void)index_path(path, sizeof path, dir, r->epoch, r->worker, r->first);
        ok = index_open(&f, path, e) == INDEX_OPENED &&
             (walk_file(&w, &f, e) || damaged(path, e));
        index_close(&f);
    }
    index_free(&f);
    for (uint32_t i = 0; ok && i < t->n_tail; i++) {
        if (t->tail[i].wall_ms >= from_ms && t->tail[i].wall_ms < to_ms) {
            fn(arg, &t->tail[i]);
        }
    }
    return ok;
}

/* ---- the id of one ---- */

struct naming {
    const struct tallies *t;
    const struct entry *at;
    char *id;
};

static bool may_have(void *arg, const struct spool_segment_info *i)
{
    const struct naming *n = arg;

    return strcmp(i->stream, n->t->stream) == 0 && i->epoch == n->at->epoch &&
           i->worker == n->at->worker && i->first <= n->at->seq &&
           n->at->seq - i->first < i->size;
}

static bool on_block(void *arg, const struct spool_segment_info *i,
                     const struct spool_block *b)
{
    struct naming *n = arg;
    const struct index_list *l = &n->t->index;
    uint32_t field;
    struct ids *ids;
    struct err e;
    struct str id;

    if (n->at->seq < b->first || n->at->seq >= b->first + b->n) {
        return true;
    }
    field = index_list_field_of(l, i->epoch, b->policy8);
    ids = ids_new(l->fields[field < l->n_fields ? field : 0], &e);
    if (ids == NULL) {
        return false;
    }
    ids_read_stored(ids, (struct str){b->payload, b->payload_bytes}, b->n);
    id = ids_get(ids, (uint32_t)(n->at->seq - b->first));
    if (id.p != NULL) {
        n->id = mem_strndup(id.p, id.n);
    }
    ids_free(ids);
    return false;
}

char *entries_name(const char *spool, const struct tallies *t, const struct entry *at)
{
    struct err e;
    struct naming n = {.t = t, .at = at};
    const struct spool_visitor v = {.block = on_block, .wants = may_have, .arg = &n};

    if (!spool_visit(spool, &v, &e)) {
        free(n.id);
        n.id = NULL;
    }
    return n.id;
}
