/* What a request looks into: a fixed list of runs, shared with others. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "keys/internal.h"

#define TELL_EVERY_NS 1000000000ull

struct keyview *keystore_view(struct keystore *ks)
{
    struct keyview *v;

    (void)pthread_mutex_lock(&ks->lock);
    v = ks->current;
    (void)atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
    (void)pthread_mutex_unlock(&ks->lock);
    return v;
}

void keyview_release(struct keyview *v)
{
    if (atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    for (uint32_t i = 0; i < v->n; i++) {
        run_unref(v->runs[i]);
    }
    free(v);
}

void keystore_damaged(struct keystore *ks, const char *what)
{
    uint64_t now = clock_mono_ns(), told = atomic_load(&ks->told_damaged_ns);
    char quoted[400];

    (void)atomic_fetch_add(&ks->n_damaged, 1);
    if ((told == 0 || now - told > TELL_EVERY_NS) &&
        atomic_compare_exchange_strong(&ks->told_damaged_ns, &told, now)) {
        log_write(LOG_ERROR, "dedup_keys_damaged", "file=%s damaged=%lu",
                  log_quote(quoted, sizeof quoted, what),
                  (unsigned long)atomic_load(&ks->n_damaged));
    }
}

enum keys_found keyview_find(struct keyview *v, struct key k, uint32_t now_s,
                             uint32_t window_s)
{
    for (uint32_t i = 0; i < v->n; i++) {
        switch (run_find(v->runs[i], &k)) {
        case RUN_ABSENT:
        case RUN_LOST:
            break;
        case RUN_FOUND:
            if (!key_expired(&k, now_s, window_s)) {
                return KEYS_FOUND;
            }
            break;
        case RUN_DAMAGED:
            keystore_damaged(v->ks, v->runs[i]->path);
            break;
        case RUN_UNREAD:
            return KEYS_UNREAD;
        }
    }
    return atomic_load_explicit(&v->ks->incomplete, memory_order_acquire) ? KEYS_UNREAD
                                                                          : KEYS_ABSENT;
}

void keyview_prefetch(const struct keyview *v, const struct key *k)
{
    for (uint32_t i = 0; i < v->n; i++) {
        filter_prefetch(&v->runs[i]->filter, k);
    }
}
