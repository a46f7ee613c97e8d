#include "server/index/indexer.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/mem.h"
#include "index/names.h"
#include "plan/plan.h"
#include "server/index/internal.h"

#define LOOK_NS 100000000ull   /* between two looks at the spool */
#define AGAIN_NS 1000000000ull /* between two tries of a folder that can't be used */
#define TELL_NS 60000000000ull /* between two log lines of it */
#define END_NS 500000000ull  /* of writing at the end, before what can be left out is */
#define TURN_NS 200000000ull /* of reading, before the other work is looked at */

/* An account that the disk does not give is waited for; then it is taken for damaged. */
enum { ACCOUNT_TRIES = 10 };

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
    for (struct index_path *p = x->paths, *next; p != NULL; p = next) {
        next = p->next;
        ids_free(p->ids);
        free(p);
    }
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

struct index_path *index_path_get(struct indexer *x, const char *field)
{
    struct index_path *p = x->paths;
    struct ids *ids;
    struct err e;

    while (p != NULL && strcmp(p->field, field) != 0) {
        p = p->next;
    }
    if (p != NULL || (ids = ids_new(field, &e)) == NULL) {
        return p == NULL ? x->path : p; /* of a damaged file: no policy has it */
    }
    p = mem_zalloc(sizeof *p);
    p->ids = ids;
    p->hash = plan_key_hash(field);
    (void)snprintf(p->field, sizeof p->field, "%s", field);
    p->next = x->paths;
    x->paths = p;
    return p;
}

/* True: another policy's path is that of now. */
static bool follow(struct indexer *x)
{
    const struct index_path *before = x->path;
    char now[INDEX_FIELD_MAX];

    (void)pthread_mutex_lock(&x->lock);
    memcpy(now, x->fields.list[x->fields.n - 1].path, sizeof now);
    (void)pthread_mutex_unlock(&x->lock);
    x->path = index_path_get(x, now);
    return x->path != before;
}

/* ---- the beginning ---- */

static int64_t newest(const struct indexer *x)
{
    int64_t ms = 0;

    for (uint32_t i = 0; i < x->n_files; i++) {
        ms = x->files[i].newest_ms > ms ? x->files[i].newest_ms : ms;
    }
    return ms;
}

/* Notes in the account that the index is on, or off (field NULL), from now on. */
static bool begin(struct indexer *x, const char *field, struct err *e)
{
    const struct spool_consumer_conf consumer = {
        .name = "index", .passive = true, .wake = on_wake};

    if (!index_list(x, e) ||
        !indexer_account_read(x, x->n_begins++ >= ACCOUNT_TRIES, e)) {
        return false;
    }
    x->consumer = spool_consumer_open(x->spool, x->stream, &consumer);
    indexer_account_begin(x, field);
    return true;
}

/* A folder that can't be used stops no event: what leaves the spool meanwhile is named as
 * a hole later. */
static void try_begin(struct indexer *x)
{
    const uint64_t now = clock_mono_ns();
    char quoted[ERR_TEXT_MAX + 16];
    struct err e;

    (void)follow(x);
    x->begin_tried_ns = now;
    x->begun = folder_make(x->dir, &e) && begin(x, x->path->field, &e);
    if (x->begun) {
        keyclock_init(&x->clock, newest(x), clock_wall_ms(), (int64_t)(now / 1000000));
        index_drop_aside(x);
    } else if (x->begin_told_ns == 0) {
        indexer_account_mark(x);
    }
    if (x->begun && x->begin_told_ns != 0) {
        log_write(LOG_INFO, "index_opened", "stream=%s", x->name);
    } else if (!x->begun &&
               (x->begin_told_ns == 0 || now - x->begin_told_ns > TELL_NS)) {
        x->begin_told_ns = now;
        log_write(LOG_ERROR, "index_not_opened", "stream=%s why=%s", x->name,
                  log_quote(quoted, sizeof quoted, e.text));
    }
}

/* ---- the thread ---- */

static void finish(struct indexer *x)
{
    const uint64_t began = clock_mono_ns();

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
}

static void *run(void *arg)
{
    struct indexer *x = arg;
    struct err e;

    (void)pthread_setname_np(pthread_self(), "index");
    while (!latch_wait(&x->stopped, clock_mono_ns() + LOOK_NS)) {
        if (!spool_stream_in_place(x->spool, x->stream, &e)) {
            continue; /* those files are another spool's */
        }
        if (!x->begun) {
            if (clock_mono_ns() - x->begin_tried_ns >= AGAIN_NS) {
                try_begin(x);
            }
            continue;
        }
        if (follow(x)) {
            indexer_account_field(x);
        }
        index_read(x, clock_mono_ns() + TURN_NS);
        index_try_again(x, false);
        indexer_account_again(x);
        index_trim(x);
    }
    if (x->begun && spool_stream_in_place(x->spool, x->stream, &e)) {
        finish(x);
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

static struct indexer *indexer_new(const struct indexer_conf *conf)
{
    struct indexer *x = mem_zalloc(sizeof *x);

    x->spool = conf->spool;
    x->name = mem_strdup(conf->name);
    x->dir = mem_strdup(conf->dir);
    x->stream = conf->stream;
    x->prints = conf->prints;
    x->known = conf->known;
    x->file_bytes = conf->segment_bytes / 2;
    (void)pthread_mutex_init(&x->lock, NULL);
    latch_init(&x->stopped);
    latch_init(&x->ended);
    publish(x);
    return x;
}

void indexer_off(const struct indexer_conf *conf)
{
    struct indexer *x = indexer_new(conf);
    char quoted[ERR_TEXT_MAX + 16];
    struct err e;

    if (!begin(x, NULL, &e)) {
        indexer_account_mark(x);
        log_write(LOG_WARN, "index_not_noted", "stream=%s why=%s", x->name,
                  log_quote(quoted, sizeof quoted, e.text));
    }
    indexer_free(x);
}

/* True: what is noted on disk is not so. */
static bool set_field(struct indexer *x, uint64_t policy8, const char *field)
{
    const struct index_fields *f = &x->fields;
    const char *known = index_fields_of(f, policy8);

    if (known != NULL && known == f->list[f->n - 1].path && strcmp(known, field) == 0) {
        return !x->fields_noted;
    }
    (void)pthread_mutex_lock(&x->lock);
    index_fields_note(&x->fields, policy8, field);
    (void)pthread_mutex_unlock(&x->lock);
    return true;
}

void indexer_keep(struct indexer *x, int64_t keep_ms, uint64_t max_bytes)
{
    atomic_store(&x->keep_ms, keep_ms);
    atomic_store(&x->max_bytes, max_bytes);
}

/* Before the policy stores an event: where that has its id is on disk then. */
static bool set(struct indexer *x, const struct indexer_settings *s, bool *noted,
                struct err *e)
{
    struct ids *ids = ids_new(s->field, e);

    if (ids == NULL) {
        return false;
    }
    ids_free(ids);
    indexer_keep(x, s->keep_ms, s->max_bytes);
    *noted = !set_field(x, s->policy8, s->field);
    return true;
}

struct indexer *indexer_open(const struct indexer_conf *conf, struct err *e)
{
    struct indexer *x = indexer_new(conf);
    char fields[PATH_MAX];
    bool noted;

    (void)snprintf(fields, sizeof fields, "%s/" INDEX_FIELD_FILE, x->dir);
    index_fields_read(&x->fields, fields);
    if (!set(x, &conf->settings, &noted, e)) {
        indexer_free(x);
        return NULL;
    }
    try_begin(x);
    x->fields_noted = index_note_fields(x);
    if (!start(x, e)) {
        indexer_free(x);
        return NULL;
    }
    return x;
}

bool indexer_apply(struct indexer *x, const struct indexer_settings *s, struct err *e)
{
    bool noted;

    if (!set(x, s, &noted, e)) {
        return false;
    }
    if (!noted) {
        x->fields_noted = index_note_fields(x);
    }
    return true;
}

void indexer_hide(struct indexer *x, bool hidden)
{
    stats_hide(&x->series, hidden);
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
