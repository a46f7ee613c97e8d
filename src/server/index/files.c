/* Builders to files, and which files are kept. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "index/names.h"
#include "index/reader.h"
#include "index/removed.h"
#include "server/index/internal.h"

#define AGAIN_NS 1000000000ull /* between two tries of a disk that refused */
#define TELL_NS 60000000000ull /* between two log lines of it */
#define TRIM_NS 10000000000ull /* between two looks at the ages */

enum { TRIM_MAX = 256 /* files that go in one turn */ };

/* ---- the files that there are ---- */

static void add_known(struct indexer *x, const struct index_known *k)
{
    if (x->n_files == x->files_room) {
        x->files_room = x->files_room == 0 ? 64 : 2 * x->files_room;
        x->files = mem_realloc(x->files, x->files_room * sizeof *x->files);
    }
    x->files[x->n_files++] = *k;
    x->n_bytes += k->bytes;
    stats_set(x->bytes, x->n_bytes);
}

/* A file that can't be used is kept aside for whoever wants to look at it; its events
 * are indexed again, if the spool still has them. */
static void set_aside(struct indexer *x, const char *path, const char *why)
{
    char quoted[ERR_TEXT_MAX + 16], aside[PATH_MAX + 16];

    (void)snprintf(aside, sizeof aside, "%s" INDEX_ASIDE, path);
    (void)rename(path, aside);
    stats_add(x->n_damaged, 1);
    log_write(LOG_ERROR, "index_damaged", "stream=%s why=%s", x->name,
              log_quote(quoted, sizeof quoted, why));
}

static void take_file(struct indexer *x, struct index_file *f, const char *name)
{
    uint32_t epoch, worker;
    char path[PATH_MAX], quoted[ERR_TEXT_MAX + 16];
    uint64_t first;
    struct err e;

    (void)snprintf(path, sizeof path, "%s/%s", x->dir, name);
    if (index_name_is_new(name)) {
        (void)unlink(path); /* its process ended before the file was whole */
        return;
    }
    if (!index_name_read(name, &epoch, &worker, &first)) {
        return;
    }
    switch (index_open(f, path, &e)) {
    case INDEX_OPENED:
        break;
    case INDEX_NOT_ONE:
        set_aside(x, path, e.text);
        return;
    case INDEX_UNREADABLE:
        log_write(LOG_ERROR, "index_unreadable", "stream=%s why=%s", x->name,
                  log_quote(quoted, sizeof quoted, e.text));
        return;
    }
    if (f->head.epoch != epoch || f->head.worker != worker || f->head.first != first ||
        strcmp(f->head.uuid, spool_uuid_of(x->spool, epoch)) != 0) {
        (void)err_set(&e, "%s: it is of another shard, or of another spool", path);
        set_aside(x, path, e.text);
    } else {
        add_known(x, &(struct index_known){epoch, worker, first, f->head.end,
                                           index_bytes(&f->head), f->head.newest_ms});
    }
    index_close(f);
}

bool index_list(struct indexer *x, struct err *e)
{
    struct index_file f = {.fd = -1};
    DIR *dir = opendir(x->dir);
    struct dirent *d;
    int rc;

    x->n_files = 0;
    x->n_bytes = 0;
    (void)index_removed_read(x->dir,
                             &x->removed_ms); /* a damaged one is written again */
    if (dir == NULL) {
        return err_errno(e, errno, "%s", x->dir);
    }
    while (errno = 0, (d = readdir(dir)) != NULL) {
        take_file(x, &f, d->d_name);
    }
    rc = errno;
    (void)closedir(dir);
    index_free(&f);
    return rc == 0 || err_errno(e, rc, "%s", x->dir);
}

uint64_t index_covered(const struct indexer *x, uint32_t epoch, uint32_t worker,
                       uint64_t seq)
{
    bool more = epoch != spool_epoch(x->spool); /* this process reads each event once */

    while (more) {
        more = false;
        for (uint32_t i = 0; i < x->n_files; i++) {
            const struct index_known *k = &x->files[i];

            if (k->epoch == epoch && k->worker == worker && k->first <= seq &&
                seq < k->end) {
                seq = k->end;
                more = true;
            }
        }
    }
    return seq;
}

uint64_t index_covered_from(const struct indexer *x, uint32_t epoch, uint32_t worker,
                            uint64_t seq)
{
    uint64_t from = UINT64_MAX;

    for (uint32_t i = 0; epoch != spool_epoch(x->spool) && i < x->n_files; i++) {
        const struct index_known *k = &x->files[i];

        if (k->epoch == epoch && k->worker == worker && k->first > seq &&
            k->first < from) {
            from = k->first;
        }
    }
    return from;
}

/* ---- new ones ---- */

bool index_note_fields(const struct indexer *x)
{
    char path[PATH_MAX], quoted[ERR_TEXT_MAX + 16];
    struct err e;

    (void)snprintf(path, sizeof path, "%s/" INDEX_FIELD_FILE, x->dir);
    if (index_fields_write(&x->fields, path, &e)) {
        return true;
    }
    log_write(LOG_WARN, "index_not_noted", "stream=%s why=%s", x->name,
              log_quote(quoted, sizeof quoted, e.text));
    return false;
}

static bool write_one(struct indexer *x, struct index_pending *p, struct err *e)
{
    const struct index_place place = {.uuid = spool_uuid_of(x->spool, p->epoch),
                                      .stream = x->name,
                                      .field = p->field,
                                      .epoch = p->epoch,
                                      .worker = p->worker};
    struct index_known k = {.epoch = p->epoch,
                            .worker = p->worker,
                            .first = p->first,
                            .end = index_end(p->builder),
                            .newest_ms = index_newest_ms(p->builder)};
    char path[PATH_MAX];

    (void)index_path(path, sizeof path, x->dir, p->epoch, p->worker, p->first);
    if (!index_write(p->builder, &place, path, &k.bytes, e)) {
        return false;
    }
    add_known(x, &k);
    return true;
}

static void tell(struct indexer *x, bool ok, const struct err *e)
{
    char quoted[ERR_TEXT_MAX + 16];
    uint64_t now = clock_mono_ns();

    if (ok && x->failing) {
        log_write(LOG_INFO, "index_written", "stream=%s", x->name);
    } else if (!ok && (!x->failing || now - x->told_ns > TELL_NS)) {
        x->told_ns = now;
        log_write(LOG_ERROR, "index_not_written", "stream=%s waiting=%u why=%s",
                  x->name, x->n_pending, log_quote(quoted, sizeof quoted, e->text));
    }
    x->failing = !ok;
}

static void drop_first(struct indexer *x)
{
    index_builder_free(x->pending[0].builder);
    x->n_pending--;
    memmove(&x->pending[0], &x->pending[1], x->n_pending * sizeof x->pending[0]);
}

void index_try_again(struct indexer *x, bool now)
{
    struct err e;
    bool ok = true;

    if (x->n_pending == 0 ||
        (!now && x->failing && clock_mono_ns() - x->tried_ns < AGAIN_NS)) {
        return;
    }
    while (ok && x->n_pending > 0) {
        ok = write_one(x, &x->pending[0], &e);
        if (ok) {
            drop_first(x);
        }
    }
    x->tried_ns = clock_mono_ns();
    tell(x, ok, &e);
}

void index_put(struct indexer *x, struct index_reader *r)
{
    const uint64_t end = index_end(r->builder);
    struct index_pending *p;

    if (x->n_pending == INDEX_PENDING_MAX) {
        stats_add(x->n_dropped, index_end(x->pending[0].builder) - x->pending[0].first);
        indexer_account_dropped(x, &x->pending[0]);
        drop_first(x);
    }
    p = &x->pending[x->n_pending++];
    *p = (struct index_pending){.builder = r->builder,
                                .epoch = r->epoch,
                                .worker = r->worker,
                                .first = index_first(r->builder)};
    (void)snprintf(p->field, sizeof p->field, "%s", r->path->field);
    r->builder = NULL;
    r->n_bytes = 0;
    index_try_again(x, false);
    /* Also when it was not written: the disk may be full, and the segments' room is what
     * events need. */
    spool_cursor_release(r->cursor, end);
}

/* ---- those that go ---- */

static uint32_t oldest(const struct indexer *x)
{
    uint32_t k = 0;

    for (uint32_t i = 1; i < x->n_files; i++) {
        if (x->files[i].newest_ms < x->files[k].newest_ms) {
            k = i;
        }
    }
    return k;
}

/* Takes file i off the list: what it has is not missed then. */
static struct index_known take_off(struct indexer *x, uint32_t i)
{
    const struct index_known k = x->files[i];

    x->n_bytes -= k.bytes;
    stats_set(x->bytes, x->n_bytes);
    x->files[i] = x->files[--x->n_files];
    index_account_drop(&x->account, k.epoch, k.worker, k.end);
    return k;
}

static void remove_file(const struct indexer *x, const struct index_known *k)
{
    char path[PATH_MAX];

    (void)index_path(path, sizeof path, x->dir, k->epoch, k->worker, k->first);
    (void)unlink(path);
}

/* Before they go. What the disk does not take is noted with the next ones: the files have
 * to go, since it may be full. */
static void note_removed(struct indexer *x, const struct index_known *gone, uint32_t n)
{
    const int64_t before = x->removed_ms;
    struct err e;

    for (uint32_t i = 0; i < n; i++) {
        x->removed_ms =
            gone[i].newest_ms > x->removed_ms ? gone[i].newest_ms : x->removed_ms;
    }
    if (n > 0 && !index_removed_write(x->dir, x->removed_ms, &e)) {
        x->removed_ms = before;
    }
}

void index_trim(struct indexer *x)
{
    const uint64_t now_ns = clock_mono_ns();
    const int64_t keep_ms = atomic_load(&x->keep_ms);
    struct index_known gone[TRIM_MAX];
    uint32_t n = 0;
    int64_t now_ms;

    if (now_ns - x->trimmed_ns < TRIM_NS) {
        return;
    }
    x->trimmed_ns = now_ns;
    /* A wall clock that has jumped ahead must not remove all. */
    now_ms =
        keyclock_now(&x->clock, clock_wall_ms(), (int64_t)(now_ns / 1000000), keep_ms);
    while (x->n_files > 0 && n < TRIM_MAX) {
        const uint32_t k = oldest(x);

        if (x->n_bytes <= atomic_load(&x->max_bytes) &&
            x->files[k].newest_ms + keep_ms >= now_ms) {
            break;
        }
        gone[n++] = take_off(x, k);
    }
    if (index_account_expire(&x->account, now_ms - keep_ms) || n > 0) {
        indexer_account_write(x); /* before: nothing is missing that was removed */
    }
    note_removed(x, gone, n);
    for (uint32_t i = 0; i < n; i++) {
        remove_file(x, &gone[i]);
    }
    if (n == TRIM_MAX) {
        x->trimmed_ns = now_ns - TRIM_NS; /* there may be more */
    }
}

static void drop_if_old(struct indexer *x, const char *name, int64_t now_ms)
{
    uint32_t epoch, worker;
    char path[PATH_MAX];
    uint64_t first;
    struct stat st;

    if (!index_name_is_aside(name, &epoch, &worker, &first)) {
        return;
    }
    (void)snprintf(path, sizeof path, "%s/%s", x->dir, name);
    if (stat(path, &st) == 0 &&
        (int64_t)st.st_mtim.tv_sec * 1000 + atomic_load(&x->keep_ms) < now_ms) {
        (void)unlink(path);
    }
}

void index_drop_aside(struct indexer *x)
{
    const int64_t now_ms =
        keyclock_now(&x->clock, clock_wall_ms(), (int64_t)(clock_mono_ns() / 1000000),
                     atomic_load(&x->keep_ms));
    DIR *dir = opendir(x->dir);
    struct dirent *d;

    while (dir != NULL && (d = readdir(dir)) != NULL) {
        drop_if_old(x, d->d_name, now_ms);
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}
