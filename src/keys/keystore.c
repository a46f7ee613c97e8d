#include "keys/keystore.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/log.h"
#include "base/mem.h"
#include "keys/internal.h"

void keystore_path(const struct keystore *ks, uint64_t id, char *out, size_t n)
{
    (void)snprintf(out, n, "%s/%" PRIu64 ".keys", ks->dir, id);
}

/* ---- open ---- */

static bool in_manifest(const struct keystore *ks, uint64_t id)
{
    for (uint32_t i = 0; i < ks->manifest.n_runs; i++) {
        if (ks->manifest.runs[i] == id) {
            return true;
        }
    }
    return false;
}

struct opening {
    struct keystore *ks;
    struct run **runs; /* of any key, as many as there are */
    uint32_t n, room;
    bool listed; /* the manifest is good: what it does not list goes */
    bool keyed;  /* the hash's key is known */
};

static void aside_of(const char *path, char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "%s.damaged", path);
}

/* A file that can't be used is kept aside for whoever wants to look at it. */
static void set_aside(struct opening *o, const char *path, const char *why)
{
    char aside[PATH_MAX];

    keystore_damaged(o->ks, why);
    aside_of(path, aside);
    (void)rename(path, aside);
}

static bool take_run(struct opening *o, uint64_t id, const char *path, struct err *e)
{
    struct run *r;

    switch (run_open(path, id, &r, e)) {
    case RUN_UNREADABLE:
        return false;
    case RUN_NOT_ONE:
        set_aside(o, path, e->text);
        return true;
    case RUN_OPENED:
        break;
    }
    if (o->n == o->room) {
        o->room = o->room == 0 ? MANIFEST_RUNS_MAX : 2 * o->room;
        o->runs = mem_realloc(o->runs, o->room * sizeof(struct run *));
    }
    o->runs[o->n++] = r;
    return true;
}

static bool same_key(const struct siphash_key *a, const struct siphash_key *b)
{
    return a->k0 == b->k0 && a->k1 == b->k1;
}

/* That of most keys in the files: others may have come from elsewhere. */
static void choose_key(struct opening *o)
{
    uint64_t most = 0;

    for (uint32_t i = 0; i < o->n; i++) {
        uint64_t n = 0;

        for (uint32_t k = 0; k < o->n; k++) {
            n += same_key(&o->runs[k]->key, &o->runs[i]->key) ? o->runs[k]->n_keys : 0;
        }
        if (n > most) {
            most = n;
            o->ks->manifest.key = o->runs[i]->key;
        }
    }
    o->keyed = o->n > 0;
}

static int by_size(const void *a, const void *b)
{
    const struct run *x = *(struct run *const *)a, *y = *(struct run *const *)b;

    return (x->n_keys < y->n_keys) - (x->n_keys > y->n_keys);
}

/* Files of another key, and what is more than a store has room for, the smallest, is set
 * aside: a key is forgotten only if somebody is told. */
static void sort_out(struct opening *o)
{
    uint32_t n = 0;

    if (!o->keyed) {
        choose_key(o);
    }
    if (o->n > MANIFEST_RUNS_MAX) {
        qsort(o->runs, o->n, sizeof(struct run *), by_size);
    }
    for (uint32_t i = 0; i < o->n; i++) {
        struct run *r = o->runs[i];

        if (n < MANIFEST_RUNS_MAX && same_key(&r->key, &o->ks->manifest.key)) {
            o->runs[n++] = r;
            continue;
        }
        set_aside(o, r->path, r->path);
        run_unref(r);
    }
    o->n = n;
}

/* Files of the folder, one after the other. */
static bool take_file(struct opening *o, const char *name, struct err *e)
{
    char path[PATH_MAX];
    uint64_t id;

    if (sscanf(name, "%" SCNu64 ".keys", &id) != 1) {
        return true;
    }
    keystore_path(o->ks, id, path, sizeof path);
    if (strcmp(path + strlen(o->ks->dir) + 1, name) != 0) {
        return true; /* such as 1.keys.damaged, or -1.keys, which is not ours */
    }
    o->ks->last_id = id > o->ks->last_id ? id : o->ks->last_id;
    if (o->listed && !in_manifest(o->ks, id)) {
        (void)unlink(path); /* merged, or never published */
        return true;
    }
    return take_run(o, id, path, e);
}

static bool take_folder(struct opening *o, struct err *e)
{
    DIR *dir = opendir(o->ks->dir);
    struct dirent *d;
    bool ok = true;

    if (dir == NULL) {
        return err_errno(e, errno, "%s", o->ks->dir);
    }
    do {
        errno = 0;
        d = readdir(dir);
        if (d == NULL && errno != 0) {
            ok = err_errno(e, errno, "%s", o->ks->dir);
        }
    } while (ok && d != NULL && (ok = take_file(o, d->d_name, e)));
    (void)closedir(dir);
    return ok;
}

/* Runs that the manifest lists, and that the folder lacks. */
static void miss_runs(struct opening *o)
{
    for (uint32_t i = 0; i < o->ks->manifest.n_runs; i++) {
        uint64_t id = o->ks->manifest.runs[i];
        char path[PATH_MAX], aside[PATH_MAX];

        keystore_path(o->ks, id, path, sizeof path);
        aside_of(path, aside);
        /* One that the disk gave a moment ago is there, whatever it says now. */
        if (path_there(path) == 0 && path_there(aside) != 1) {
            keystore_damaged(o->ks, path);
        }
    }
}

static bool load(struct keystore *ks, struct err *e)
{
    struct opening o = {.ks = ks};
    char quoted[ERR_TEXT_MAX + 16];
    bool ok = folder_make(ks->dir, e);

    switch (ok ? manifest_read(&ks->manifest, ks->dir, e) : MANIFEST_UNREAD) {
    case MANIFEST_UNREAD:
        return false;
    case MANIFEST_READ:
        o.listed = o.keyed = true;
        break;
    case MANIFEST_DAMAGED:
        log_write(LOG_WARN, "dedup_manifest_damaged", "why=%s",
                  log_quote(quoted, sizeof quoted, e->text));
        ks->manifest.n_runs = ks->manifest.n_places = ks->manifest.clock_s = 0;
        break;
    case MANIFEST_NONE:
        ks->fresh = true;
        break;
    }
    if (!take_folder(&o, e)) {
        while (o.n > 0) {
            run_unref(o.runs[--o.n]);
        }
        free(o.runs);
        return false;
    }
    sort_out(&o);
    ks->fresh = ks->fresh && o.n == 0;
    if (o.listed) {
        miss_runs(&o);
    }
    if (!o.keyed) {
        siphash_key_random(&ks->manifest.key);
    }
    /* A new key is on stable storage before the first event is stored under it. */
    ok = keystore_publish(ks, o.runs, o.n, e);
    free(o.runs);
    return ok;
}

struct keystore *keystore_open(const struct keystore_conf *conf, struct err *e)
{
    struct keystore *ks = mem_zalloc(sizeof *ks);

    ks->dir = mem_strdup(conf->dir);
    atomic_init(&ks->window_s, conf->window_s);
    (void)pthread_mutex_init(&ks->lock, NULL);
    (void)pthread_mutex_init(&ks->writing, NULL);
    if (!load(ks, e)) {
        keystore_close(ks);
        return NULL;
    }
    return ks;
}

void keystore_close(struct keystore *ks)
{
    if (ks->current != NULL) {
        keyview_release(ks->current);
    }
    (void)pthread_mutex_destroy(&ks->writing);
    (void)pthread_mutex_destroy(&ks->lock);
    free(ks->dir);
    free(ks);
}

bool keystore_is_fresh(const struct keystore *ks)
{
    return ks->fresh;
}

void keystore_window(struct keystore *ks, uint32_t window_s)
{
    uint32_t longest = atomic_load(&ks->window_s);

    while (longest < window_s &&
           !atomic_compare_exchange_weak(&ks->window_s, &longest, window_s)) {
    }
}

uint32_t keystore_longest_s(const struct keystore *ks)
{
    return atomic_load(&ks->window_s);
}

void keystore_incomplete(struct keystore *ks, bool incomplete)
{
    atomic_store(&ks->incomplete, incomplete);
}

const struct siphash_key *keystore_key(const struct keystore *ks)
{
    return &ks->manifest.key;
}

uint64_t keystore_place(const struct keystore *ks, uint32_t epoch, uint32_t worker)
{
    for (uint32_t i = 0; i < ks->manifest.n_places; i++) {
        const struct keys_place *p = &ks->manifest.places[i];

        if (p->epoch == epoch && p->worker == worker) {
            return p->seq;
        }
    }
    return 1;
}

/* ---- publish ---- */

static struct keyview *make_view(struct keystore *ks, struct run **runs, uint32_t n)
{
    struct keyview *v = mem_zalloc(sizeof *v);

    atomic_init(&v->refs, 1);
    v->ks = ks;
    v->n = n;
    for (uint32_t i = 0; i < n; i++) { /* runs may be NULL with none */
        v->runs[i] = runs[i];
    }
    return v;
}

/* The runs of v that are not current, which no manifest lists: a disk that is full must
 * get its room back. kept: none may list them after a crash either. */
static void drop_new(struct keystore *ks, const struct keyview *v, bool kept)
{
    for (uint32_t i = 0; ks->current != NULL && i < v->n; i++) {
        const struct run *r = v->runs[i];

        if (in_manifest(ks, r->id)) {
            continue;
        }
        if (kept) {
            (void)unlink(r->path);
        } else if (ks->n_unsure < UNSURE_MAX) {
            ks->unsure[ks->n_unsure++] = r->id;
        }
    }
}

static void drop_unsure(struct keystore *ks)
{
    while (ks->n_unsure > 0) {
        char path[PATH_MAX];

        keystore_path(ks, ks->unsure[--ks->n_unsure], path, sizeof path);
        (void)unlink(path);
    }
}

bool keystore_publish(struct keystore *ks, struct run **runs, uint32_t n, struct err *e)
{
    struct manifest *m = &ks->manifest;
    uint64_t before[MANIFEST_RUNS_MAX];
    uint32_t n_before = m->n_runs;
    enum manifest_written written;
    struct keyview *old, *v = make_view(ks, runs, n);

    memcpy(before, m->runs, sizeof before);
    m->n_runs = n;
    for (uint32_t i = 0; i < n; i++) {
        m->runs[i] = runs[i]->id;
    }
    written = manifest_write(m, ks->dir, e);
    if (written != MANIFEST_WRITTEN) {
        memcpy(m->runs, before, sizeof before);
        m->n_runs = n_before;
        drop_new(ks, v, written == MANIFEST_KEPT);
        keyview_release(v);
        return false;
    }
    drop_unsure(ks);
    (void)pthread_mutex_lock(&ks->lock);
    old = ks->current;
    ks->current = v;
    (void)pthread_mutex_unlock(&ks->lock);
    if (old != NULL) {
        /* Requests let go of it within microseconds, unless the disk holds them up. */
        while (atomic_load_explicit(&old->refs, memory_order_acquire) > 1) {
            (void)nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
        }
        keyview_release(old);
    }
    return true;
}

/* ---- add ---- */

static int by_hash(const void *x, const void *y)
{
    return key_before(x, y) ? -1 : key_before(y, x);
}

static bool write_run(struct keystore *ks, uint64_t id, const struct key *keys,
                      uint32_t n, struct run **out, struct err *e)
{
    struct run_writer *w;
    char path[PATH_MAX];
    bool ok = true;

    keystore_path(ks, id, path, sizeof path);
    w = run_writer_open(path, &ks->manifest.key, n, e);
    for (uint32_t i = 0; w != NULL && ok && i < n; i++) {
        ok = run_writer_add(w, &keys[i], e);
    }
    if (w == NULL || !run_writer_close(w, ok, e)) {
        return false;
    }
    if (run_open(path, id, out, e) != RUN_OPENED) {
        (void)unlink(path);
        return false;
    }
    return true;
}

static bool add(struct keystore *ks, struct key *keys, uint32_t n, struct err *e)
{
    struct run *runs[MANIFEST_RUNS_MAX], *fresh = NULL;
    uint32_t k = 0;

    if (n > 0) {
        if (ks->current->n + 1 > MANIFEST_RUNS_MAX) {
            return err_set(e,
                           "%s: there are %u runs, and merging them has failed or "
                           "is late",
                           ks->dir, ks->current->n);
        }
        qsort(keys, n, sizeof *keys, by_hash);
        if (!write_run(ks, ++ks->last_id, keys, n, &fresh, e)) {
            return false;
        }
        runs[k++] = fresh;
    }
    for (uint32_t i = 0; i < ks->current->n; i++) {
        runs[k++] = run_ref(ks->current->runs[i]);
    }
    return keystore_publish(ks, runs, k, e);
}

bool keystore_add(struct keystore *ks, struct key *keys, uint32_t n,
                  const struct keys_place *places, uint32_t n_places, struct err *e)
{
    struct manifest *m = &ks->manifest;
    struct keys_place *before;
    uint32_t n_before;
    bool ok;

    if (n_places > MANIFEST_PLACES_MAX) {
        return err_set(e, "%s: %u shards, at most %u", ks->dir, n_places,
                       MANIFEST_PLACES_MAX);
    }
    before = mem_alloc(sizeof m->places);
    (void)pthread_mutex_lock(&ks->writing);
    n_before = m->n_places;
    memcpy(before, m->places, sizeof m->places);
    memcpy(m->places, places, n_places * sizeof *places);
    m->n_places = n_places;
    ok = add(ks, keys, n, e);
    ks->fresh = ks->fresh && !ok;
    if (!ok) {
        memcpy(m->places, before, sizeof m->places);
        m->n_places = n_before;
    }
    (void)pthread_mutex_unlock(&ks->writing);
    free(before);
    return ok;
}

struct keystore_figures keystore_figures(struct keystore *ks)
{
    struct keyview *v = keystore_view(ks);
    struct keystore_figures f = {.n_runs = v->n,
                                 .n_damaged = atomic_load(&ks->n_damaged)};

    for (uint32_t i = 0; i < v->n; i++) {
        const struct run *r = v->runs[i];
        uint64_t tables = r->n_pages * sizeof *r->fences + filter_bytes(&r->filter);

        f.n_keys += r->n_keys;
        f.memory_bytes += tables;
        f.disk_bytes += ((uint64_t)r->n_pages + 1) * RUN_PAGE_BYTES + tables;
    }
    keyview_release(v);
    return f;
}
