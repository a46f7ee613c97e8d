#include "server/index/indexer.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/mem.h"
#include "plan/plan.h"
#include "server/index/internal.h"

#define LOOK_NS 100000000ull /* between two looks at the spool */
#define END_NS 500000000ull  /* of writing at the end, before what can be left out is */
#define TURN_NS 200000000ull /* of reading, before the other work is looked at */

static void on_wake(void *arg)
{
    (void)arg; /* it looks by itself, some times a second */
}

static void publish(struct indexer *x)
{
    struct stats_owner *before = stats_own(&x->series);
    char labels[160];

    (void)stats_label_pair(labels, sizeof labels, "stream", x->name);
    x->n_events =
        stats_counter("sluice_index_events_total",
                      "Events that the index of the stream has read.", labels);
    x->n_read = stats_counter(
        "sluice_index_read_events_total",
        "Events that the index has read from the spool, because their worker has not "
        "handed over their ids.",
        labels);
    x->n_dropped = stats_counter(
        "sluice_index_dropped_events_total",
        "Events that no index file has, because the disk did not take it.", labels);
    x->n_damaged = stats_counter("sluice_index_damaged_total",
                                 "Index files that were damaged at the start.", labels);
    x->bytes = stats_gauge("sluice_index_disk_bytes",
                           "Bytes of the stream's index files.", labels);
    (void)stats_own(before);
}

static void indexer_free(struct indexer *x)
{
    index_shut_readers(x);
    if (x->consumer != NULL) {
        spool_consumer_close(x->consumer);
    }
    for (uint32_t i = 0; i < x->n_pending; i++) {
        index_builder_free(x->pending[i].builder);
    }
    ids_free(x->ids);
    index_account_free(&x->account);
    stats_disown(&x->series);
    latch_fini(&x->ended);
    latch_fini(&x->stopped);
    (void)pthread_mutex_destroy(&x->lock);
    free(x->files);
    free(x->dir);
    free(x->name);
    free(x);
}

static void take_field(struct indexer *x, const char wanted[INDEX_FIELD_MAX])
{
    memcpy(x->field, wanted, sizeof x->field);
    x->field_hash = plan_key_hash(x->field);
}

/* Another field: files have ids of one. */
static void follow(struct indexer *x)
{
    char wanted[INDEX_FIELD_MAX];
    struct ids *ids;
    struct err e;

    (void)pthread_mutex_lock(&x->lock);
    memcpy(wanted, x->wanted, sizeof wanted);
    (void)pthread_mutex_unlock(&x->lock);
    if (strcmp(wanted, x->field) == 0 || (ids = ids_new(wanted, &e)) == NULL) {
        return;
    }
    for (uint32_t i = 0; i < x->n_readers; i++) {
        if (x->readers[i].builder != NULL && x->readers[i].field == NULL) {
            index_put(x, &x->readers[i]);
        }
    }
    ids_free(x->ids);
    x->ids = ids;
    take_field(x, wanted);
    index_note_field(x);
    indexer_account_field(x);
}

static void *run(void *arg)
{
    struct indexer *x = arg;
    uint64_t began;

    (void)pthread_setname_np(pthread_self(), "index");
    while (!latch_wait(&x->stopped, clock_mono_ns() + LOOK_NS)) {
        follow(x);
        index_read(x, clock_mono_ns() + TURN_NS);
        index_try_again(x, false);
        indexer_account_again(x);
        index_trim(x);
    }
    began = clock_mono_ns();
    index_read(x, began + TURN_NS);
    for (uint32_t i = 0; i < x->n_readers; i++) {
        if (x->readers[i].builder != NULL) {
            index_put(x, &x->readers[i]);
        }
    }
    index_try_again(x, true);
    /* A slow disk must not hold up the end; without this an epoch may be in doubt. */
    if (clock_mono_ns() - began < END_NS) {
        indexer_account_end(x);
    }
    latch_open(&x->ended);
    return NULL;
}

static bool start(struct indexer *x, struct err *e)
{
    sigset_t all, before;
    int rc;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&x->thread, NULL, run, x);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    x->runs = rc == 0;
    return x->runs ||
           err_errno(e, rc, "stream \"%s\": no thread for its index", x->name);
}

static int64_t newest(const struct indexer *x)
{
    int64_t ms = 0;

    for (uint32_t i = 0; i < x->n_files; i++) {
        ms = x->files[i].newest_ms > ms ? x->files[i].newest_ms : ms;
    }
    return ms;
}

static struct indexer *indexer_new(const struct indexer_conf *conf)
{
    struct indexer *x = mem_zalloc(sizeof *x);

    x->spool = conf->spool;
    x->name = mem_strdup(conf->name);
    x->dir = mem_strdup(conf->dir);
    x->stream = conf->stream;
    x->prints = conf->prints;
    x->file_bytes = conf->segment_bytes / 2;
    (void)pthread_mutex_init(&x->lock, NULL);
    latch_init(&x->stopped);
    latch_init(&x->ended);
    publish(x);
    return x;
}

/* Notes in the account that the index is on, or off (field NULL), from now on. */
static bool begin(struct indexer *x, const char *field, struct err *e)
{
    const struct spool_consumer_conf consumer = {
        .name = "index", .passive = true, .wake = on_wake};

    if (!index_list(x, e)) {
        return false;
    }
    x->consumer = spool_consumer_open(x->spool, x->stream, &consumer);
    indexer_account_begin(x, field);
    return true;
}

struct indexer *indexer_open(const struct indexer_conf *conf, struct err *e)
{
    struct indexer *x = indexer_new(conf);

    x->ids = ids_new(conf->settings.field, e);
    if (x->ids == NULL || !indexer_apply(x, &conf->settings, e) ||
        !folder_make(x->dir, e)) {
        indexer_free(x);
        return NULL;
    }
    take_field(x, x->wanted);
    index_note_field(x);
    if (!begin(x, x->field, e)) {
        indexer_free(x);
        return NULL;
    }
    keyclock_init(&x->clock, newest(x), clock_wall_ms(),
                  (int64_t)(clock_mono_ns() / 1000000));
    index_drop_aside(x);
    if (!start(x, e)) {
        indexer_free(x);
        return NULL;
    }
    return x;
}

void indexer_off(const struct indexer_conf *conf)
{
    struct indexer *x = indexer_new(conf);
    char quoted[ERR_TEXT_MAX + 16];
    struct err e;

    if (!begin(x, NULL, &e)) {
        log_write(LOG_WARN, "index_not_noted", "stream=%s why=%s", x->name,
                  log_quote(quoted, sizeof quoted, e.text));
    }
    indexer_free(x);
}

bool indexer_apply(struct indexer *x, const struct indexer_settings *s, struct err *e)
{
    struct ids *ids = ids_new(s->field, e);

    if (ids == NULL) {
        return false;
    }
    ids_free(ids);
    atomic_store(&x->keep_ms, s->keep_ms);
    atomic_store(&x->max_bytes, s->max_bytes);
    (void)pthread_mutex_lock(&x->lock);
    memset(x->wanted, 0, sizeof x->wanted);
    memcpy(x->wanted, s->field, strnlen(s->field, sizeof x->wanted - 1));
    (void)pthread_mutex_unlock(&x->lock);
    return true;
}

bool indexer_close(struct indexer *x, uint64_t until_ns)
{
    latch_open(&x->stopped);
    if (!latch_wait(&x->ended, until_ns)) {
        return false;
    }
    (void)pthread_join(x->thread, NULL);
    indexer_free(x);
    return true;
}
