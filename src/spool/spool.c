/*
 * The spool's folder: one process at a time, a new epoch each; its streams.
 *
 *   worker ─► writer.c ─► current segment ─► cursor.c ─► delivery
 *                 ▲            │ sealed           │ released
 *          ahead  │            ▼                  ▼
 *             housekeeper.c ◄── reclaim.c ◄── no consumer needs it
 */
#include "spool/spool.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "spool/internal.h"

/* Room of a stream without a writer: never the cause of a full spool. */
static const uint64_t LEFT_BYTES = 1ull << 50;

struct spool *spool_open(const struct spool_conf *conf, struct err *e)
{
    struct spool *s = mem_zalloc(sizeof *s);
    pthread_condattr_t attr;

    s->conf = *conf;
    s->dir = mem_strdup(conf->dir);
    s->conf.dir = s->dir;
    s->lock_fd = -1;
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&s->prepared, &attr);
    (void)pthread_condattr_destroy(&attr);
    (void)sem_init(&s->wake, 0, 0);
    s->sync_time = stats_histogram("sluice_spool_sync_seconds",
                                   "Time of one fdatasync of a segment.", "", STATS_NS);
    s->disk_free =
        stats_gauge("sluice_spool_disk_free_bytes",
                    "Free bytes of the spool's disk, for sluice's user.", "");
    s->disk_bytes =
        stats_gauge("sluice_spool_disk_bytes",
                    "Bytes of the spool's disk that are used, or free for sluice's "
                    "user.",
                    "");
    s->prepare_time = stats_histogram("sluice_spool_prepare_seconds",
                                      "Time to prepare a new segment.", "", STATS_NS);
    if (mkdir(s->dir, 0750) != 0 && errno != EEXIST) {
        (void)err_errno(e, errno, "can't make the spool %s", s->dir);
    } else if (identity_lock(s, conf->lock_ms, e) && identity_raise_epoch(s, e) &&
               identity_find(s, e) && housekeeper_start(s, e)) {
        return s;
    }
    spool_close(s);
    return NULL;
}

static void free_segments(struct segment *g)
{
    while (g != NULL) {
        struct segment *next = g->next;

        segment_close(g);
        g = next;
    }
}

/* Of a stream that no policy has, and that all sinks are done with. */
static void drop_segments(struct shard *sh)
{
    char path[PATH_MAX];

    atomic_store(&sh->current, NULL);
    while (sh->segments != NULL) {
        struct segment *next = sh->segments->next;

        segment_delete(sh->segments);
        sh->segments = next;
    }
    shard_remove_folder(sh);
    (void)snprintf(path, sizeof path, "%s/%s", sh->stream->spool->dir,
                   sh->stream->name);
    (void)rmdir(path);
}

/* Segments that were prepared and never used are deleted. */
static void put_away(struct shard *sh)
{
    struct segment **at = &sh->segments;

    while (*at != NULL) {
        struct segment *g = *at;

        if (atomic_load(&g->state) == SEGMENT_PREPARED) {
            *at = g->next;
            segment_delete(g);
        } else {
            at = &g->next;
        }
    }
    if (sh->filling != NULL) {
        segment_delete(sh->filling);
        sh->filling = NULL;
    }
    while (sh->warm != NULL) {
        struct segment *next = sh->warm->next;

        segment_delete(sh->warm);
        sh->warm = next;
    }
    if (atomic_load(&sh->stream->freed)) {
        drop_segments(sh);
    }
    if (atomic_load(&sh->current) != NULL) {
        segment_mark_closed(atomic_load(&sh->current));
    }
}

void spool_put_away(struct spool *s)
{
    for (uint32_t i = 0; i < atomic_load(&s->n_streams); i++) {
        struct shard *sh = s->streams[i]->shards;

        for (; sh != NULL && presence_of_stream(s->streams[i]); sh = sh->next) {
            put_away(sh);
        }
    }
}

static void free_shard(struct shard *sh)
{
    free_segments(sh->segments);
    marks_free(sh);
    while (sh->places != NULL) {
        struct place *next = sh->places->next;

        free(sh->places);
        sh->places = next;
    }
    free(sh);
}

bool spool_stop(struct spool *s, uint64_t until_ns)
{
    return housekeeper_stop(s, until_ns);
}

void spool_close(struct spool *s)
{
    uint32_t n = atomic_load(&s->n_streams);

    (void)housekeeper_stop(s, INT64_MAX);
    for (uint32_t i = 0; i < n; i++) {
        struct stream *st = s->streams[i];

        while (st->shards != NULL) {
            struct shard *next = st->shards->next;

            free_shard(st->shards);
            st->shards = next;
        }
        free_segments(st->undeleted);
        (void)pthread_rwlock_destroy(&st->watch);
        stats_disown(&st->series);
        free(st);
    }
    if (s->lock_fd >= 0) {
        (void)close(s->lock_fd);
    }
    (void)sem_destroy(&s->wake);
    (void)pthread_cond_destroy(&s->prepared);
    (void)pthread_mutex_destroy(&s->lock);
    free(s->dir);
    free(s);
}

void spool_ready(struct spool *s)
{
    atomic_store(&s->ready, true);
    atomic_store(&s->reclaim, true);
    housekeeper_wake(s);
}

bool spool_consumer_recovers(const struct spool_consumer *c)
{
    return !atomic_load(&c->stream->spool->ready);
}

void spool_rest(struct spool *s)
{
    atomic_store(&s->reclaim, false);
    /* A reclaim that was under way when it changed is over. */
    (void)pthread_mutex_lock(&s->lock);
    (void)pthread_mutex_unlock(&s->lock);
}

uint32_t spool_epoch(const struct spool *s)
{
    return s->epoch;
}

/* ---- streams ---- */

static void make_cells(struct stream *st)
{
    static const char help[] = "Segments, by op: created, recycled, deleted, poisoned "
                               "(a sync failed), damaged, skipped (max_lag).";
    static const char name[] = "sluice_spool_segments_total";
    char stream[128], labels[192];
    struct stats_owner *before = stats_own(&st->series);
    static const char *const ops[] = {"created",  "recycled", "deleted",
                                      "poisoned", "damaged",  "skipped"};
    stats_cell **cells[] = {&st->created,  &st->recycled, &st->deleted,
                            &st->poisoned, &st->damaged,  &st->skipped};

    (void)stats_label_pair(stream, sizeof stream, "stream", st->name);
    for (size_t i = 0; i < N_ELEMS(ops); i++) {
        (void)snprintf(labels, sizeof labels, "%s,op=\"%s\"", stream, ops[i]);
        *cells[i] = stats_counter(name, help, labels);
    }
    st->damaged_blocks = stats_counter(
        "sluice_spool_damaged_blocks_total",
        "Damaged blocks found in segments; a damaged first page counts as one.",
        stream);
    st->damaged_events = stats_counter("sluice_spool_damaged_events_total",
                                       "Events in damaged blocks.", stream);
    st->bytes_gauge = stats_gauge("sluice_spool_bytes",
                                  "Bytes that the stream's segments take on "
                                  "disk.",
                                  stream);
    st->limit_gauge = stats_gauge(
        "sluice_spool_limit_bytes",
        "Bytes that the stream's segments may take on disk (max_bytes).", stream);
    st->reserved_gauge = stats_gauge(
        "sluice_spool_reserved_bytes",
        "Bytes reserved in the spool for bodies that have arrived in part.", stream);
    (void)stats_own(before);
}

static bool good_name(const char *z)
{
    size_t n = strspn(z, "abcdefghijklmnopqrstuvwxyz0123456789_-");

    return n > 0 && n <= STREAM_NAME_MAX && z[n] == '\0';
}

static int find_stream(const struct spool *s, const char *name)
{
    uint32_t n = atomic_load(&s->n_streams);

    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(s->streams[i]->name, name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

int spool_stream_left(struct spool *s, const char *name, struct err *e)
{
    int id = find_stream(s, name);

    return id >= 0 ? id
                   : spool_stream(s,
                                  &(struct spool_stream_conf){.name = name,
                                                              .max_bytes = LEFT_BYTES},
                                  e);
}

int spool_stream(struct spool *s, const struct spool_stream_conf *conf, struct err *e)
{
    uint32_t n = atomic_load(&s->n_streams);
    int id = find_stream(s, conf->name);
    struct stream *st;

    if (id >= 0) {
        atomic_store(&s->streams[id]->max_bytes, conf->max_bytes);
        (void)pthread_mutex_lock(&s->lock); /* a reclaim hides what it frees */
        atomic_store(&s->streams[id]->ended, false);
        atomic_store(&s->streams[id]->freed, false);
        stats_hide(&s->streams[id]->series, false);
        (void)pthread_mutex_unlock(&s->lock);
        atomic_store(&s->streams[id]->synced, conf->synced);
        if (conf->delivered) {
            atomic_store(&s->streams[id]->delivered, true);
        }
        housekeeper_wake(s);
        return id;
    }
    if (n == STREAMS_MAX || !good_name(conf->name)) {
        (void)err_set(e,
                      n == STREAMS_MAX ? "more than %d streams"
                                       : "a stream's name is 1 to %d of "
                                         "a-z 0-9 _ -",
                      STREAMS_MAX);
        return -1;
    }
    st = mem_zalloc(sizeof *st);
    st->spool = s;
    st->id = (int)n;
    (void)snprintf(st->name, sizeof st->name, "%s", conf->name);
    atomic_store(&st->max_bytes, conf->max_bytes);
    atomic_store(&st->synced, conf->synced);
    atomic_store(&st->delivered, conf->delivered);
    (void)pthread_rwlock_init(&st->watch, NULL);
    make_cells(st);
    if (!stream_recover(st, e)) {
        stats_disown(&st->series);
        free(st);
        return -1;
    }
    s->streams[n] = st;
    atomic_store(&s->n_streams, n + 1);
    return (int)n;
}

/* One that can't be read may have some. */
static bool has_shards(const char *path)
{
    unsigned epoch, worker;
    struct dirent *d;
    DIR *at = opendir(path);
    bool has = at == NULL && errno != ENOENT && errno != ENOTDIR;

    while (at != NULL && !has && (d = readdir(at)) != NULL) {
        has = sscanf(d->d_name, "%u.%u", &epoch, &worker) == 2;
    }
    if (at != NULL) {
        (void)closedir(at);
    }
    return has;
}

void spool_streams_left(const struct spool *s, spool_left_fn *fn, void *arg)
{
    char path[PATH_MAX];
    struct dirent *d;
    DIR *at = opendir(s->dir);

    while (at != NULL && (d = readdir(at)) != NULL) {
        (void)snprintf(path, sizeof path, "%s/%s", s->dir, d->d_name);
        if (good_name(d->d_name) && find_stream(s, d->d_name) < 0 && has_shards(path)) {
            fn(arg, d->d_name);
        }
    }
    if (at != NULL) {
        (void)closedir(at);
    }
}

void spool_streams_used(struct spool *s, const int *ids, uint32_t n)
{
    uint32_t n_streams = atomic_load(&s->n_streams);

    for (uint32_t i = 0; i < n_streams; i++) {
        bool used = false;

        for (uint32_t k = 0; k < n; k++) {
            used |= ids[k] == (int)i;
        }
        if (!atomic_exchange(&s->streams[i]->ended, !used) && !used) {
            stream_ask_no_more(s->streams[i]);
        }
    }
    housekeeper_wake(s);
}

struct stats_owner *spool_stream_series(const struct spool *s, int stream)
{
    return &s->streams[stream]->series;
}

uint64_t spool_stream_bytes(const struct spool *s, int stream)
{
    return atomic_load(&s->streams[stream]->left_bytes);
}
