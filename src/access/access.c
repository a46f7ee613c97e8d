#include "access/access.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "access/file.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/latch.h"
#include "base/log.h"
#include "base/mem.h"

enum { CHUNK_BYTES = 64 << 10 }; /* the least max_size: no file gets larger */

#define TURN_NS 20000000ull   /* how long a line may wait for its write */
#define LOOK_NS 1000000000ull /* looks whether the file still has its name */
#define TELL_NS 10000000000ull
/* How long lines are written to the next look at what is wanted, and how long the reader of a
 * pipe is waited for once something is: a reload, SIGUSR1, the end. */
#define WRITE_NS 1000000000ull

struct access {
    uint32_t n_rings;
    struct ring **rings;
    stats_cell **behind; /* of the rings: lines that did not fit */
    stats_cell *failed, *written;
    bool running;
    struct latch ended;
    /* Under the lock: what the thread is to do. */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct access_conf wanted; /* path: owned; NULL: no file */
    bool fresh;                /* wanted is not followed yet */
    bool reopen, stop;
    /* The thread's own. */
    struct access_file file;
    uint32_t turn; /* the ring that is written first */
    uint64_t looked_ns, told_ns, unmoved_ns;
    struct err why;
    _Atomic uint64_t told_lines, in_hand; /* also for who waited in vain for its end */
    /* No reader is waited for after it; 0: nothing is wanted. Set under the lock. */
    _Atomic uint64_t until_ns;
    char chunk[CHUNK_BYTES];
};

static stats_cell *dropped_as(const char *reason)
{
    char label[64];

    (void)stats_label_pair(label, sizeof label, "reason", reason);
    return stats_counter("sluice_access_log_dropped_total",
                         "Lines that the access log lacks: the writer was behind, or "
                         "the file could not be written (failed).",
                         label);
}

struct access *access_new(uint32_t n_workers)
{
    struct access *a = mem_zalloc(sizeof *a);

    a->n_rings = n_workers;
    a->rings = mem_zalloc(n_workers * sizeof *a->rings);
    a->behind = mem_zalloc(n_workers * sizeof *a->behind);
    for (uint32_t i = 0; i < n_workers; i++) {
        a->behind[i] = dropped_as("behind");
        a->rings[i] = ring_new(a->behind[i]);
    }
    a->failed = dropped_as("failed");
    a->written = stats_counter("sluice_access_log_lines_total",
                               "Lines written to the access log.", "");
    a->file.fd = -1;
    a->file.until_ns = &a->until_ns;
    latch_init(&a->ended);
    (void)pthread_mutex_init(&a->lock, NULL);
    latch_condition(&a->changed);
    return a;
}

struct ring *access_ring(struct access *a, uint32_t worker)
{
    return a->rings[worker];
}

bool access_try(const struct access_conf *c, struct err *e)
{
    struct access_file f;
    bool ok = access_file_open(&f, c->path, c->max_bytes, c->keep, e);

    access_file_close(&f);
    return ok;
}

/* ---- the thread ---- */

static uint64_t n_lines(const char *p, size_t n)
{
    uint64_t lines = 0;

    for (size_t i = 0; i < n; i++) {
        lines += p[i] == '\n';
    }
    return lines;
}

static void write_chunk(struct access *a, size_t n)
{
    uint64_t lines = n_lines(a->chunk, n);

    atomic_store(&a->in_hand, lines);
    if (a->file.path != NULL && access_file_write(&a->file, a->chunk, n, &a->why)) {
        stats_add(a->written, lines);
    } else {
        uint64_t stayed = a->file.path != NULL ? n_lines(a->chunk, a->file.stayed) : 0;

        stats_add(a->written, stayed);
        stats_add(a->failed, lines - stayed);
    }
    atomic_store(&a->in_hand, 0);
}

/* False: it took too long, and lines may be left. */
static bool write_ring(struct access *a, struct ring *r, uint64_t until_ns)
{
    size_t n;

    /* Not for ever: a worker goes on putting, and others wait. */
    for (int turn = 0; turn < 2 * RING_BYTES / CHUNK_BYTES &&
                       (n = ring_take(r, a->chunk, CHUNK_BYTES)) > 0;
         turn++) {
        write_chunk(a, n);
        if (clock_mono_ns() >= until_ns) {
            return false;
        }
    }
    return true;
}

/* last: also what no reader takes in time is taken from the workers, and counted. */
static void write_all(struct access *a, bool last)
{
    uint64_t until_ns = clock_mono_ns() + WRITE_NS;

    for (uint32_t i = 0; i < a->n_rings; i++) {
        if (!write_ring(a, a->rings[(a->turn + i) % a->n_rings],
                        last ? UINT64_MAX : until_ns)) {
            break;
        }
    }
    a->turn++;
}

static uint64_t lost(const struct access *a)
{
    uint64_t n = atomic_load_explicit(a->failed, memory_order_relaxed);

    for (uint32_t i = 0; i < a->n_rings; i++) {
        n += atomic_load_explicit(a->behind[i], memory_order_relaxed);
    }
    return n;
}

static void tell_lost(uint64_t lines, const char *why)
{
    char quoted[ERR_TEXT_MAX + 16];

    log_write(LOG_WARN, "access_log", "status=dropped lines=%lu why=%s",
              (unsigned long)lines, log_quote(quoted, sizeof quoted, why));
}

/* Dropped lines are in the log: seldom, and at the end of the process the rest. */
static void tell(struct access *a, uint64_t now, bool last)
{
    uint64_t n = lost(a), told = atomic_load(&a->told_lines);

    if (n == told || (!last && a->told_ns != 0 && now - a->told_ns < TELL_NS)) {
        return;
    }
    tell_lost(n - told, a->why.text[0] != '\0'
                            ? a->why.text
                            : "the disk takes fewer lines than the workers write");
    a->why.text[0] = '\0';
    atomic_store(&a->told_lines, n);
    a->told_ns = now;
}

/* A file that grows beyond its size is in the log, as seldom. */
static void tell_unmoved(struct access *a, uint64_t now)
{
    char quoted[ERR_TEXT_MAX + 16];
    struct err e;

    if (a->file.unmoved == 0 || (a->unmoved_ns != 0 && now - a->unmoved_ns < TELL_NS)) {
        return;
    }
    a->unmoved_ns = now;
    (void)err_errno(&e, a->file.unmoved, "can't rename the access log %s",
                    a->file.path);
    log_write(LOG_WARN, "access_log", "status=not_rotated bytes=%lu why=%s",
              (unsigned long)a->file.bytes, log_quote(quoted, sizeof quoted, e.text));
}

/* The lines that came before it are in the file of before. */
static void follow(struct access *a, struct access_conf *c)
{
    if (c->path == NULL) {
        access_file_close(&a->file);
    } else if (!access_file_replace(&a->file, c->path, c->max_bytes, c->keep,
                                    &a->why)) {
        char quoted[ERR_TEXT_MAX + 16];

        log_write(LOG_ERROR, "access_log", "status=failed why=%s",
                  log_quote(quoted, sizeof quoted, a->why.text));
    }
    free((char *)c->path);
}

static void *run(void *arg)
{
    struct access *a = arg;
    bool stop = false;

    while (!stop) {
        struct access_conf next = {NULL, 0, 0};
        bool fresh, reopen;
        uint64_t now;

        (void)pthread_mutex_lock(&a->lock);
        while (!a->stop && !a->fresh && !a->reopen &&
               latch_sleep(&a->changed, &a->lock,
                           clock_mono_ns() +
                               (a->file.path == NULL ? 50 * TURN_NS : TURN_NS))) {
        }
        fresh = a->fresh;
        reopen = a->reopen;
        stop = a->stop;
        a->fresh = a->reopen = false;
        if (!stop) { /* of a reload: for the lines that the file of before still gets */
            atomic_store(&a->until_ns, fresh ? clock_mono_ns() + WRITE_NS : 0);
        }
        if (fresh) {
            next = a->wanted;
            a->wanted.path = NULL;
        }
        (void)pthread_mutex_unlock(&a->lock);
        now = clock_mono_ns();
        if (reopen) {
            access_file_reopen(&a->file);
        } else if (now - a->looked_ns >= LOOK_NS) {
            a->looked_ns = now;
            access_file_look(&a->file);
        }
        if (fresh && a->file.path == NULL) {
            follow(a, &next); /* before the first lines */
            fresh = false;
        }
        write_all(a, stop);
        if (fresh) {
            follow(a, &next);
        }
        tell(a, now, stop);
        tell_unmoved(a, now);
    }
    access_file_close(&a->file);
    latch_open(&a->ended);
    return NULL;
}

static bool start(struct access *a, struct err *e)
{
    sigset_t all, before;
    pthread_attr_t attr;
    pthread_t thread;
    int rc;

    (void)sigfillset(&all);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&thread, &attr, run, a);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    a->running = rc == 0;
    return rc == 0 || err_errno(e, rc, "can't start the access log's thread");
}

/* ---- the supervisor ---- */

/* Under the lock. */
static void want(struct access *a)
{
    atomic_store(&a->until_ns, clock_mono_ns() + WRITE_NS);
    (void)pthread_cond_signal(&a->changed);
}

bool access_follow(struct access *a, const struct access_conf *c, struct err *e)
{
    if (!a->running && (c == NULL || !start(a, e))) {
        return c == NULL;
    }
    (void)pthread_mutex_lock(&a->lock);
    free((char *)a->wanted.path);
    a->wanted = c == NULL ? (struct access_conf){NULL, 0, 0} : *c;
    a->wanted.path = c == NULL ? NULL : mem_strdup(c->path);
    a->fresh = true;
    want(a);
    (void)pthread_mutex_unlock(&a->lock);
    return true;
}

void access_reopen(struct access *a)
{
    (void)pthread_mutex_lock(&a->lock);
    a->reopen = true;
    want(a);
    (void)pthread_mutex_unlock(&a->lock);
}

/* The thread hangs: those that it has, those that wait for it, and those not told. */
static void tell_left(struct access *a)
{
    uint64_t n = lost(a) - atomic_load(&a->told_lines) + atomic_load(&a->in_hand);

    for (uint32_t i = 0; i < a->n_rings; i++) {
        n += ring_lines(a->rings[i]);
    }
    if (n > 0) {
        tell_lost(n, "the process ends while the disk takes no line");
    }
}

bool access_end(struct access *a, uint64_t until_ns)
{
    if (a == NULL || !a->running) {
        return true;
    }
    (void)pthread_mutex_lock(&a->lock);
    a->stop = true;
    want(a);
    (void)pthread_mutex_unlock(&a->lock);
    if (!latch_wait(&a->ended, until_ns)) {
        tell_left(a);
        return false;
    }
    return true;
}

void access_free(struct access *a)
{
    if (a == NULL) {
        return;
    }
    for (uint32_t i = 0; i < a->n_rings; i++) {
        ring_free(a->rings[i]);
    }
    latch_fini(&a->ended);
    (void)pthread_cond_destroy(&a->changed);
    (void)pthread_mutex_destroy(&a->lock);
    free((char *)a->wanted.path);
    free(a->rings);
    free(a->behind);
    free(a);
}
