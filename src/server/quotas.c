#include "server/quotas.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/folder.h"
#include "base/latch.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "shared/registry.h"
#include "spool/spool.h"
#include "stats/stats.h"

/* Between two saves; a save that takes longer than a tenth of it stretches it, so that
 * large quotas do not keep the disk busy. */
#define SAVE_NS 1000000000ull
enum { SAVE_SHARE = 10 };

/* Between two lines about failures. */
#define TELL_NS 10000000000ull

struct quotas {
    struct registry *registry;
    const struct spool *spool;
    char *dir;
    bool made; /* the folder is there */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    struct latch ended;
    uint64_t told_ns; /* the thread's */
    bool failing;
    stats_cell *saved, *failed, *lost;
};

/* A file's name may have 255 bytes: with the mark, the window, ".quota" and ".unread". */
enum { PLAIN_MAX = 3 * 64 };

/* Names of limits that have none of their own have any bytes, and any length. One that is
 * cut has a mark of the whole, so that two limits do not share a file. */
static void plain_name(const char *name, char *out, size_t room)
{
    size_t n = 0;
    const char *at = name;

    for (; *at != '\0' && n + 3 < PLAIN_MAX + 1; at++) {
        unsigned char c = (unsigned char)*at;
        bool same =
            (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';

        n += (size_t)snprintf(out + n, room - n, same ? "%c" : "%%%02x", c);
    }
    if (*at != '\0') {
        (void)snprintf(out + n, room - n, "~%016lx",
                       (unsigned long)str_hash(STR_HASH, str_of(name)));
    }
}

static bool path_of(const struct quotas *q, const char *name, uint32_t window_s,
                    char out[PATH_MAX])
{
    const char *unit = window_s == 1      ? "s"
                       : window_s == 60   ? "m"
                       : window_s == 3600 ? "h"
                                          : "d";
    char plain[PLAIN_MAX + 20];

    plain_name(name, plain, sizeof plain);
    return snprintf(out, PATH_MAX, "%s/%s-%s.quota", q->dir, plain, unit) < PATH_MAX;
}

static void restore(void *arg, const char *name, struct quota *quota)
{
    struct quotas *q = arg;
    char path[PATH_MAX], aside[PATH_MAX], quoted[ERR_TEXT_MAX + 16], limit[512];
    enum quota_read r;
    struct err e;

    if (!spool_in_place(q->spool, &e) ||
        !path_of(q, name, quota_window_s(quota), path)) {
        return;
    }
    r = quota_restore(quota, path, &e);
    if (r == QUOTA_READ || r == QUOTA_NONE) {
        return;
    }
    /* It is not known what was used: the file is kept for the operator. */
    stats_add(q->lost, 1);
    if (snprintf(aside, sizeof aside, "%s.unread", path) < PATH_MAX) {
        (void)rename(path, aside);
    }
    log_write(LOG_ERROR, "quota", "limit=%s status=unread why=%s",
              log_quote(limit, sizeof limit, name),
              log_quote(quoted, sizeof quoted, e.text));
}

static void tell(struct quotas *q, const char *name, const struct err *e)
{
    uint64_t now = clock_mono_ns();
    char quoted[ERR_TEXT_MAX + 16], limit[512];

    stats_add(q->failed, 1);
    if (!q->failing || now - q->told_ns >= TELL_NS) {
        q->told_ns = now;
        log_write(LOG_ERROR, "quota", "limit=%s status=unsaved why=%s",
                  log_quote(limit, sizeof limit, name),
                  log_quote(quoted, sizeof quoted, e->text));
    }
    q->failing = true;
}

static void save(void *arg, const char *name, struct quota *quota)
{
    struct quotas *q = arg;
    char path[PATH_MAX], limit[512];
    struct err e;

    if (!path_of(q, name, quota_window_s(quota), path)) {
        return;
    }
    if (!spool_in_place(q->spool, &e)) {
        tell(q, name, &e);
        return;
    }
    q->made = q->made || folder_make(q->dir, &e);
    if (!q->made || !quota_save(quota, path, &e)) {
        tell(q, name, &e);
        return;
    }
    stats_add(q->saved, 1);
    if (q->failing) {
        log_write(LOG_INFO, "quota", "limit=%s status=saved",
                  log_quote(limit, sizeof limit, name));
    }
    q->failing = false;
}

/* True: to be ended. */
static bool nap(struct quotas *q, uint64_t until_ns)
{
    bool stop;

    (void)pthread_mutex_lock(&q->lock);
    while (!q->stop && latch_sleep(&q->wake, &q->lock, until_ns)) {
    }
    stop = q->stop;
    (void)pthread_mutex_unlock(&q->lock);
    return stop;
}

static void *run(void *arg)
{
    struct quotas *q = arg;
    uint64_t pause_ns = SAVE_NS, began, spent;

    (void)pthread_setname_np(pthread_self(), "quotas");
    while (!nap(q, clock_mono_ns() + pause_ns)) {
        began = clock_mono_ns();
        registry_buckets_sweep(q->registry, (double)began / 1e6);
        registry_quotas_unsaved(q->registry, save, q);
        registry_tidy(q->registry);
        spent = clock_mono_ns() - began;
        pause_ns = spent * SAVE_SHARE > SAVE_NS ? spent * SAVE_SHARE : SAVE_NS;
    }
    registry_quotas_unsaved(q->registry, save, q);
    latch_open(&q->ended);
    return NULL;
}

static stats_cell *cell(const char *result)
{
    char labels[40];

    (void)snprintf(labels, sizeof labels, "result=\"%s\"", result);
    return stats_counter("sluice_quota_saves_total",
                         "Files of quotas that were written (ok), that could not be "
                         "written (failed), and that could not be read at a start or "
                         "reload, so that the quota began unused (unread).",
                         labels);
}

struct quotas *quotas_open(struct registry *registry, const struct spool *spool,
                           const char *spool_dir, struct err *e)
{
    struct quotas *q = mem_zalloc(sizeof *q);
    size_t n = strlen(spool_dir) + sizeof "/quotas";
    sigset_t all, before; /* signals are the main thread's */
    int rc;

    q->registry = registry_ref(registry);
    q->spool = spool;
    q->dir = mem_alloc(n);
    (void)snprintf(q->dir, n, "%s/quotas", spool_dir);
    (void)pthread_mutex_init(&q->lock, NULL);
    latch_condition(&q->wake);
    latch_init(&q->ended);
    q->saved = cell("ok");
    q->failed = cell("failed");
    q->lost = cell("unread");
    registry_quotas_restore(registry, restore, q);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&q->thread, NULL, run, q);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        (void)err_errno(e, rc, "can't start the thread of the quotas");
        quotas_free(q);
        return NULL;
    }
    return q;
}

bool quotas_close(struct quotas *q, uint64_t until_ns)
{
    if (q == NULL) {
        return true;
    }
    (void)pthread_mutex_lock(&q->lock);
    q->stop = true;
    (void)pthread_cond_signal(&q->wake);
    (void)pthread_mutex_unlock(&q->lock);
    if (!latch_wait(&q->ended, until_ns)) {
        return false;
    }
    (void)pthread_join(q->thread, NULL);
    return true;
}

void quotas_free(struct quotas *q)
{
    if (q == NULL) {
        return;
    }
    registry_quotas_restore(q->registry, NULL, NULL);
    latch_fini(&q->ended);
    (void)pthread_cond_destroy(&q->wake);
    (void)pthread_mutex_destroy(&q->lock);
    registry_unref(q->registry);
    free(q->dir);
    free(q);
}
