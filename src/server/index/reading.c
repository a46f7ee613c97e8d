/* Ids out of the spool, into builders: one a shard. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "plan/plan.h"
#include "server/index/internal.h"

enum { OPEN_SHARDS = 64 };

static struct index_reader *reader_of(struct indexer *x, uint32_t epoch,
                                      uint32_t worker)
{
    for (uint32_t i = 0; i < x->n_readers; i++) {
        if (x->readers[i].epoch == epoch && x->readers[i].worker == worker) {
            return &x->readers[i];
        }
    }
    return NULL;
}

static void add_reader(struct indexer *x, const struct spool_shard_id *id)
{
    const uint64_t next = index_covered(x, id->epoch, id->worker, id->first);
    struct index_reader *r;

    if (x->n_readers == x->readers_room) {
        x->readers_room = x->readers_room == 0 ? OPEN_SHARDS : 2 * x->readers_room;
        x->readers = mem_realloc(x->readers, x->readers_room * sizeof *x->readers);
    }
    r = &x->readers[x->n_readers++];
    *r = (struct index_reader){.epoch = id->epoch, .worker = id->worker, .next = next};
    r->cursor =
        spool_cursor_open(x->consumer, (struct spool_pos){id->epoch, id->worker, next});
    spool_cursor_release(r->cursor, next);
}

/* Shards that have come. One that the disk does not tell (first 0) is kept, and looked
 * at again. */
static void find_shards(struct indexer *x)
{
    struct spool_shard_id few[OPEN_SHARDS], *list = few;
    uint32_t n = spool_shards(x->consumer, list, OPEN_SHARDS);

    if (n > OPEN_SHARDS) {
        const uint32_t room = n;

        list = mem_alloc(room * sizeof *list);
        n = spool_shards(x->consumer, list, room);
        n = n < room ? n : room;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (list[i].first != 0 && reader_of(x, list[i].epoch, list[i].worker) == NULL) {
            add_reader(x, &list[i]);
        }
    }
    if (list != few) {
        free(list);
    }
}

/* ---- which ids ---- */

/* Of the policy that stored the block; or else of the last one of its process. */
static struct index_path *path_of(struct indexer *x, const struct index_reader *r,
                                  const struct spool_block *b)
{
    char field[INDEX_FIELD_MAX];
    const char *known;

    (void)pthread_mutex_lock(&x->lock);
    known = index_fields_of(&x->fields, b->policy8);
    if (known != NULL) {
        (void)snprintf(field, sizeof field, "%s", known);
    }
    (void)pthread_mutex_unlock(&x->lock);
    if (known != NULL) {
        return index_path_get(x, field);
    }
    known = r->epoch == spool_epoch(x->spool)
                ? NULL
                : index_account_field_of(&x->account, r->epoch);
    return known == NULL ? x->path : index_path_get(x, known);
}

/* Of prints; NULL: no policy has it. */
static struct index_path *path_of_hash(struct indexer *x, uint64_t hash)
{
    struct index_fields *all;
    struct index_path *p;

    for (p = x->paths; p != NULL && p->hash != hash; p = p->next) {
    }
    if (p != NULL) {
        return p;
    }
    all = mem_alloc(sizeof *all);
    (void)pthread_mutex_lock(&x->lock);
    *all = x->fields;
    (void)pthread_mutex_unlock(&x->lock);
    for (uint32_t i = 0; i < all->n && p == NULL; i++) {
        p = plan_key_hash(all->list[i].path) == hash
                ? index_path_get(x, all->list[i].path)
                : NULL;
    }
    free(all);
    return p;
}

/* ---- into builders ---- */

static void begin_builder(struct indexer *x, struct index_reader *r,
                          struct index_path *path)
{
    r->builder = index_builder_new(r->next);
    r->path = path;
    r->block_of = NULL;
    if (r->epoch == spool_epoch(x->spool)) {
        indexer_account_shard(x, r);
    }
}

/* A builder that takes the event r->next, by its id at that path. */
static void make_room(struct indexer *x, struct index_reader *r,
                      struct index_path *path, const struct spool_block *b)
{
    if (r->builder != NULL && (!index_has_room(r->builder, 1) ||
                               index_end(r->builder) != r->next || r->path != path)) {
        index_put(x, r);
    }
    if (r->builder == NULL) {
        begin_builder(x, r, path);
    }
    if (r->block_of != r->builder) {
        index_block(r->builder, b->wall_ms, b->policy8);
        r->block_of = r->builder;
    }
}

/* Events of b from r->next up to before `end`. */
static void take_events(struct indexer *x, struct index_reader *r,
                        struct index_path *path, const struct spool_block *b,
                        uint64_t end)
{
    for (; r->next < end; r->next++) {
        struct str id = ids_get(path->ids, (uint32_t)(r->next - b->first));

        make_room(x, r, path, b);
        index_add(r->builder, id.p, id.n);
    }
}

/* All of b is in r's builder. */
static void block_taken(struct indexer *x, struct index_reader *r,
                        const struct spool_block *b)
{
    r->n_bytes += b->payload_bytes;
    if (r->builder != NULL && (r->n_bytes >= x->file_bytes ||
                               !index_has_room(r->builder, INDEX_FILE_EVENTS))) {
        index_put(x, r);
    }
}

/* A block of which the worker has told the ids. */
static void take_prints(struct indexer *x, struct index_reader *r,
                        struct index_path *path, const struct spool_block *b,
                        const uint64_t *prints)
{
    uint32_t done = 0;

    r->block_of = NULL;
    while (done < b->n) {
        uint32_t n = b->n - done;

        make_room(x, r, path, b);
        n = index_has_room(r->builder, n) ? n : 1;
        index_add_prints(r->builder, prints + done, n);
        r->next += n;
        done += n;
    }
    stats_add(x->n_events, b->n);
    block_taken(x, r, b);
}

static void take_block(struct indexer *x, struct index_reader *r,
                       const struct spool_block *b)
{
    struct index_path *path = path_of(x, r, b);
    const uint64_t end = b->first + b->n;

    ids_read_stored(path->ids, (struct str){b->payload, b->payload_bytes}, b->n);
    r->block_of = NULL;
    while (r->next < end) {
        const uint64_t from = r->next;
        uint64_t stop = index_covered_from(x, r->epoch, r->worker, from);

        stop = stop < end ? stop : end;
        take_events(x, r, path, b, stop);
        stats_add(x->n_events, stop - from);
        stats_add(x->n_read, stop - from);
        r->next = index_covered(x, r->epoch, r->worker, stop);
    }
    block_taken(x, r, b);
}

static void lose_run(struct indexer *x, struct index_reader *r, uint64_t n,
                     bool promised)
{
    const bool few = n < INDEX_FILE_EVENTS;

    if (r->builder != NULL && !(few && index_has_room(r->builder, (uint32_t)n) &&
                                index_end(r->builder) == r->next)) {
        index_put(x, r);
    }
    /* No client counts on them: without a file that passes them they would be missed. */
    if (r->builder == NULL && few && !promised) {
        begin_builder(x, r, r->path == NULL ? x->path : r->path);
    }
    if (r->builder != NULL) {
        index_lose(r->builder, n, promised);
    }
    r->next += n;
}

/* Sequences that no client counts on are in files, however many a failed sync left; events
 * that are gone may be a hole. */
static void lose(struct indexer *x, struct index_reader *r, uint64_t n, bool promised)
{
    while (!promised && n >= INDEX_FILE_EVENTS) {
        lose_run(x, r, INDEX_FILE_EVENTS - 1, promised);
        n -= INDEX_FILE_EVENTS - 1;
    }
    lose_run(x, r, n, promised);
}

static void end_reader(struct indexer *x, struct index_reader *r)
{
    if (r->builder != NULL) {
        index_put(x, r);
    }
    spool_cursor_release(r->cursor, UINT64_MAX);
    spool_cursor_close(r->cursor);
    r->cursor = NULL;
}

/* The next block as its worker has handed it over, and the path of its ids; NULL: it did
 * not. Those before it were read, or are lost. */
static const struct print_block *handed(struct indexer *x, struct index_reader *r,
                                        struct index_path **path)
{
    const struct print_block *ids = NULL;

    if (r->ring == NULL && r->epoch == spool_epoch(x->spool)) {
        r->ring = print_rings_get(x->prints, x->stream, r->worker);
    }
    while (r->ring != NULL && (ids = print_ring_head(r->ring)) != NULL &&
           ids->at.first < r->next) {
        print_ring_take(r->ring);
    }
    if (ids == NULL || ids->at.first != r->next) {
        return NULL;
    }
    *path = path_of_hash(x, ids->field);
    return *path == NULL ? NULL : ids;
}

static void read_shard(struct indexer *x, struct index_reader *r, uint64_t until_ns)
{
    const struct print_block *ids;
    struct index_path *path = NULL;
    struct spool_block b;
    uint64_t lost;

    while (r->cursor != NULL && clock_mono_ns() < until_ns) {
        ids = handed(x, r, &path);
        switch (spool_cursor_next_but(r->cursor, ids == NULL ? NULL : &ids->at, &b,
                                      &lost)) {
        case SPOOL_READ_OK:
            if (b.payload == NULL) {
                take_prints(x, r, path, &b, ids->prints);
                print_ring_take(r->ring);
            } else {
                take_block(x, r, &b);
            }
            break;
        case SPOOL_READ_GAP:
            lose(x, r, lost, true);
            break;
        case SPOOL_READ_VOID:
            lose(x, r, lost, false);
            break;
        case SPOOL_READ_END:
            end_reader(x, r);
            return;
        case SPOOL_READ_AGAIN:
            return;
        }
    }
}

void index_read(struct indexer *x, uint64_t until_ns)
{
    find_shards(x);
    for (uint32_t i = 0; i < x->n_readers; i++) {
        read_shard(x, &x->readers[i], until_ns);
    }
}

void index_shut_readers(struct indexer *x)
{
    for (uint32_t i = 0; i < x->n_readers; i++) {
        index_builder_free(x->readers[i].builder);
        if (x->readers[i].cursor != NULL) {
            spool_cursor_close(x->readers[i].cursor);
        }
    }
    free(x->readers);
}
