#include "cli/ledger/tallies.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/mem.h"
#include "cli/ledger/entries.h"
#include "index/ids.h"
#include "index/reader.h"
#include "spool/inspect.h"
#include "spool/spool.h"

enum { TRIES = 4 };

struct segment_listed {
    uint32_t epoch, worker;
    uint64_t number, first, end; /* end: of the next one's first, or unknown */
    bool wanted, read;
};

struct tallying {
    struct tallies *t;
    const char *spool;
    uint32_t epoch;             /* of the last process, when the reading began */
    int64_t since_ms, until_ms; /* whole minutes */
    struct segment_listed *segments;
    uint32_t n_segments, room;
    uint32_t n_of_files;       /* rows */
    struct index_run *refused; /* sequences that are no events: a sync failed */
    uint32_t n_refused;
    struct ids
        *ids[INDEX_LIST_FIELDS]; /* of the index's fields; NULL: not needed yet */
    uint32_t field;              /* of the block in hand */
};

static struct tally_row *next_row(struct tallies *t)
{
    if (t->n == t->room) {
        t->room = t->room == 0 ? 1024 : 2 * t->room;
        t->rows = mem_realloc(t->rows, t->room * sizeof *t->rows);
    }
    return &t->rows[t->n++];
}

static struct entry *next_entry(struct tallies *t)
{
    if (t->n_tail == t->tail_room) {
        t->tail_room = t->tail_room == 0 ? 1024 : 2 * t->tail_room;
        t->tail = mem_realloc(t->tail, t->tail_room * sizeof *t->tail);
    }
    return &t->tail[t->n_tail++];
}

static bool on_file(void *arg, struct index_file *f)
{
    struct tallying *y = arg;
    const uint32_t field = index_list_field(&y->t->index, f->head.field);
    struct err e;

    if (!index_rows(f, &e)) {
        return false;
    }
    for (uint32_t i = 0; i < f->head.n_rows; i++) {
        const struct index_row *r = &f->rows[i];

        *next_row(y->t) = (struct tally_row){.epoch = f->head.epoch,
                                             .worker = f->head.worker,
                                             .seq = r->seq,
                                             .wall_ms = r->wall_ms,
                                             .sum = r->sum,
                                             .n = r->n,
                                             .n_anonymous = r->n_anonymous,
                                             .field = field};
    }
    return true;
}

static void on_listed(void *arg, const struct spool_segment_info *i)
{
    struct tallying *y = arg;
    struct segment_listed *last =
        y->n_segments == 0 ? NULL : &y->segments[y->n_segments - 1];

    if (strcmp(i->stream, y->t->stream) != 0) {
        return;
    }
    if (i->first == 0) {
        y->t->n_unread += spool_segment_is_bad(i);
        return;
    }
    if (last != NULL && last->epoch == i->epoch && last->worker == i->worker) {
        last->end = i->first;
    } else {
        y->t->shards =
            mem_realloc(y->t->shards, (y->t->n_shards + 1) * sizeof *y->t->shards);
        y->t->shards[y->t->n_shards++] =
            (struct tally_shard){i->epoch, i->worker, 0, UINT64_MAX};
    }
    if (y->n_segments == y->room) {
        y->room = y->room == 0 ? 64 : 2 * y->room;
        y->segments = mem_realloc(y->segments, y->room * sizeof *y->segments);
    }
    y->segments[y->n_segments++] = (struct segment_listed){.epoch = i->epoch,
                                                           .worker = i->worker,
                                                           .number = i->number,
                                                           .first = i->first,
                                                           .end = UINT64_MAX};
}

static struct segment_listed *segment_of(const struct tallying *y,
                                         const struct spool_segment_info *i)
{
    for (uint32_t k = 0; strcmp(i->stream, y->t->stream) == 0 && k < y->n_segments;
         k++) {
        struct segment_listed *g = &y->segments[k];

        if (g->epoch == i->epoch && g->worker == i->worker && g->number == i->number &&
            g->first == i->first) {
            return g;
        }
    }
    return NULL; /* a new one */
}

static bool on_wanted(void *arg, const struct spool_segment_info *i)
{
    struct segment_listed *g = segment_of(arg, i);

    if (g != NULL) {
        g->read = g->wanted;
    }
    return g != NULL && g->wanted;
}

/* Of the block in hand. By the field of now where nothing says which it is. */
static struct ids *ids_of(const struct tallying *y)
{
    return y->ids[y->field < y->t->index.n_fields ? y->field : 0];
}

/* The policy that stored the block says where its ids are. */
static bool read_ids(struct tallying *y, const struct spool_segment_info *i,
                     const struct spool_block *b)
{
    const struct index_list *l = &y->t->index;
    const uint32_t field = index_list_field_of(l, i->epoch, b->policy8);
    const uint32_t at = field < l->n_fields ? field : 0;
    struct err e;

    if (y->ids[at] == NULL && (y->ids[at] = ids_new(l->fields[at], &e)) == NULL) {
        return false;
    }
    y->field = field;
    ids_read_stored(y->ids[at], (struct str){b->payload, b->payload_bytes}, b->n);
    return true;
}

/* Event k of the block as a part of a row, which begins where the one before ended. */
static void tally(struct tallying *y, const struct spool_segment_info *i,
                  const struct spool_block *b, uint32_t k, struct tally_row **row)
{
    const struct str id = ids_get(ids_of(y), k);

    if (*row == NULL || (*row)->seq + (*row)->n != b->first + k) {
        *row = next_row(y->t);
        **row = (struct tally_row){.epoch = i->epoch,
                                   .worker = i->worker,
                                   .seq = b->first + k,
                                   .wall_ms = b->wall_ms,
                                   .field = y->field};
    }
    (*row)->n++;
    y->t->n_unsure +=
        b->first >= i->unsure && b->wall_ms >= y->since_ms && b->wall_ms < y->until_ms;
    if (id.p == NULL) {
        (*row)->n_anonymous++;
    } else {
        const uint64_t print = index_print(id.p, id.n);

        (*row)->sum += print;
        *next_entry(y->t) = (struct entry){.print = index_stored_print(print),
                                           .epoch = i->epoch,
                                           .worker = i->worker,
                                           .seq = b->first + k,
                                           .wall_ms = (*row)->wall_ms};
    }
}

static bool on_block(void *arg, const struct spool_segment_info *i,
                     const struct spool_block *b)
{
    struct tallying *y = arg;
    const struct index_list *index = &y->t->index;
    struct tally_row *row = NULL;
    uint64_t covered = b->first; /* the next one that may be, by the index */
    bool parsed = false;

    if (strcmp(i->stream, y->t->stream) != 0) {
        return true;
    }
    for (uint64_t seq = b->first; seq < b->first + b->n; seq++) {
        if (seq == covered) {
            seq = index_list_covered(index, i->epoch, i->worker, seq);
            covered = index_list_next(index, i->epoch, i->worker, seq);
        }
        if (seq >= b->first + b->n) {
            break;
        }
        if (!parsed && !read_ids(y, i, b)) {
            y->t->n_unread++; /* the field is of a damaged file */
            return true;
        }
        parsed = true;
        tally(y, i, b, (uint32_t)(seq - b->first), &row);
    }
    return true;
}

/* The last segment of a shard was read. */
static void note_end(struct tallies *t, const struct spool_segment_info *i, bool ended)
{
    for (uint32_t k = 0; k < t->n_shards && i->error == 0; k++) {
        if (t->shards[k].epoch == i->epoch && t->shards[k].worker == i->worker) {
            t->shards[k].last = i->next;
            t->shards[k].end = ended ? i->next : UINT64_MAX;
        }
    }
}

/* After its blocks, if they were wanted. Events that are lost in it show as a gap. */
static void on_read(void *arg, const struct spool_segment_info *i)
{
    struct tallying *y = arg;
    struct segment_listed *g = segment_of(y, i);

    if (g != NULL && i->reused) {
        g->read = false;
    }
    if (g != NULL && g->read && g->end == UINT64_MAX) {
        note_end(y->t, i, i->epoch < y->epoch);
    }
    y->t->n_unread +=
        i->first != 0 && strcmp(i->stream, y->t->stream) == 0 && i->error != 0;
}

static void on_refused(void *arg, const struct spool_segment_info *i, uint64_t first,
                       uint64_t end)
{
    struct tallying *y = arg;

    y->refused = mem_realloc(y->refused, (y->n_refused + 1) * sizeof *y->refused);
    y->refused[y->n_refused++] = (struct index_run){i->epoch, i->worker, first, end};
}

/* Files that the server set aside, of events that no segment has any more. */
static void count_missing(struct tallying *y)
{
    struct index_run *runs = mem_alloc((y->n_segments + 1) * sizeof *runs);

    for (uint32_t i = 0; i < y->n_segments; i++) {
        const struct segment_listed *g = &y->segments[i];

        runs[i] = (struct index_run){g->epoch, g->worker, g->first, g->end};
    }
    y->t->index.n_damaged += index_list_missing(&y->t->index, runs, y->n_segments);
    holes_close(&y->t->index, runs, y->n_segments);
    free(runs);
}

/* Blocks that the index covers need not be read. */
static uint64_t on_covered(void *arg, const struct spool_segment_info *i, uint64_t from)
{
    const struct tallying *y = arg;

    return index_list_covered(&y->t->index, i->epoch, i->worker, from);
}

/* False: a segment went away meanwhile; *e is empty then. */
static bool read_tail(struct tallying *y, struct err *e)
{
    const struct spool_visitor v = {.segment = on_read,
                                    .block = on_block,
                                    .wants = on_wanted,
                                    .covered = on_covered,
                                    .refused = on_refused,
                                    .arg = y,
                                    .stream = y->t->stream};
    bool any = false, all = true;

    for (uint32_t i = 0; i < y->n_segments; i++) {
        struct segment_listed *g = &y->segments[i];

        g->wanted =
            index_list_covered(&y->t->index, g->epoch, g->worker, g->first) < g->end;
        any |= g->wanted;
    }
    if (any && !spool_visit(y->spool, &v, e)) {
        return false;
    }
    for (uint32_t i = 0; i < y->n_segments; i++) {
        all &= !y->segments[i].wanted || y->segments[i].read;
    }
    e->text[0] = '\0';
    return all;
}

static int by_place(const void *a, const void *b)
{
    const struct tally_row *x = a, *y = b;

    return x->epoch != y->epoch     ? (x->epoch < y->epoch ? -1 : 1)
           : x->worker != y->worker ? (x->worker < y->worker ? -1 : 1)
                                    : (x->seq > y->seq) - (x->seq < y->seq);
}

/* What neither the files nor the rows of segments have. Before the rows are sorted. */
static void find_holes(struct tallying *y)
{
    struct tallies *t = y->t;
    uint32_t n = t->n - y->n_of_files;
    struct index_run *runs = mem_alloc((n + y->n_refused + 1) * sizeof *runs);

    for (uint32_t i = 0; i < n; i++) {
        const struct tally_row *r = &t->rows[y->n_of_files + i];

        runs[i] = (struct index_run){r->epoch, r->worker, r->seq, r->seq + r->n};
    }
    for (uint32_t i = 0; i < y->n_refused; i++) {
        runs[n++] = y->refused[i];
    }
    holes_of(&t->index, runs, n, y->since_ms, y->until_ms, &t->holes);
    t->n_unknown = t->index.n_lost + t->holes.n_events;
    free(runs);
}

static void count_field(struct tallying *y, const struct tally_row *r)
{
    const uint32_t n_fields = y->t->index.n_fields;
    struct tally_field *f =
        &y->t->by_field[r->field < n_fields ? r->field : INDEX_LIST_FIELDS];

    f->n += r->n;
    if (r->wall_ms >= y->since_ms && r->wall_ms < y->until_ms) {
        f->oldest_ms =
            f->n_period == 0 || r->wall_ms < f->oldest_ms ? r->wall_ms : f->oldest_ms;
        f->last_ms = r->wall_ms > f->last_ms ? r->wall_ms : f->last_ms;
        f->n_period += r->n;
    }
}

/* Only the rows that are asked for stay. */
static void finish(struct tallying *y)
{
    struct tallies *t = y->t;
    uint32_t n = 0;

    find_holes(y);
    if (t->n > 1) {
        qsort(t->rows, t->n, sizeof *t->rows, by_place);
    }
    for (uint32_t i = 0; i < t->n; i++) {
        count_field(y, &t->rows[i]);
        if (t->rows[i].wall_ms >= y->since_ms && t->rows[i].wall_ms < y->until_ms) {
            t->rows[n++] = t->rows[i];
        }
    }
    t->n = n;
}

static bool no_index(const struct tallying *y, struct err *e)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/%s", y->spool, y->t->stream);
    return err_set(e, "stream \"%s\" has no index%s", y->t->stream,
                   path_there(path) == 0
                       ? " and no events here: sluice inspect names those that have"
                       : ": put index = \"event_id\" into it");
}

static bool try_once(struct tallying *y, struct err *e)
{
    struct tallies *t = y->t;
    const struct spool_visitor v = {
        .segment = on_listed, .arg = y, .stream = t->stream, .quick = true};
    bool ok = spool_visit(y->spool, &v, e) &&
              index_list_read(&t->index, y->spool, t->stream, NULL, on_file, y, e);

    if (ok && t->index.n_fields == 0) {
        ok = no_index(y, e);
    }
    if (ok) {
        y->n_of_files = t->n;
        ok = read_tail(y, e);
        count_missing(y);
    }
    for (uint32_t i = 0; i < t->index.n_fields; i++) {
        ids_free(y->ids[i]);
    }
    free(y->segments);
    return ok;
}

bool tallies_read(const char *spool, const char *stream, int64_t since_ms,
                  int64_t until_ms, struct tallies *out, struct err *e)
{
    *out = (struct tallies){.n = 0};
    for (int i = 0; i < TRIES; i++) {
        struct tallying y = {.t = out,
                             .spool = spool,
                             .epoch = index_list_epoch(spool),
                             .since_ms = since_ms / TALLY_MINUTE_MS * TALLY_MINUTE_MS,
                             .until_ms = until_ms / TALLY_MINUTE_MS * TALLY_MINUTE_MS};

        bool ok;

        tallies_free(out);
        (void)snprintf(out->stream, sizeof out->stream, "%s", stream);
        (void)err_set(e, "%s", "");
        ok = try_once(&y, e);
        if (ok) {
            finish(&y);
        }
        free(y.refused);
        if (ok) {
            return true;
        }
        if (e->text[0] != '\0') {
            return false;
        }
    }
    return err_set(e, "%s: segments went away while they were read; try again", spool);
}

static const struct tally_shard *shard_of(const struct tallies *t, uint32_t epoch,
                                          uint32_t worker)
{
    for (uint32_t i = 0; i < t->n_shards; i++) {
        if (t->shards[i].epoch == epoch && t->shards[i].worker == worker) {
            return &t->shards[i];
        }
    }
    return NULL;
}

bool tallies_has(const struct tallies *t, uint32_t epoch, uint32_t worker)
{
    return shard_of(t, epoch, worker) != NULL;
}

uint64_t tallies_end(const struct tallies *t, uint32_t epoch, uint32_t worker)
{
    const struct tally_shard *sh = shard_of(t, epoch, worker);

    /* A segment that can't be read may be a later one. */
    return sh == NULL || t->n_unread > 0 ? UINT64_MAX : sh->end;
}

uint64_t tallies_last(const struct tallies *t, uint32_t epoch, uint32_t worker,
                      int64_t since_ms)
{
    const struct tally_shard *sh = shard_of(t, epoch, worker);
    const uint64_t indexed = index_list_end(&t->index, epoch, worker, since_ms);

    if (sh != NULL && (sh->last == 0 || t->n_unread > 0)) {
        return 0;
    }
    return sh != NULL && sh->last > indexed ? sh->last : indexed;
}

void tallies_free(struct tallies *t)
{
    free(t->rows);
    free(t->shards);
    free(t->tail);
    holes_free(&t->holes);
    index_list_free(&t->index);
    *t = (struct tallies){.n = 0};
}
