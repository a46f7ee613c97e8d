/* Keys from a keystore's side: stored before, saved; and the figures of all. */
#include <string.h>

#include "shared/internal.h"

enum { NEAR_TICKS = 5 }; /* by which at_ms, made of the wall clock, may be early */

void seen_attach(struct seen *s, struct keystore *store, const struct siphash_key *key,
                 const char *name)
{
    uint64_t named[2];

    siphash24_128(key, name, strlen(name), named);
    s->key = (struct siphash_key){named[0], named[1]};
    s->store = store;
}

struct keystore *seen_store(const struct seen *s)
{
    return s->store;
}

bool seen_restore(struct seen *s, const struct seen_hash *key, double at_ms)
{
    struct shard *h = &s->shards[key->hash[1] % N_SHARDS];
    const uint32_t tick = (uint32_t)(int64_t)(at_ms / TICK_MS);
    uint32_t none = 0, i;
    bool known = false;

    seen_lock(h);
    i = seen_slot(s, h, key->hash);
    if (h->index[i] == 0) {
        known = seen_reserve(s, h, key->hash, 0, tick, &none) == SEEN_NEW;
    } else {
        struct entry *x = &h->ring[(uint32_t)h->index[i] - 1];

        known = x->unsaved < UNSAVED_MAX;
        x->unsaved = (x->unsaved + (known ? 1u : 0u)) & UNSAVED_MAX;
        x->restored = x->restored || x->owner != 0;
        if (x->restored || tick - x->tick < INT32_MAX) {
            x->tick = tick; /* of the last one that was stored */
        }
    }
    seen_unlock(h);
    return known;
}

/* One of the key's events needs it no more. until: only if it is not of later; NULL: any. */
static void let_go(struct seen *s, const struct seen_hash *key, const uint32_t *until)
{
    struct shard *h = &s->shards[key->hash[1] % N_SHARDS];
    struct entry *x;
    uint32_t i;

    seen_lock(h);
    i = seen_slot(s, h, key->hash);
    x = h->index[i] == 0 ? NULL : &h->ring[(uint32_t)h->index[i] - 1];
    if (x != NULL && (until == NULL || x->tick - *until > INT32_MAX)) {
        seen_one_less(x);
        if (x->unsaved == 0 && x->owner == 0) {
            seen_undo(s, h, x); /* else its request has not finished it yet */
        }
    }
    seen_unlock(h);
}

void seen_saved(struct seen *s, const struct seen_hash *key)
{
    let_go(s, key, NULL);
}

void seen_lost(struct seen *s, const struct seen_hash *key, double at_ms)
{
    const uint32_t until = (uint32_t)(int64_t)(at_ms / TICK_MS) + NEAR_TICKS;

    let_go(s, key, &until);
}

uint64_t seen_count(const struct seen *s)
{
    uint64_t n = 0;

    for (int i = 0; i < N_SHARDS; i++) {
        n += seen_shard_count(&s->shards[i]);
    }
    return n;
}

uint64_t seen_forgotten(const struct seen *s)
{
    return atomic_load_explicit(&s->forgotten, memory_order_relaxed);
}

uint64_t seen_n_full(const struct seen *s)
{
    return atomic_load_explicit(&s->full, memory_order_relaxed);
}

void seen_repeated(struct seen *s, uint32_t n)
{
    if (n > 0) {
        (void)atomic_fetch_add_explicit(&s->repeats, n, memory_order_relaxed);
    }
}

uint64_t seen_n_repeats(const struct seen *s)
{
    return atomic_load_explicit(&s->repeats, memory_order_relaxed);
}

void seen_passed(struct seen *s)
{
    (void)atomic_fetch_add_explicit(&s->passed, 1, memory_order_relaxed);
}

uint64_t seen_n_passed(const struct seen *s)
{
    return atomic_load_explicit(&s->passed, memory_order_relaxed);
}
