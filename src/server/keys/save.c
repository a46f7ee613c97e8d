/* Keys into the keystore, once their events are on stable storage; and the threads. */
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "keys/keyclock.h"
#include "server/keys/internal.h"

#define LOOK_NS 50000000ull      /* between two looks at the spool */
#define SAVE_NS 10000000000ull   /* the longest that a key waits */
#define AGAIN_NS 1000000000ull   /* between two tries of a disk that refused */
#define DURABLE_NS 2000000000ull /* for the events to be synced */
#define TELL_NS 60000000000ull   /* between two log lines of it */
#define MERGE_LOOK_NS 1000000000ull
#define MERGE_AGAIN_MAX_NS 64000000000ull /* after merges that failed: 1 s, 2 s, ... */

/* ---- save ---- */

static bool make_durable(struct collector *c, struct reader *r, struct err *e)
{
    const struct spool_pos end = {r->epoch, r->worker, r->next};
    uint64_t until = clock_mono_ns() + DURABLE_NS;

    if (r->cursor == NULL || r->next == r->saved) {
        return true;
    }
    for (;;) {
        switch (spool_durable(c->consumer, end)) {
        case SPOOL_DURABLE:
            return true;
        case SPOOL_DURABLE_ASK:
            return spool_make_durable(c->consumer, r->epoch, r->worker, e);
        case SPOOL_DURABLE_SOON:
            break;
        }
        if (clock_mono_ns() > until) {
            return err_set(e, "the events of stream \"%s\" are not synced yet",
                           c->name);
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

/* By a sync that failed. */
static bool is_lost(const struct collector *c, const struct unsaved *u)
{
    const struct reader *r = &c->readers[u->reader];

    return r->live &&
           spool_lost(c->consumer, (struct spool_pos){r->epoch, r->worker, u->seq});
}

/* As the keystore wants them; those of events that a failed sync has lost are left out. */
static struct key *keys_of(struct collector *c, uint32_t *n)
{
    struct key *keys = mem_alloc((c->n_unsaved + 1) * sizeof *keys);

    *n = 0;
    for (uint32_t i = 0; i < c->n_unsaved; i++) {
        struct unsaved *u = &c->unsaved[i];

        u->lost = is_lost(c, u);
        if (!u->lost) {
            keys[(*n)++] = (struct key){.a = u->hash.hash[1],
                                        .b = (uint32_t)u->hash.hash[0],
                                        .time_s = (uint32_t)(u->wall_ms / 1000)};
        }
    }
    return keys;
}

static struct keys_place *places_of(const struct collector *c, uint32_t *n)
{
    uint32_t from = c->n_readers > MANIFEST_PLACES_MAX / 2
                        ? c->n_readers - MANIFEST_PLACES_MAX / 2
                        : 0; /* of the oldest shards: read once more, to no effect */
    struct keys_place *places = mem_alloc((c->n_readers + 1) * sizeof *places);

    *n = 0;
    for (uint32_t i = from; i < c->n_readers; i++) {
        const struct reader *r = &c->readers[i];

        places[(*n)++] = (struct keys_place){r->epoch, r->worker, r->next};
    }
    return places;
}

/* The memories may forget what every request finds on disk now, and the spool may have
 * its segments back. */
static void let_go(struct collector *c)
{
    (void)pthread_mutex_lock(&c->lock);
    for (uint32_t k = 0; k < c->n_unsaved; k++) {
        const struct unsaved *u = &c->unsaved[k];

        for (uint32_t i = 0; i < c->n_seen; i++) {
            if (u->lost) {
                seen_lost(c->seen[i], &u->hash, collector_stored_ms(u));
            } else {
                seen_saved(c->seen[i], &u->hash);
            }
        }
    }
    c->n_unsaved = 0;
    (void)pthread_mutex_unlock(&c->lock);
    for (uint32_t i = 0; i < c->n_readers; i++) {
        struct reader *r = &c->readers[i];

        r->saved = r->next;
        if (r->cursor != NULL) {
            spool_cursor_release(r->cursor, r->next);
        }
        if (r->cursor != NULL && r->ended) {
            spool_cursor_close(r->cursor);
            r->cursor = NULL;
        }
    }
}

static bool is_behind(const struct collector *c)
{
    for (uint32_t i = 0; i < c->n_readers; i++) {
        if (c->readers[i].next != c->readers[i].saved) {
            return true;
        }
    }
    return c->n_unsaved > 0;
}

bool collector_save(struct collector *c, struct err *e)
{
    struct keys_place *places;
    uint32_t n_keys, n_places;
    struct key *keys;
    bool ok = true;

    if (!is_behind(c)) {
        let_go(c); /* shards that have ended */
        return true;
    }
    if (!spool_in_place(c->spool, e)) {
        return false; /* those files are another spool's */
    }
    for (uint32_t i = 0; ok && i < c->n_readers; i++) {
        ok = make_durable(c, &c->readers[i], e);
    }
    if (!ok) {
        return false;
    }
    keys = keys_of(c, &n_keys);
    places = places_of(c, &n_places);
    ok = keystore_add(c->keys, keys, n_keys, places, n_places, e);
    if (ok) {
        let_go(c);
    }
    free(places);
    free(keys);
    return ok;
}

/* ---- threads ---- */

static void tell(struct collector *c, bool ok, const struct err *e)
{
    char quoted[ERR_TEXT_MAX + 16];
    uint64_t now = clock_mono_ns();

    if (ok && c->failing) {
        log_write(LOG_INFO, "dedup_saved", "stream=%s", c->name);
    } else if (!ok && (!c->failing || now - c->told_ns > TELL_NS)) {
        c->told_ns = now;
        log_write(LOG_ERROR, "dedup_not_saved", "stream=%s unsaved=%u why=%s", c->name,
                  c->n_unsaved, log_quote(quoted, sizeof quoted, e->text));
    }
    c->failing = !ok;
}

static bool is_due(const struct collector *c, uint64_t now)
{
    return now - c->saved_ns >= (c->failing                     ? AGAIN_NS
                                 : c->n_unsaved >= UNSAVED_SAVE ? 0
                                                                : SAVE_NS);
}

static void complete(struct collector *c)
{
    const bool before = c->incomplete;

    collector_complete(c);
    if (before && !c->incomplete) {
        log_write(LOG_INFO, "dedup_read", "stream=%s", c->name);
    }
}

static void *save(void *arg)
{
    struct collector *c = arg;
    struct err e;

    c->saved_ns = clock_mono_ns();
    while (!latch_wait(&c->stopped, clock_mono_ns() + LOOK_NS)) {
        collector_read(c, UNSAVED_MAX);
        complete(c);
        collector_detach(c);
        if (is_due(c, clock_mono_ns())) {
            bool ok = collector_save(c, &e);

            collector_show(c);
            tell(c, ok, &e);
            c->saved_ns = clock_mono_ns();
            complete(c);
        }
        collector_show(c);
    }
    collector_read(c, UNSAVED_MAX);
    tell(c, collector_save(c, &e), &e);
    latch_open(&c->saver_ended);
    return NULL;
}

/* Tells when keys stay because the wall clock is not believed, and when it is. */
static void tell_clock(struct collector *c, const struct keyclock *k, int64_t wall_ms,
                       bool *told)
{
    if (k->ahead && !*told && keystore_has_over(c->keys, (uint32_t)(wall_ms / 1000))) {
        *told = true;
        log_write(LOG_WARN, "dedup_clock_ahead", "stream=%s ahead_s=%lld", c->name,
                  (long long)(k->lead_ms / 1000));
    } else if (!k->ahead && *told) {
        *told = false;
        log_write(LOG_INFO, "dedup_clock_believed", "stream=%s", c->name);
    }
}

static uint32_t merge_time(struct collector *c, struct keyclock *k, bool *told)
{
    const int64_t wall_ms = clock_wall_ms();
    const int64_t now_ms =
        keyclock_now(k, wall_ms, (int64_t)(clock_mono_ns() / 1000000),
                     (int64_t)keystore_longest_s(c->keys) * 1000);

    tell_clock(c, k, wall_ms, told);
    return (uint32_t)(now_ms / 1000);
}

static void *merge(void *arg)
{
    struct collector *c = arg;
    uint64_t told_ns = 0, wait_ns = MERGE_LOOK_NS;
    bool told_clock = false;
    struct keyclock clock;

    keyclock_init(&clock, (int64_t)keystore_clock(c->keys) * 1000, clock_wall_ms(),
                  (int64_t)(clock_mono_ns() / 1000000));
    while (!atomic_load(&c->stop)) {
        struct err e;
        enum keystore_merged r =
            spool_in_place(c->spool, &e)
                ? keystore_merge(c->keys, merge_time(c, &clock, &told_clock), &c->stop,
                                 &e)
                : KEYSTORE_FAILED;
        uint64_t now = clock_mono_ns();
        char quoted[ERR_TEXT_MAX + 16];

        if (r == KEYSTORE_FAILED && !atomic_load(&c->stop) &&
            (told_ns == 0 || now - told_ns > TELL_NS)) {
            told_ns = now;
            log_write(LOG_WARN, "dedup_not_merged", "stream=%s why=%s", c->name,
                      log_quote(quoted, sizeof quoted, e.text));
        }
        wait_ns = r != KEYSTORE_FAILED           ? MERGE_LOOK_NS
                  : wait_ns < MERGE_AGAIN_MAX_NS ? 2 * wait_ns
                                                 : wait_ns;
        if (r != KEYSTORE_MERGED) {
            (void)latch_wait(&c->stopped, clock_mono_ns() + wait_ns);
        }
    }
    latch_open(&c->merger_ended);
    return NULL;
}

static bool start(struct collector *c, pthread_t *thread, void *(*run)(void *),
                  struct err *e)
{
    sigset_t all, before;
    int rc;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(thread, NULL, run, c);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 ||
           err_errno(e, rc, "stream \"%s\": no thread for its keys", c->name);
}

bool collector_start(struct collector *c, struct err *e)
{
    c->saver_runs = start(c, &c->saver, save, e);
    c->merger_runs = c->saver_runs && start(c, &c->merger, merge, e);
    return c->merger_runs;
}

bool collector_close(struct collector *c, uint64_t until_ns)
{
    atomic_store(&c->stop, true);
    latch_open(&c->stopped);
    if ((c->saver_runs && !latch_wait(&c->saver_ended, until_ns)) ||
        (c->merger_runs && !latch_wait(&c->merger_ended, until_ns))) {
        return false;
    }
    if (c->saver_runs) {
        (void)pthread_join(c->saver, NULL);
    }
    if (c->merger_runs) {
        (void)pthread_join(c->merger, NULL);
    }
    collector_free(c);
    return true;
}
