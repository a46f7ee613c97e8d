/*
 * Runs of one size class become one: the classes grow by four, so that 200 million keys
 * lie in about half a dozen runs, and each key is written some ten times in all. Small
 * ones are one class. Keys whose window is over are left out.
 */
#include <limits.h>
#include <unistd.h>

#include "base/err.h"
#include "keys/internal.h"

enum { SMALL = 1 << 18, LOOK_EVERY = 1 << 16, MERGE_MAX = 16 };

struct merge {
    struct keystore *ks;
    struct run *runs[MERGE_MAX]; /* that go: first those that are merged, */
    uint32_t n_merged, n_runs;   /* then those whose window is over */
    struct run_reader readers[MERGE_MAX];
    struct key heads[MERGE_MAX];
    uint32_t n; /* readers that are not at their end */
    uint32_t now_s;
    const atomic_bool *stop;
};

static int class_of(const struct run *r)
{
    return r->n_keys < SMALL ? 0 : (63 - __builtin_clzll(r->n_keys)) / 2;
}

static bool is_over(const struct keystore *ks, const struct run *r, uint32_t now_s)
{
    struct key newest = {.time_s = r->newest_s};

    return key_expired(&newest, now_s, ks->window_s);
}

/* References to the runs of the lowest class that has two, and to all whose window is
 * over. */
static void choose(struct merge *m)
{
    struct keyview *v = keystore_view(m->ks);
    int count[64] = {0}, class = 0;

    for (uint32_t i = 0; i < v->n; i++) {
        if (!is_over(m->ks, v->runs[i], m->now_s)) {
            count[class_of(v->runs[i])]++;
        }
    }
    while (class < 64 && count[class] < 2) {
        class ++;
    }
    for (uint32_t i = 0; i < v->n && m->n_runs < MERGE_MAX; i++) {
        if (!is_over(m->ks, v->runs[i], m->now_s) && class_of(v->runs[i]) == class) {
            m->runs[m->n_runs++] = run_ref(v->runs[i]);
        }
    }
    m->n_merged = m->n_runs;
    for (uint32_t i = 0; i < v->n && m->n_runs < MERGE_MAX; i++) {
        if (is_over(m->ks, v->runs[i], m->now_s)) {
            m->runs[m->n_runs++] = run_ref(v->runs[i]);
        }
    }
    keyview_release(v);
}

/* A page that a look has not met, nor a merge that failed. */
static void tell_lost(const struct merge *m, const struct run_reader *x)
{
    if (run_damage(x->run, x->page - 1)) {
        keystore_damaged(m->ks, x->run->path);
    }
}

/* The next key of reader i; at its end the reader goes. False and *e: the disk. */
static bool advance(struct merge *m, uint32_t i, struct err *e)
{
    for (;;) {
        switch (run_reader_next(&m->readers[i], &m->heads[i], e)) {
        case RUN_READ_KEY:
            return true;
        case RUN_READ_LOST:
            tell_lost(m, &m->readers[i]);
            break;
        case RUN_READ_FAILED:
            return false;
        case RUN_READ_END:
            run_reader_fini(&m->readers[i]);
            m->n--;
            m->readers[i] = m->readers[m->n];
            m->heads[i] = m->heads[m->n];
            return true;
        }
    }
}

static bool copy(struct merge *m, struct run_writer *w, uint64_t *n, struct err *e)
{
    for (uint64_t looked = 0; m->n > 0; looked++) {
        uint32_t least = 0;

        for (uint32_t i = 1; i < m->n; i++) {
            if (key_before(&m->heads[i], &m->heads[least])) {
                least = i;
            }
        }
        if (!key_expired(&m->heads[least], m->now_s, m->ks->window_s)) {
            ++*n;
            if (!run_writer_add(w, &m->heads[least], e)) {
                return false;
            }
        }
        if (!advance(m, least, e)) {
            return false;
        }
        if (looked % LOOK_EVERY == 0 && atomic_load(m->stop)) {
            return err_set(e, "the server stops");
        }
    }
    return true;
}

/* *out: the run with all their keys that count; NULL: there are none. */
static bool write_merged(struct merge *m, uint64_t id, struct run **out, struct err *e)
{
    uint64_t n = 0, max = 0;
    struct run_writer *w;
    char path[PATH_MAX];
    bool ok = true;

    *out = NULL;
    if (m->n_merged == 0) {
        return true;
    }
    for (uint32_t i = 0; i < m->n_merged; i++) {
        max += m->runs[i]->n_keys;
    }
    keystore_path(m->ks, id, path, sizeof path);
    w = run_writer_open(path, &m->ks->manifest.key, max, e);
    if (w == NULL) {
        return false;
    }
    for (m->n = 0; m->n < m->n_merged; m->n++) {
        run_reader_init(&m->readers[m->n], m->runs[m->n]);
    }
    /* From the last one, because a reader that ends gives its place to the last. */
    for (uint32_t i = m->n; ok && i-- > 0;) {
        ok = advance(m, i, e);
    }
    ok = ok && copy(m, w, &n, e);
    while (m->n > 0) {
        run_reader_fini(&m->readers[--m->n]);
    }
    if (ok && n == 0) {
        (void)run_writer_close(w, false, e);
        return true;
    }
    if (!run_writer_close(w, ok, e)) {
        return false;
    }
    if (run_open(path, id, out, e) != RUN_OPENED) {
        (void)unlink(path);
        return false;
    }
    return true;
}

static bool chosen(const struct run *r, struct run *const *runs, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (runs[i] == r) {
            return true;
        }
    }
    return false;
}

/* Others may have been added meanwhile; only this thread takes runs away. */
static bool replace(struct keystore *ks, struct run *const *old, uint32_t n,
                    struct run *merged, struct err *e)
{
    struct run *runs[MANIFEST_RUNS_MAX];
    uint32_t k = 0;
    bool ok;

    (void)pthread_mutex_lock(&ks->writing);
    if (merged != NULL) {
        runs[k++] = merged;
    }
    for (uint32_t i = 0; i < ks->current->n; i++) {
        if (!chosen(ks->current->runs[i], old, n)) {
            runs[k++] = run_ref(ks->current->runs[i]);
        }
    }
    ok = keystore_publish(ks, runs, k, e);
    (void)pthread_mutex_unlock(&ks->writing);
    return ok;
}

static uint64_t next_id(struct keystore *ks)
{
    uint64_t id;

    (void)pthread_mutex_lock(&ks->writing);
    id = ++ks->last_id;
    (void)pthread_mutex_unlock(&ks->writing);
    return id;
}

uint32_t keystore_clock(struct keystore *ks)
{
    uint32_t newest_s = 0, clock_s;
    struct keyview *v = keystore_view(ks);

    for (uint32_t i = 0; i < v->n; i++) {
        newest_s = v->runs[i]->newest_s > newest_s ? v->runs[i]->newest_s : newest_s;
    }
    keyview_release(v);
    (void)pthread_mutex_lock(&ks->writing);
    clock_s = ks->manifest.clock_s;
    (void)pthread_mutex_unlock(&ks->writing);
    return clock_s != 0 ? clock_s : newest_s;
}

bool keystore_has_over(struct keystore *ks, uint32_t now_s)
{
    struct keyview *v = keystore_view(ks);
    bool over = false;

    for (uint32_t i = 0; i < v->n; i++) {
        struct key oldest = {.time_s = v->runs[i]->oldest_s};

        over = over || key_expired(&oldest, now_s, ks->window_s);
    }
    keyview_release(v);
    return over;
}

/* The next manifest notes it. */
static void set_clock(struct keystore *ks, uint32_t now_s)
{
    (void)pthread_mutex_lock(&ks->writing);
    ks->manifest.clock_s = now_s;
    (void)pthread_mutex_unlock(&ks->writing);
}

enum keystore_merged keystore_merge(struct keystore *ks, uint32_t now_s,
                                    const atomic_bool *stop, struct err *e)
{
    struct merge m = {.ks = ks, .now_s = now_s, .stop = stop};
    struct run *merged = NULL;
    bool ok;

    set_clock(ks, now_s);
    choose(&m);
    if (m.n_runs == 0) {
        return KEYSTORE_ENOUGH;
    }
    ok = write_merged(&m, next_id(ks), &merged, e) &&
         replace(ks, m.runs, m.n_runs, merged, e);
    for (uint32_t i = 0; i < m.n_runs; i++) {
        if (ok) {
            (void)unlink(m.runs[i]->path);
        }
        run_unref(m.runs[i]);
    }
    return ok ? KEYSTORE_MERGED : KEYSTORE_FAILED;
}
