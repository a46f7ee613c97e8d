#include "server/keys/collector.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "server/keys/internal.h"

enum { OPEN_SHARDS = 64 };

#define RECOVER_NS 10000000000ull /* that a start or a reload waits for */

/* ---- readers: one a shard ---- */

static struct reader *reader_of(struct collector *c, uint32_t epoch, uint32_t worker)
{
    for (uint32_t i = 0; i < c->n_readers; i++) {
        if (c->readers[i].epoch == epoch && c->readers[i].worker == worker) {
            return &c->readers[i];
        }
    }
    return NULL;
}

/* Where a shard is begun: where the keystore is. One that is new has no use for what was
 * stored before, which notes no identity. */
static uint64_t first_of(const struct collector *c, const struct spool_shard_id *id)
{
    if (c->fresh && id->next > 0) {
        return id->next;
    }
    return keystore_place(c->keys, id->epoch, id->worker);
}

static void add_reader(struct collector *c, const struct spool_shard_id *id)
{
    struct reader *r;

    if (c->n_readers == c->readers_room) {
        c->readers_room = c->readers_room == 0 ? OPEN_SHARDS : 2 * c->readers_room;
        c->readers = mem_realloc(c->readers, c->readers_room * sizeof *c->readers);
    }
    r = &c->readers[c->n_readers++];
    *r = (struct reader){.epoch = id->epoch,
                         .worker = id->worker,
                         .live = id->live,
                         .next = first_of(c, id)};
    r->saved = r->next;
    r->cursor = spool_cursor_open(c->consumer,
                                  (struct spool_pos){id->epoch, id->worker, r->next});
    spool_cursor_release(r->cursor, r->next);
}

/* Shards that have come. */
static void find_shards(struct collector *c)
{
    uint32_t room = c->n_readers + OPEN_SHARDS, n;
    struct spool_shard_id *list;

    for (;;) {
        list = mem_alloc(room * sizeof *list);
        n = spool_shards(c->consumer, list, room);
        if (n <= room) {
            break;
        }
        room = n;
        free(list);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (reader_of(c, list[i].epoch, list[i].worker) == NULL) {
            add_reader(c, &list[i]);
        }
    }
    free(list);
    c->fresh = false;
}

double collector_stored_ms(const struct unsaved *u)
{
    const double age = (double)(clock_wall_ms() - u->wall_ms);

    return (double)clock_mono_ns() / 1e6 - (age > 0 ? age : 0);
}

/* A key of an earlier process that is read late, when policies ask already. Under lock. */
static void restore_late(struct collector *c, const struct unsaved *u)
{
    for (uint32_t i = 0; i < c->n_seen; i++) {
        c->unrestored |= !seen_restore(c->seen[i], &u->hash, collector_stored_ms(u));
    }
}

static void take_block(struct collector *c, struct reader *r,
                       const struct spool_block *b)
{
    (void)pthread_mutex_lock(&c->lock);
    for (uint32_t i = 0; i < b->n && b->identities != NULL; i++) {
        const uint64_t *hash = b->identities[i].hash;

        if (b->first + i < r->next || (hash[0] | hash[1]) == 0) {
            continue;
        }
        if (c->n_unsaved == c->unsaved_room) {
            c->unsaved_room = c->unsaved_room == 0 ? 4096 : 2 * c->unsaved_room;
            c->unsaved = mem_realloc(c->unsaved, c->unsaved_room * sizeof *c->unsaved);
        }
        c->unsaved[c->n_unsaved++] =
            (struct unsaved){.hash = {{hash[0], hash[1]}},
                             .seq = b->first + i,
                             .reader = (uint32_t)(r - c->readers),
                             .wall_ms = b->wall_ms};
        if (!r->live) {
            restore_late(c, &c->unsaved[c->n_unsaved - 1]);
        }
    }
    (void)pthread_mutex_unlock(&c->lock);
    r->next = b->first + b->n;
}

/* What r's shard has now, up to so many keys in all. */
static void read_shard(struct collector *c, struct reader *r, uint32_t max)
{
    struct spool_block b;
    uint64_t lost;

    while (r->cursor != NULL && !r->ended && c->n_unsaved < max) {
        switch (spool_cursor_next(r->cursor, &b, &lost)) {
        case SPOOL_READ_OK:
            take_block(c, r, &b);
            break;
        case SPOOL_READ_GAP:
        case SPOOL_READ_VOID:
            r->next += lost;
            break;
        case SPOOL_READ_END:
            r->ended = true;
            break;
        case SPOOL_READ_AGAIN:
            return;
        }
    }
}

void collector_read(struct collector *c, uint32_t max)
{
    find_shards(c);
    for (uint32_t i = 0; i < c->n_readers; i++) {
        read_shard(c, &c->readers[i], max);
    }
}

void collector_complete(struct collector *c)
{
    bool ended = true;

    for (uint32_t i = 0; ended && i < c->n_readers; i++) {
        ended = c->readers[i].live || c->readers[i].ended;
    }
    c->unrestored = c->unrestored && c->n_unsaved > 0;
    if (c->incomplete && ended && !c->unrestored) {
        c->incomplete = false;
        keystore_incomplete(c->keys, false);
    }
}

/* ---- metrics ---- */

static void publish(struct collector *c)
{
    struct stats_owner *before = stats_own(&c->series);
    char labels[160];

    (void)stats_label_pair(labels, sizeof labels, "stream", c->name);
    c->shown_keys =
        stats_gauge("sluice_dedup_saved_keys",
                    "With persist: keys that dedup has on disk, among them those whose "
                    "window is over and that were not removed yet.",
                    labels);
    c->shown_bytes =
        stats_gauge("sluice_dedup_disk_bytes",
                    "With persist: bytes of dedup's files of keys.", labels);
    c->shown_damaged =
        stats_counter("sluice_dedup_damaged_total",
                      "With persist: damaged files and pages of keys; repeats of those "
                      "keys are stored.",
                      labels);
    (void)stats_own(before);
}

void collector_hide(struct collector *c, bool hidden)
{
    stats_hide(&c->series, hidden);
}

void collector_show(struct collector *c)
{
    const struct keystore_figures f = keystore_figures(c->keys);

    stats_set(c->shown_keys, f.n_keys);
    stats_set(c->shown_bytes, f.disk_bytes);
    stats_add(c->shown_damaged, f.n_damaged - c->n_damaged);
    c->n_damaged = f.n_damaged;
}

/* ---- open ---- */

static void on_wake(void *arg)
{
    (void)arg; /* it looks by itself, some times a second */
}

/* Shards of earlier epochs, whose events are all there: saved as they come, since they
 * may be more than there is room for. What the disk does not give or take by then is left
 * to the saver. */
static void recover(struct collector *c)
{
    const uint64_t until = clock_mono_ns() + RECOVER_NS;
    char quoted[ERR_TEXT_MAX + 16];
    struct err e;
    bool more, ok = true;

    (void)err_set(&e, "the disk has not given all events of earlier processes yet");
    do {
        collector_read(c, UNSAVED_SAVE);
        more = c->n_unsaved >= UNSAVED_SAVE;
        ok = !more || collector_save(c, &e);
    } while (more && ok && clock_mono_ns() < until);
    collector_complete(c);
    if (c->incomplete) {
        log_write(LOG_ERROR, "dedup_unread", "stream=%s why=%s", c->name,
                  log_quote(quoted, sizeof quoted, e.text));
    }
}

struct collector *collector_open(const struct collector_conf *conf, struct err *e)
{
    struct collector *c = mem_zalloc(sizeof *c);
    const struct spool_consumer_conf consumer = {
        .name = "dedup", .passive = true, .wake = on_wake};

    c->name = mem_strdup(conf->name);
    c->spool = conf->spool;
    (void)pthread_mutex_init(&c->lock, NULL);
    latch_init(&c->stopped);
    latch_init(&c->saver_ended);
    latch_init(&c->merger_ended);
    c->keys = keystore_open(
        &(struct keystore_conf){.dir = conf->dir,
                                .window_s = (uint32_t)(conf->window_ms / 1000)},
        e);
    if (c->keys == NULL) {
        collector_free(c);
        return NULL;
    }
    c->fresh = keystore_is_fresh(c->keys);
    c->consumer = spool_consumer_open(conf->spool, conf->stream, &consumer);
    c->incomplete = true;
    keystore_incomplete(c->keys, true);
    publish(c);
    recover(c);
    collector_show(c);
    return c;
}

void collector_window(struct collector *c, int64_t window_ms)
{
    keystore_window(c->keys, (uint32_t)(window_ms / 1000));
}

static bool attached(const struct collector *c, const struct seen *seen)
{
    for (uint32_t i = 0; i < c->n_seen; i++) {
        if (c->seen[i] == seen) {
            return true;
        }
    }
    return false;
}

/* Under lock. */
static bool attach(struct collector *c, struct seen *seen, const char *name,
                   struct err *e)
{
    if (c->n_seen == SEEN_MAX) {
        return err_set(e,
                       "stream \"%s\": %u keys of dedup, one a policy, are not saved "
                       "yet, at most that many can be; reload again later",
                       c->name, c->n_seen);
    }
    for (uint32_t i = 0; i < c->n_unsaved; i++) {
        if (!seen_restore(seen, &c->unsaved[i].hash,
                          collector_stored_ms(&c->unsaved[i]))) {
            return err_set(e,
                           "stream \"%s\": dedup has more keys unsaved than it has "
                           "room for; reload again later",
                           c->name);
        }
    }
    if (seen_store(seen) == NULL) {
        seen_attach(seen, c->keys, keystore_key(c->keys), name);
    }
    c->seen[c->n_seen++] = seen_ref(seen);
    return true;
}

bool collector_attach(struct collector *c, struct seen *seen, const char *name,
                      struct err *e)
{
    bool ok;

    (void)pthread_mutex_lock(&c->lock);
    ok = attached(c, seen) || attach(c, seen, name, e);
    (void)pthread_mutex_unlock(&c->lock);
    return ok;
}

/* Memories that no policy has any more, and whose keys are saved: until then the policy
 * that comes back must find them. The registry may still have a reference, which goes
 * with the next load. */
void collector_detach(struct collector *c)
{
    (void)pthread_mutex_lock(&c->lock);
    for (uint32_t i = 0; i < c->n_seen;) {
        if (seen_refs(c->seen[i]) <= 2 && seen_count(c->seen[i]) == 0) {
            seen_unref(c->seen[i]);
            c->seen[i] = c->seen[--c->n_seen];
        } else {
            i++;
        }
    }
    (void)pthread_mutex_unlock(&c->lock);
}

void collector_free(struct collector *c)
{
    for (uint32_t i = 0; i < c->n_readers; i++) {
        if (c->readers[i].cursor != NULL) {
            spool_cursor_close(c->readers[i].cursor);
        }
    }
    for (uint32_t i = 0; i < c->n_seen; i++) {
        seen_unref(c->seen[i]);
    }
    if (c->consumer != NULL) {
        spool_consumer_close(c->consumer);
    }
    if (c->keys != NULL) {
        keystore_close(c->keys);
    }
    stats_disown(&c->series);
    latch_fini(&c->merger_ended);
    latch_fini(&c->saver_ended);
    latch_fini(&c->stopped);
    (void)pthread_mutex_destroy(&c->lock);
    free(c->readers);
    free(c->unsaved);
    free(c->name);
    free(c);
}
