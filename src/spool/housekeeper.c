/*
 * housekeeper - the housekeeping thread: work that a worker must not wait for.
 *
 *   wake ─► prepare   a segment ahead of each open shard, as long as the disk has room for all
 *           sync      appended bytes of synced streams, one fdatasync for all
 *           write_back   8 MiB at a time, so that a backlog is no flood
 *           reclaim   segments that no consumer needs: recycled or deleted
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/mem.h"
#include "spool/internal.h"
#include "spool/writer.h"

enum { LOOK_MS = 250, FILL_BYTES = 4 << 20 };

#define DISK_LOOK_NS 1000000000ull

void housekeeper_wake(struct spool *s)
{
    if (!atomic_exchange(&s->woken, true)) {
        (void)sem_post(&s->wake);
    }
}

void housekeeper_wake_writer(struct shard *sh)
{
    struct spool *s = sh->stream->spool;

    (void)pthread_mutex_lock(&s->lock);
    if (sh->writer != NULL) {
        sh->writer->wake(sh->writer->wake_arg);
    }
    (void)pthread_mutex_unlock(&s->lock);
}

/* ---- prepare ---- */

static bool make_folders(struct shard *sh, struct err *e)
{
    char path[PATH_MAX], stream[PATH_MAX];
    struct stat st;

    (void)snprintf(stream, sizeof stream, "%s/%s", sh->stream->spool->dir,
                   sh->stream->name);
    shard_path(sh, path, sizeof path);
    if (mkdir(stream, 0750) != 0 && errno != EEXIST) {
        return err_errno(e, errno, "%s", stream);
    }
    if (mkdir(path, 0750) != 0 && errno != EEXIST) {
        return err_errno(e, errno, "%s", path);
    }
    if (stat(path, &st) == 0) {
        sh->dev = st.st_dev;
        sh->ino = st.st_ino;
    }
    sh->lasting = folder_sync(stream, e) && folder_sync(sh->stream->spool->dir, e);
    return sh->lasting;
}

static struct segment *take_warm(struct shard *sh)
{
    struct segment *g = sh->warm;

    /* Its page may say how one that is not deleted ends. */
    if (g == NULL || sh->n_undeleted > 0 || mono_ms() - g->released_ms > WARM_MS) {
        return NULL;
    }
    sh->warm = g->next;
    sh->n_warm--;
    g->next = NULL;
    return g;
}

static uint64_t warm_bytes(struct stream *st)
{
    uint64_t n = 0;

    (void)pthread_mutex_lock(&st->spool->lock);
    for (struct shard *sh = st->shards; sh != NULL; sh = sh->next) {
        n += sh->n_warm;
    }
    (void)pthread_mutex_unlock(&st->spool->lock);
    return n * st->spool->conf.segment_bytes;
}

static struct segment *obtain(struct shard *sh, struct err *e)
{
    struct stream *st = sh->stream;
    struct segment *g = take_warm(sh);
    uint64_t number = ++sh->last_number;

    while (g != NULL && presence_of_segment(g) == 0) { /* an operator's doing */
        segment_delete(g);
        g = take_warm(sh);
    }
    if (g != NULL && segment_recycle(g, number, e)) {
        stats_add(st->recycled, 1);
        return g;
    }
    if (g != NULL) {
        segment_delete(g);
        return NULL;
    }
    /* The warm ones of other shards are on the disk too: they give way. */
    if (atomic_load(&st->used) + warm_bytes(st) + st->spool->conf.segment_bytes >
        atomic_load(&st->max_bytes)) {
        drop_warm(st, -1, false);
    }
    if (sh->segments == NULL && (!sh->lasting || presence_of_shard(sh) != 1) &&
        !make_folders(sh, e)) {
        return NULL;
    }
    shortage_make_room(sh);
    g = segment_create(sh, number, e);
    if (g != NULL) {
        stats_add(st->created, 1);
    }
    return g;
}

static void publish(struct shard *sh, struct segment *g)
{
    struct spool *s = sh->stream->spool;
    struct segment **at = &sh->segments;

    (void)pthread_mutex_lock(&s->lock);
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = g;
    (void)atomic_fetch_add(&sh->stream->used, g->bytes);
    atomic_store(&sh->ahead, g);
    atomic_store(&sh->asked, false);
    atomic_store(&sh->put_off, false);
    (void)pthread_cond_broadcast(&s->prepared);
    (void)pthread_mutex_unlock(&s->lock);
}

/*
 * Events that a sync acknowledges lie in blocks that the disk has already written once.
 * Of blocks that were only allocated, a store without room (a thin volume, a loop
 * device) lost some that fdatasync had reported as stored: see "no room below" in
 * tests/e2e/faults_spec.lua. Now such a store fails here, before anything is promised.
 * A slice a turn, so that syncs go on.
 */
static bool fill(struct shard *sh, struct segment *g, struct err *e)
{
    sh->filling = NULL;
    if (!atomic_load(&sh->stream->synced) || g->filled == g->bytes) {
        return true;
    }
    if (!segment_fill(g, FILL_BYTES, e)) {
        segment_delete(g);
        return false;
    }
    if (g->filled < g->bytes) {
        sh->filling = g;
        housekeeper_wake(sh->stream->spool);
    }
    return true;
}

static void put_off(struct shard *sh)
{
    struct spool *s = sh->stream->spool;

    if (!atomic_load(&sh->put_off)) {
        (void)pthread_mutex_lock(&s->lock);
        atomic_store(&sh->put_off, true);
        (void)pthread_cond_broadcast(&s->prepared);
        (void)pthread_mutex_unlock(&s->lock);
    }
}

/* Or may have none. No policy has an ended stream: only events that are on their way ask for
 * it. */
static bool needs_none(const struct shard *sh)
{
    const struct stream *st = sh->stream;

    return atomic_load(&sh->ahead) != NULL ||
           (atomic_load(&st->ended) && !atomic_load(&sh->asked)) ||
           atomic_load(&st->used) + st->spool->conf.segment_bytes >
               atomic_load(&st->max_bytes);
}

static void prepare(struct shard *sh)
{
    struct stream *st = sh->stream;
    struct spool *s = st->spool;
    struct segment *g;
    struct err e;

    if (!presence_of_stream(st)) { /* nobody asks the disk that failed it */
        return;
    }
    if (needs_none(sh)) {
        sh->failed = false;
        if (sh->filling != NULL && atomic_load(&st->ended) &&
            !atomic_load(&sh->asked)) {
            segment_delete(sh->filling);
            sh->filling = NULL;
        }
        return;
    }
    if (mono_ms() < sh->prove_at_ms || !presence_look(s) ||
        !presence_look_at_stream(st)) {
        return;
    }
    if (shortage_puts_off(sh)) {
        sh->failed = false;
        put_off(sh);
        return;
    }
    if (sh->filling == NULL) {
        sh->prepare_ns = clock_mono_ns();
    }
    if (sh->filling == NULL && atomic_load(&s->reclaim) && !segment_fits(s, 1)) {
        reclaim_stream(st); /* one may have been released just now */
    }
    g = sh->filling != NULL ? sh->filling : obtain(sh, &e);
    if (g == NULL || !fill(sh, g, &e)) {
        sh->prove_at_ms = mono_ms() + PROVE_MS;
        if (atomic_load(&st->ended)) { /* for an event that was on its way */
            sh->failed = false;
            stream_ask_no_more(st);
            (void)pthread_mutex_lock(&s->lock);
            (void)pthread_cond_broadcast(&s->prepared);
            (void)pthread_mutex_unlock(&s->lock);
        } else if (presence_look(s) && presence_look_at_stream(st)) {
            sh->failed = true;
            writable_fail(s, e.text);
        }
        return;
    }
    if (sh->filling != NULL) {
        return;
    }
    publish(sh, g);
    sh->failed = false;
    sh->gave = false;
    writable_pass(s);
    stats_record(s->prepare_time, clock_mono_ns() - sh->prepare_ns);
}

/* Consumers wake the housekeeper when they release something. */
static void note_delivered(struct shard *sh)
{
    struct spool *s = sh->stream->spool;
    uint64_t needed, end;

    (void)pthread_mutex_lock(&s->lock);
    needed = shard_awaited(sh);
    end = shard_end(sh);
    (void)pthread_mutex_unlock(&s->lock);
    /* Without a sink no request waits now, but the next one may. */
    needed = needed < end ? needed : end;
    if (needed > atomic_load(&sh->delivered) + 1) {
        atomic_store(&sh->delivered, needed - 1);
        housekeeper_wake_writer(sh);
    }
}

static void write_back(struct shard *sh)
{
    for (struct segment *g = sh->segments; g != NULL; g = g->next) {
        uint64_t end = tail_end(atomic_load(&g->tail));

        if (g->fd >= 0 && (end >= g->written_back + WRITE_BACK_BYTES ||
                           (atomic_load(&g->sealed) && end > g->written_back))) {
            (void)sync_file_range(g->fd, (off_t)g->written_back,
                                  (off_t)(end - g->written_back),
                                  SYNC_FILE_RANGE_WRITE);
            g->written_back = end;
        }
    }
}

/* A backlog is no reason to run out of descriptors: a segment that is full and on its
 * way to the disk is shut. Readers open it for themselves. */
static void shut_full(struct shard *sh)
{
    for (struct segment *g = sh->segments; g != NULL; g = g->next) {
        uint64_t tail = atomic_load(&g->tail);

        if (g->fd >= 0 && atomic_load(&g->sealed) &&
            (atomic_load(&g->poisoned) ||
             (atomic_load(&sh->stream->synced) ? atomic_load(&g->synced_tail) == tail
                                               : g->written_back == tail_end(tail)))) {
            segment_shut(g);
        }
    }
}

/* ---- the thread ---- */

/* The stream's open shards. Only this thread takes shards out of the list, so
 * that they stay while it works on them. */
static uint32_t open_shards(struct stream *st, struct shard **out, uint32_t max)
{
    struct spool *s = st->spool;
    uint32_t n = 0;

    (void)pthread_mutex_lock(&s->lock);
    for (struct shard *sh = st->shards; sh != NULL && n < max; sh = sh->next) {
        if (sh->opened) {
            out[n++] = sh;
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    return n;
}

bool housekeeper_syncs(const struct shard *sh)
{
    return atomic_load(&sh->stream->synced) ||
           atomic_load(&sh->wanted) > atomic_load(&sh->synced);
}

/* Of the shards that are open: how many there are, and how many the disk fails. */
struct looked {
    uint32_t n, n_failed;
};

static void keep_stream(struct stream *st, struct shard **shards, struct looked *out)
{
    uint32_t n = open_shards(st, shards, st->spool->conf.n_workers);

    for (uint32_t i = 0; i < n; i++) {
        prepare(shards[i]);
    }
    unwritten_look(st, shards, n);
    for (uint32_t i = 0; i < n; i++) {
        if (housekeeper_syncs(shards[i])) {
            sync_shard(shards[i]);
        } else {
            write_back(shards[i]);
        }
        shut_full(shards[i]);
        if (atomic_load(&st->delivered)) {
            note_delivered(shards[i]);
        }
        out->n_failed += shards[i]->failed;
    }
    if (presence_of_stream(st)) { /* else those names may be another spool's */
        stream_recover_unknown(st);
        undeleted_retry(st);
        if (atomic_load(&st->spool->reclaim)) {
            reclaim_stream(st);
        }
        drop_warm(st, atomic_load(&st->freed) ? -1 : WARM_MS, false);
    }
    stats_set(st->bytes_gauge, atomic_load(&st->used));
    stats_set(st->limit_gauge, atomic_load(&st->max_bytes));
    out->n += n;
}

/* A disk that does not answer leaves the figures as they are. */
static void look_at_disk(struct spool *s)
{
    uint64_t now = clock_mono_ns();
    struct statvfs st;

    if (s->disk_looked_ns != 0 && now - s->disk_looked_ns < DISK_LOOK_NS) {
        return;
    }
    s->disk_looked_ns = now;
    presence_look_at_all(s);
    if (statvfs(s->dir, &st) == 0) {
        stats_set(s->disk_free, (uint64_t)st.f_bavail * st.f_frsize);
        /* As df has its share: what is kept for root is no part of it. */
        stats_set(s->disk_bytes,
                  (uint64_t)(st.f_blocks - st.f_bfree + st.f_bavail) * st.f_frsize);
    }
}

static void wait(struct spool *s)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += LOOK_MS * 1000000L;
    t.tv_sec += t.tv_nsec / 1000000000L;
    t.tv_nsec %= 1000000000L;
    while (sem_clockwait(&s->wake, CLOCK_MONOTONIC, &t) != 0 && errno == EINTR) {
    }
    atomic_store(&s->woken, false);
}

/* Also where the shard that it failed needs no segment any more; but that its workers have
 * ended proves nothing. */
static bool is_well(const struct spool *s, const struct looked *l)
{
    const uint32_t n = atomic_load(&s->n_streams);
    bool ended = true;

    for (uint32_t i = 0; i < n; i++) {
        ended &= atomic_load(&s->streams[i]->ended);
    }
    return l->n_failed == 0 && (l->n > 0 || ended);
}

static void *run(void *arg)
{
    struct spool *s = arg;
    struct shard **shards = mem_alloc(s->conf.n_workers * sizeof *shards);

    (void)pthread_setname_np(pthread_self(), "housekeeping");
    while (!atomic_load(&s->stopping)) {
        uint32_t n = atomic_load(&s->n_streams);
        struct looked looked = {0, 0};

        presence_look_as_asked(s);
        shortage_look(s);
        for (uint32_t i = 0; i < n; i++) {
            keep_stream(s->streams[i], shards, &looked);
        }
        if (is_well(s, &looked)) {
            writable_pass(s);
        }
        look_at_disk(s);
        wait(s);
    }
    presence_look_at_all(s);
    spool_put_away(s);
    free(shards);
    latch_open(&s->housekeeper_ended);
    return NULL;
}

bool housekeeper_start(struct spool *s, struct err *e)
{
    sigset_t all, before;
    int rc;

    latch_init(&s->housekeeper_ended);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&s->housekeeper, NULL, run, s);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        return err_errno(e, rc, "can't start the housekeeping thread");
    }
    s->housekeeper_runs = true;
    return true;
}

bool housekeeper_stop(struct spool *s, uint64_t until_ns)
{
    if (s->housekeeper_runs) {
        atomic_store(&s->stopping, true);
        (void)sem_post(&s->wake);
        if (latch_wait(&s->housekeeper_ended, until_ns)) {
            (void)pthread_join(s->housekeeper, NULL);
            latch_fini(&s->housekeeper_ended);
            s->housekeeper_runs = false;
        }
    }
    return !s->housekeeper_runs;
}
