/* What the index has to have, and has not: index/account.h, kept in the index's folder. */
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
#include "server/index/internal.h"
#include "server/index/newest.h"

#define AGAIN_NS 1000000000ull /* between two tries of a disk that refused */
#define TELL_NS 60000000000ull /* between two log lines of it */

/* ---- the time ---- */

/* Not before the last write to the stream's segments. */
static int64_t now_of(const struct indexer *x)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%.*s",
                   (int)(strlen(x->dir) - strlen("/" INDEX_FOLDER)), x->dir);
    return newest_write_ms(path, clock_wall_ms());
}

/* ---- the file ---- */

static void path_of(char out[PATH_MAX], const char *dir)
{
    (void)snprintf(out, PATH_MAX, "%s/" INDEX_ACCOUNT_FILE, dir);
}

/* One that can't be used stays beside it; what it told is unknown from now on. */
static void set_aside(struct indexer *x, const char *why)
{
    char path[PATH_MAX], aside[PATH_MAX + 16], quoted[ERR_TEXT_MAX + 16];

    path_of(path, x->dir);
    (void)snprintf(aside, sizeof aside, "%s" INDEX_ASIDE, path);
    (void)rename(path, aside);
    stats_add(x->n_damaged, 1);
    log_write(LOG_ERROR, "index_damaged", "stream=%s why=%s", x->name,
              log_quote(quoted, sizeof quoted, why));
}

bool indexer_account_read(struct indexer *x, bool insist, struct err *e)
{
    const uint32_t epoch = spool_epoch(x->spool);
    const int64_t now_ms = now_of(x);
    struct index_account *a = &x->account;
    enum index_account_read r;
    char path[PATH_MAX], aside[PATH_MAX + 16];

    path_of(path, x->dir);
    r = index_account_read(a, path, e);
    if (r == ACCOUNT_UNREADABLE && !insist) {
        return false;
    }
    if (r == ACCOUNT_READ &&
        (a->until > epoch || strcmp(a->uuid, spool_uuid_of(x->spool, a->until)) != 0)) {
        (void)err_set(e, "%s: it is of another spool", path);
        index_account_free(a);
        r = ACCOUNT_BAD;
    }
    x->fresh = r != ACCOUNT_READ;
    if (x->fresh) {
        index_account_init(a, epoch, now_ms);
        a->until = 0; /* none of the marks is in it; indexer_account_begin ends it */
    }
    if (r == ACCOUNT_BAD || r == ACCOUNT_UNREADABLE) {
        set_aside(x, e->text);
    }
    (void)snprintf(aside, sizeof aside, "%s" INDEX_ASIDE, path);
    if (r == ACCOUNT_BAD || r == ACCOUNT_UNREADABLE ||
        (r == ACCOUNT_NONE && path_there(aside) != 0)) {
        index_account_add_gap(a, &(struct index_account_gap){1, epoch, 0, now_ms});
    }
    x->first = r == ACCOUNT_NONE && a->n_gaps == 0;
    index_account_read_marks(a, path, epoch, now_ms);
    return true;
}

void indexer_account_mark(const struct indexer *x)
{
    char path[PATH_MAX];

    path_of(path, x->dir);
    index_account_mark(path, spool_epoch(x->spool), clock_wall_ms());
}

void indexer_account_write(struct indexer *x)
{
    const uint64_t now = clock_mono_ns();
    char path[PATH_MAX], quoted[ERR_TEXT_MAX + 16];
    struct err e;

    path_of(path, x->dir);
    x->account_tried_ns = now;
    x->account_waits = !index_account_write(&x->account, path, &e);
    if (!x->account_waits) {
        index_account_unmark(path);
        return;
    }
    if (x->account_told_ns == 0) {
        index_account_mark(path, x->account.until, clock_wall_ms());
    }
    if (x->account_told_ns == 0 || now - x->account_told_ns > TELL_NS) {
        x->account_told_ns = now;
        log_write(LOG_WARN, "index_not_noted", "stream=%s why=%s", x->name,
                  log_quote(quoted, sizeof quoted, e.text));
    }
}

void indexer_account_again(struct indexer *x)
{
    if (x->account_waits && clock_mono_ns() - x->account_tried_ns >= AGAIN_NS) {
        indexer_account_write(x);
    }
}

/* ---- what is where ---- */

struct runs {
    struct index_run *list;
    uint32_t n, room;
};

static void add_run(struct runs *r, uint32_t epoch, uint32_t worker, uint64_t first,
                    uint64_t end)
{
    if (r->n == r->room) {
        r->room = r->room == 0 ? 64 : 2 * r->room;
        r->list = mem_realloc(r->list, r->room * sizeof *r->list);
    }
    r->list[r->n++] = (struct index_run){epoch, worker, first, end};
}

/* Notes where shards of earlier processes end: what is on disk then is all that they
 * have, because the process that wrote it does not remove its last segment. Of an earlier
 * shard that grew before the index was there only the rest is looked for: `begin` says that
 * more is not known. */
static void note_shard(struct index_account *a, const struct spool_shard_id *id,
                       bool fresh)
{
    struct index_account_shard *s;

    if (id->live && !(fresh && id->first > 1)) {
        return;
    }
    if (id->live) { /* what has left it came without an index */
        (void)index_account_note_shard(a, id->epoch, id->worker, 1);
        index_account_note_epoch(a, id->epoch, NULL, 0);
        return;
    }
    s = index_account_note_shard(a, id->epoch, id->worker,
                                 fresh || id->epoch < a->begin ? id->first : 1);
    s->end = id->next < s->end ? s->end : id->next;
}

/* An index that begins: what it does not know of has left the spool. If nothing has, the
 * reader finds all. */
static void note_beginning(struct indexer *x, const struct spool_shard_id *list,
                           uint32_t n)
{
    uint32_t shards = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (list[i].first == 0 || (!list[i].live && list[i].first > 1)) {
            return;
        }
        shards += !list[i].live && list[i].next > 1;
    }
    if (shards == x->known.shards) {
        x->account.begin = x->known.epoch;
        x->account.begin_ms = x->known.ms;
    }
}

static void look_at_shards(struct indexer *x, int64_t now_ms, struct runs *runs)
{
    /* Events that left while the folder could not be used are missed. */
    const bool fresh = x->fresh && x->begin_told_ns == 0;
    const uint32_t n = spool_shards(x->consumer, NULL, 0);
    struct spool_shard_id *list = mem_alloc((n + 1) * sizeof *list);
    const uint32_t got = spool_shards(x->consumer, list, n);

    if (fresh && x->first && got <= n) {
        note_beginning(x, list, got);
    }
    for (uint32_t i = 0; i < got && i < n; i++) {
        const struct spool_shard_id *id = &list[i];

        if (id->first == 0) { /* the disk does not tell: all of it may be there */
            add_run(runs, id->epoch, id->worker, 1, UINT64_MAX);
        } else if (id->live || id->next > id->first) {
            note_shard(&x->account, id, fresh);
            add_run(runs, id->epoch, id->worker, id->first,
                    id->live ? UINT64_MAX : id->next);
        }
    }
    free(list);
    index_runs_sort(runs->list, runs->n);
    index_account_close(&x->account, spool_epoch(x->spool) - 1, runs->list, runs->n,
                        now_ms);
    for (uint32_t i = 0; i < x->n_files; i++) {
        const struct index_known *k = &x->files[i];

        add_run(runs, k->epoch, k->worker, k->first, k->end);
    }
    index_runs_sort(runs->list, runs->n);
}

struct naming {
    struct indexer *x;
    int64_t now_ms;
};

static void on_missing(void *arg, const struct index_run *part,
                       const struct index_account_hole *h)
{
    const struct naming *n = arg;
    struct index_account *a = &n->x->account;
    struct index_account_hole new = {.at = *part,
                                     .since_ms = index_account_since(a, part->epoch),
                                     .until_ms = index_account_end(a, part->epoch),
                                     .why = index_account_why(a, part)};

    if (h != NULL) {
        return;
    }
    new.until_ms = new.until_ms == 0 ? n->now_ms : new.until_ms;
    if (new.until_ms < new.since_ms) { /* the clock was set back */
        new.until_ms = new.since_ms;
        new.since_ms = 0;
    }
    for (uint32_t i = 0; i < n->x->n_files; i++) { /* the clock was set back */
        const struct index_known *k = &n->x->files[i];

        if (k->epoch == part->epoch && k->newest_ms > new.until_ms) {
            new.until_ms = k->newest_ms;
        }
    }
    index_account_add_hole(a, &new);
}

void indexer_account_begin(struct indexer *x, const char *field)
{
    const uint32_t epoch = spool_epoch(x->spool);
    struct naming naming = {x, now_of(x)};
    struct index_account *a = &x->account;
    struct runs runs = {.n = 0};

    look_at_shards(x, naming.now_ms, &runs);
    index_account_missing(a, runs.list, runs.n, on_missing, &naming);
    index_account_note_epoch(a, epoch, field, naming.now_ms);
    a->until = epoch;
    a->until_ms = naming.now_ms;
    (void)snprintf(a->uuid, sizeof a->uuid, "%s", spool_uuid(x->spool));
    index_account_tidy(a, epoch, runs.list, runs.n);
    free(runs.list);
    indexer_account_write(x);
}

/* ---- while it runs ---- */

void indexer_account_shard(struct indexer *x, const struct index_reader *r)
{
    if (index_account_shard_of(&x->account, r->epoch, r->worker) == NULL) {
        (void)index_account_note_shard(&x->account, r->epoch, r->worker, 1);
        indexer_account_write(x);
    }
}

void indexer_account_end(struct indexer *x)
{
    const uint32_t n = spool_ends(x->spool, x->stream, NULL, 0);
    struct spool_pos *list = mem_alloc((n + 1) * sizeof *list);
    const uint32_t got = spool_ends(x->spool, x->stream, list, n);

    for (uint32_t i = 0; i < got && i < n; i++) {
        index_account_note_shard(&x->account, list[i].epoch, list[i].worker, 1)->end =
            list[i].seq;
    }
    free(list);
    indexer_account_write(x);
}

void indexer_account_field(struct indexer *x)
{
    index_account_note_epoch(&x->account, spool_epoch(x->spool), x->path->field,
                             clock_wall_ms());
    indexer_account_write(x);
}

void indexer_account_dropped(struct indexer *x, const struct index_pending *p)
{
    const struct index_account_hole h = {
        .at = {p->epoch, p->worker, p->first, index_end(p->builder)},
        .since_ms = index_oldest_ms(p->builder),
        .until_ms = index_newest_ms(p->builder),
        .why = ACCOUNT_DISK};

    index_account_add_hole(&x->account, &h);
    x->account_waits = true;
}
