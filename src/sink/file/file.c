/*
 * The file sink: one growing file a stream, of whole frames; rotated by size and age.
 * archive.h has the steps and the state after a crash.
 */
#include <ev.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/mem.h"
#include "sink/file/archive.h"
#include "sink/file/frame.h"
#include "sink/folders.h"
#include "sink/queue.h"
#include "sink/sink.h"
#include "stats/stats.h"

static const double AGE_LOOK_S = 0.2;

enum {
    OWNED_MAX = 4,
    PAUSE_FIRST_MS = 100, /* each try costs a record and its sync */
    PAUSE_MAX_MS = 5000
};

struct sink {
    struct sink_conf conf;
    char dir[3072];
    struct {
        char dir[3072]; /* "": a free place */
    } owned[OWNED_MAX]; /* in conf.folders: s->dir, and those before it */
    struct archive *
        *archives; /* of each stream that it has ever had: its last number */
    uint32_t n_archives;
    struct frame *frame;
    struct queue queue;
    ev_timer age;
    stats_cell *files, *bytes;
    char place[320]; /* of the batch that was written last */
};

/* ---- its folder ---- */

/* Makes the folder and takes it: two sinks in one would pick the same names. */
static bool take_folder(struct sink *s, const char *dir, struct err *e)
{
    const char *was = s->conf.plan->was;
    int free_at = -1;

    for (int i = 0; i < OWNED_MAX; i++) {
        if (strcmp(s->owned[i].dir, dir) == 0) {
            struct err ignored; /* its folder may have been removed */

            /* It may be noted by another spelling, which is about to be left. */
            (void)!folders_take(s->conf.folders, dir, s->conf.plan->name, was,
                                &ignored);
            return true;
        }
        free_at = s->owned[i].dir[0] == '\0' ? i : free_at;
    }
    if (free_at < 0) {
        return err_set(e, "its files still lie open in %d other folders", OWNED_MAX);
    }
    if (!folder_make(dir, e) ||
        !folders_take(s->conf.folders, dir, s->conf.plan->name, was, e)) {
        return false;
    }
    (void)snprintf(s->owned[free_at].dir, sizeof s->owned[free_at].dir, "%s", dir);
    return true;
}

/* Lets go of folders in which it has no file in hand; all: of every one. */
static void leave_folders(struct sink *s, bool all)
{
    for (int i = 0; i < OWNED_MAX; i++) {
        bool used = !all && strcmp(s->owned[i].dir, s->dir) == 0;

        for (uint32_t k = 0; k < s->n_archives; k++) {
            used |= !all && s->archives[k]->name[0] != '\0' &&
                    strcmp(s->archives[k]->dir, s->owned[i].dir) == 0;
        }
        if (!used && s->owned[i].dir[0] != '\0') {
            folders_leave(s->conf.folders, s->owned[i].dir, s->conf.plan->name);
            s->owned[i].dir[0] = '\0';
        }
    }
}

static bool folder_of(const struct sink_conf *conf, const struct sink_plan *plan,
                      char *out, size_t n, struct err *e)
{
    int k = plan->dir[0] == '/' ? snprintf(out, n, "%s", plan->dir)
                                : snprintf(out, n, "%s/%s", conf->data_dir, plan->dir);

    return k < (int)n || err_set(e, "the folder's path is too long");
}

static struct archive *archive_of(struct sink *s, const char *stream)
{
    struct archive *a;

    for (uint32_t i = 0; i < s->n_archives; i++) {
        if (strcmp(s->archives[i]->stream, stream) == 0) {
            return s->archives[i];
        }
    }
    a = mem_alloc(sizeof *a);
    archive_init(a, stream, s->dir, s->conf.spool_uuid);
    a->root = s->conf.data_dir;
    archive_move(a, s->dir);
    s->archives = mem_realloc(s->archives, (s->n_archives + 1) * sizeof *s->archives);
    s->archives[s->n_archives++] = a;
    return a;
}

/* ---- rotation ---- */

static bool seal(struct sink *s, struct archive *a, struct err *e)
{
    char name[sizeof a->name];
    uint64_t length = a->length;

    if (a->name[0] == '\0') {
        return true;
    }
    (void)snprintf(name, sizeof name, "%s", a->name);
    if (!archive_seal(a, *s->conf.journal, e)) {
        return false;
    }
    if (length > 0) {
        stats_add(s->files, 1);
        log_write(LOG_INFO, "archive", "sink=%s file=%s bytes=%lu status=sealed",
                  s->conf.plan->name, name, (unsigned long)length);
    }
    return true;
}

/* What is in the file counts whether it ends now or later: a failure is tried again, ever
 * less often, and told once for each file, which grows meanwhile. */
static void seal_or_tell(struct sink *s, struct archive *a)
{
    int64_t now_ms = (int64_t)(clock_mono_ns() / 1000000u);
    char quoted[ERR_TEXT_MAX + 16];
    struct err e;

    if (now_ms < a->again_mono_ms || seal(s, a, &e)) {
        return;
    }
    a->pause_ms = a->pause_ms == 0 ? PAUSE_FIRST_MS : 2 * a->pause_ms;
    a->pause_ms = a->pause_ms < PAUSE_MAX_MS ? a->pause_ms : PAUSE_MAX_MS;
    a->again_mono_ms = now_ms + a->pause_ms;
    if (!a->told) {
        a->told = true;
        log_write(LOG_WARN, "archive",
                  "sink=%s file=%s.part status=not_finished why=%s", s->conf.plan->name,
                  a->name, log_quote(quoted, sizeof quoted, e.text));
    }
}

/* Its age is over, or the policy names another folder by now. */
static bool has_ended(const struct sink *s, const struct archive *a)
{
    return a->name[0] != '\0' && (archive_age_ms(a) >= s->conf.plan->rotate_age_ms ||
                                  strcmp(a->dir, s->dir) != 0);
}

static void on_age(struct ev_loop *loop, ev_timer *t, int events)
{
    struct sink *s = OUTER(t, struct sink, age);

    (void)loop;
    (void)events;
    for (uint32_t i = 0; i < s->n_archives; i++) {
        if (has_ended(s, s->archives[i])) {
            seal_or_tell(s, s->archives[i]);
        }
    }
    leave_folders(s, false);
}

/* ---- batches ---- */

/* Ends a file that the next frame is not to go into. One that can't be finished grows on,
 * in its own form, if it may: the journal knows of one file only. */
static bool make_way(struct sink *s, struct archive *a, struct err *e)
{
    if (a->compress == s->conf.plan->compress && !has_ended(s, a)) {
        return true;
    }
    if (strcmp(a->dir, s->dir) != 0 || a->doubtful || a->renamed) {
        return seal(s, a, e);
    }
    seal_or_tell(s, a);
    return true;
}

static bool write_batch(struct sink *s, const struct batch *b, struct err *e)
{
    const struct sink_stream *stream = &s->conf.streams[b->stream];
    const struct sink_plan *plan = s->conf.plan;
    struct archive *a = archive_of(s, stream->name);
    enum compress how;
    struct str frame;

    if (!make_way(s, a, e)) {
        return false;
    }
    if (strcmp(a->dir, s->dir) != 0) {
        archive_move(a, s->dir);
    }
    how = a->name[0] == '\0' ? plan->compress : a->compress;
    frame = frame_make(s->frame, how, (struct str){b->bytes, b->n_bytes}, e);
    if (frame.p == NULL ||
        !archive_append(a, how, frame, b, stream->synced, *s->conf.journal, e)) {
        return false;
    }
    (void)snprintf(s->place, sizeof s->place, "file=%s before_byte=%" PRIu64, a->name,
                   a->length);
    stats_add(s->bytes, frame.n);
    if (a->length >= plan->rotate_bytes) {
        seal_or_tell(s, a);
    }
    return true;
}

static void take(void *arg, struct batch *b)
{
    struct sink *s = arg;
    struct sink_verdict v = {.kind = SINK_OK, .n = b->n, .row = -1};
    struct err e;

    if (!write_batch(s, b, &e)) {
        v.kind = SINK_RETRY;
        v.why = e.text;
    }
    v.place = s->place;
    s->conf.done(s->conf.arg, b, &v);
}

static void file_submit(struct sink *s, struct batch *b)
{
    queue_put(&s->queue, b);
}

/* ---- life ---- */

static struct sink *file_open(const struct sink_conf *conf, struct err *e)
{
    struct sink *s = mem_zalloc(sizeof *s);
    char labels[160];

    s->conf = *conf;
    if (!folder_of(conf, conf->plan, s->dir, sizeof s->dir, e) ||
        !take_folder(s, s->dir, e)) {
        free(s);
        return NULL;
    }
    s->frame = frame_new();
    queue_init(&s->queue, conf->loop, take, s);
    ev_timer_init(&s->age, on_age, AGE_LOOK_S, AGE_LOOK_S);
    ev_timer_start(conf->loop, &s->age);
    (void)stats_label_pair(labels, sizeof labels, "sink", conf->plan->name);
    s->files = stats_counter("sluice_file_sealed_total",
                             "Files that a file sink has finished.", labels);
    s->bytes = stats_counter("sluice_file_bytes_total",
                             "Bytes that a file sink has written.", labels);
    return s;
}

static void file_replay(struct sink *s, const struct record *r)
{
    char stream[72];

    (void)snprintf(stream, sizeof stream, "%.*s", (int)r->stream.n, r->stream.p);
    archive_replay(archive_of(s, stream), r, s->conf.ack, s->conf.arg);
}

static bool file_recover(struct sink *s, struct err *e)
{
    /* Streams without a record yet: their folder may hold numbers already. */
    for (uint32_t i = 0; i < PLAN_STREAMS_MAX; i++) {
        if (s->conf.streams[i].name[0] != '\0') {
            (void)archive_of(s, s->conf.streams[i].name);
        }
    }
    for (uint32_t i = 0; i < s->n_archives; i++) {
        if (!archive_recover(s->archives[i], s->conf.ack, s->conf.arg, e)) {
            return false;
        }
    }
    return true;
}

static void file_emit(struct sink *s, struct journal_draft *draft)
{
    for (uint32_t i = 0; i < s->n_archives; i++) {
        archive_emit(s->archives[i], draft);
    }
}

/* It leaves the folder again in on_age, unless it has it by then. */
static bool file_check(struct sink *s, const struct sink_plan *plan, struct err *e)
{
    char dir[sizeof s->dir];

    return folder_of(&s->conf, plan, dir, sizeof dir, e) && take_folder(s, dir, e);
}

static bool file_apply(struct sink *s, const struct sink_plan *plan, struct err *e)
{
    char dir[sizeof s->dir];

    if (!folder_of(&s->conf, plan, dir, sizeof dir, e) || !take_folder(s, dir, e)) {
        return false;
    }
    memcpy(s->dir, dir, sizeof dir);
    s->conf.plan = plan;
    return true;
}

/* A file without its last name that no journal knows would keep its .part for ever. */
static bool file_finish(struct sink *s, struct err *e)
{
    for (uint32_t i = 0; i < s->n_archives; i++) {
        if (!seal(s, s->archives[i], e)) {
            return false;
        }
    }
    return true;
}

static void file_close(struct sink *s)
{
    struct err e;

    ev_timer_stop(s->conf.loop, &s->age);
    queue_run(&s->queue);
    queue_fini(&s->queue);
    for (uint32_t i = 0; i < s->n_archives; i++) {
        if (*s->conf.journal != NULL && !seal(s, s->archives[i], &e)) {
            char quoted[ERR_TEXT_MAX + 16];

            log_write(LOG_WARN, "archive", "sink=%s why=%s", s->conf.plan->name,
                      log_quote(quoted, sizeof quoted, e.text));
        }
        archive_fini(s->archives[i]);
        free(s->archives[i]);
    }
    s->n_archives = 0;
    leave_folders(s, true);
    free(s->archives);
    frame_free(s->frame);
    free(s);
}

const struct sink_ops sink_file = {.kind = "file",
                                   .keep = BATCH_KEEP_BYTES,
                                   .journals = true,
                                   .open = file_open,
                                   .replay = file_replay,
                                   .recover = file_recover,
                                   .emit = file_emit,
                                   .check = file_check,
                                   .apply = file_apply,
                                   .submit = file_submit,
                                   .finish = file_finish,
                                   .close = file_close};
