/*
 * A shard is a ring of entries in the order of their first time, the oldest at
 * its tail, and an index of open addressing over their hashes:
 *
 *   tail ─► [expired][settled][settled][undone][pending][settled] ◄─ head
 *
 * All keys have one window, so that they expire in the ring's order. With persist the
 * ring is a heap of places instead: they become free as keys are saved or undone.
 */
#include "shared/internal.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/mem.h"

enum { POPS_MAX = 16, SPINS = 200 };

static const uint32_t BEHIND_TICKS =
    360000; /* by which a caller's clock may be behind */
static const uint32_t OVER_TICKS = 4000000000u; /* 463 days: longer than any window */

static uint32_t ticks_of(int64_t window_ms)
{
    return (uint32_t)((double)window_ms / TICK_MS) + 1;
}

struct seen *seen_new(const struct seen_conf *conf)
{
    struct seen *s = aligned_alloc(64, sizeof *s);
    uint32_t n = conf->max_keys / N_SHARDS, slack = 16;

    if (s == NULL) {
        abort(); /* as mem_alloc does */
    }
    memset(s, 0, sizeof *s);
    atomic_init(&s->refs, 1);
    s->conf = *conf;
    siphash_key_random(&s->key);
    for (int i = 0; i < N_OWNERS; i++) {
        atomic_init(&s->owners[i], SEEN_LOST);
    }
    /* Shards fill unevenly; six standard deviations are enough for all. */
    while (slack * slack < 36 * n) {
        slack += 16;
    }
    s->room = n + slack;
    s->mask = 1;
    while (s->mask < 2 * s->room) {
        s->mask *= 2;
    }
    s->mask--;
    s->window_ticks = ticks_of(conf->window_ms);
    for (int i = 0; i < N_SHARDS; i++) {
        atomic_flag_clear(&s->shards[i].lock);
        s->shards[i].ring = mem_zalloc(s->room * sizeof(struct entry));
        s->shards[i].index = mem_zalloc((s->mask + 1) * sizeof(uint64_t));
    }
    return s;
}

struct seen *seen_ref(struct seen *s)
{
    (void)atomic_fetch_add(&s->refs, 1);
    return s;
}

void seen_unref(struct seen *s)
{
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) != 1) {
        return;
    }
    for (int i = 0; i < N_SHARDS; i++) {
        free(s->shards[i].ring);
        free(s->shards[i].index);
    }
    free(s);
}

unsigned seen_refs(const struct seen *s)
{
    return atomic_load(&s->refs);
}

bool seen_unshared(const struct seen *s)
{
    return seen_refs(s) == 1;
}

bool seen_is(const struct seen *s, const struct seen_conf *conf)
{
    return s->conf.window_ms == conf->window_ms && s->conf.max_keys == conf->max_keys &&
           s->conf.persist == conf->persist;
}

void seen_lock(struct shard *h)
{
    for (int i = 0; atomic_flag_test_and_set_explicit(&h->lock, memory_order_acquire);
         i++) {
        if (i > SPINS) {
            (void)sched_yield(); /* its holder was preempted */
        }
    }
}

void seen_unlock(struct shard *h)
{
    atomic_flag_clear_explicit(&h->lock, memory_order_release);
}

uint32_t seen_slot(const struct seen *s, const struct shard *h, const uint64_t hash[2])
{
    uint32_t i = (uint32_t)hash[0] & s->mask;

    for (; h->index[i] != 0; i = (i + 1) & s->mask) {
        const struct entry *x = &h->ring[(uint32_t)h->index[i] - 1];

        if (h->index[i] >> 32 == (uint32_t)hash[0] && x->hash[0] == hash[0] &&
            x->hash[1] == hash[1]) {
            break;
        }
    }
    return i;
}

/* Frees a slot; those after it that were displaced move up (Knuth, 6.4, R). */
static void index_remove(const struct seen *s, struct shard *h, uint32_t i)
{
    uint32_t hole = i;

    for (;;) {
        uint32_t home;

        i = (i + 1) & s->mask;
        if (h->index[i] == 0) {
            break;
        }
        home = (uint32_t)(h->index[i] >> 32) & s->mask;
        if (((i - home) & s->mask) >= ((i - hole) & s->mask)) {
            h->index[hole] = h->index[i];
            hole = i;
        }
    }
    h->index[hole] = 0;
}

static bool undone(const struct entry *x)
{
    return x->hash[0] == 0 && x->hash[1] == 0;
}

void seen_undo(const struct seen *s, struct shard *h, struct entry *x)
{
    index_remove(s, h, seen_slot(s, h, x->hash));
    x->hash[0] = x->hash[1] = 0;
    x->owner = 0;
    if (s->conf.persist) {
        x->next = h->free;
        h->free = (uint32_t)(x - h->ring) + 1;
        atomic_store_explicit(&h->count, seen_shard_count(h) - 1, memory_order_relaxed);
    }
}

/* Workers look at the clock once a turn: the key may be from after the caller's now. */
static bool expired(const struct entry *x, uint32_t now, uint32_t window_ticks)
{
    uint32_t age = now - x->tick;

    return x->owner == 0 && age > window_ticks && age < UINT32_MAX - BEHIND_TICKS;
}

static void pop(const struct seen *s, struct shard *h)
{
    struct entry *x = &h->ring[h->tail];

    if (!undone(x)) {
        seen_undo(s, h, x);
    }
    h->tail = h->tail + 1 == s->room ? 0 : h->tail + 1;
    atomic_store_explicit(&h->count, seen_shard_count(h) - 1, memory_order_relaxed);
}

/* Room for one more; false: the oldest is still pending. */
static bool make_room(struct seen *s, struct shard *h, uint32_t now)
{
    for (int i = 0; i < POPS_MAX && seen_shard_count(h) > 0; i++) {
        const struct entry *x = &h->ring[h->tail];

        if (!undone(x) && !expired(x, now, s->window_ticks)) {
            break;
        }
        pop(s, h);
    }
    if (seen_shard_count(h) < s->room) {
        return true;
    }
    if (h->ring[h->tail].owner != 0) {
        return false;
    }
    (void)atomic_fetch_add_explicit(&s->forgotten, 1, memory_order_relaxed);
    pop(s, h);
    return true;
}

/* A free place of the ring, or of the heap. False: there is none. */
static bool take_place(struct seen *s, struct shard *h, uint32_t now, uint32_t *at)
{
    if (!s->conf.persist) {
        if (!make_room(s, h, now)) {
            return false;
        }
        *at = h->tail + seen_shard_count(h);
        *at -= *at >= s->room ? s->room : 0;
        return true;
    }
    if (h->free != 0) {
        *at = h->free - 1;
        h->free = h->ring[*at].next;
        return true;
    }
    *at = h->used;
    h->used += h->used < s->room;
    return *at < s->room;
}

enum seen_result seen_reserve(struct seen *s, struct shard *h, const uint64_t hash[2],
                              uint64_t owner, uint32_t now, uint32_t *chain)
{
    uint32_t at;

    if (!take_place(s, h, now, &at)) {
        return SEEN_FULL;
    }
    h->ring[at] =
        (struct entry){{hash[0], hash[1]}, owner & OWNER_MASK, 1, 0, now, *chain};
    /* Popping has moved slots. */
    h->index[seen_slot(s, h, hash)] = (uint64_t)(uint32_t)hash[0] << 32 | (at + 1);
    atomic_store_explicit(&h->count, seen_shard_count(h) + 1, memory_order_relaxed);
    *chain = (uint32_t)(h - s->shards) * s->room + at + 1;
    return SEEN_NEW;
}

static bool pending(const struct seen *s, uint64_t serial)
{
    return (atomic_load_explicit(&s->owners[serial % N_OWNERS], memory_order_relaxed) &
            3) == SEEN_PENDING;
}

/* An owner that is still pending when its place comes round again keeps it: the
 * one in its place takes the next. More than all places can't be pending: each
 * worker has at most 10,000 requests that wait, and few of them for long. */
uint64_t seen_begin(struct seen *s)
{
    uint64_t serial;
    int tries = 0;

    do {
        serial = 1 + atomic_fetch_add_explicit(&s->serial, 1, memory_order_relaxed);
    } while (pending(s, serial) && ++tries < N_OWNERS);
    atomic_store_explicit(&s->owners[serial % N_OWNERS], serial << 2 | SEEN_PENDING,
                          memory_order_release);
    return serial;
}

enum seen_fate seen_fate(const struct seen *s, uint64_t owner)
{
    uint64_t word =
        atomic_load_explicit(&s->owners[owner % N_OWNERS], memory_order_acquire);

    return word >> 2 != owner ? SEEN_LOST : (enum seen_fate)(word & 3);
}

struct seen_hash seen_hash_of(const struct seen *s, struct str key, enum seen_kind kind)
{
    struct seen_hash h;

    siphash24_128(&s->key, key.p, key.n, h.hash);
    h.hash[0] ^= (uint64_t)kind; /* as good a hash, of something else */
    h.hash[0] += h.hash[0] == 0; /* both 0 means undone */
    return h;
}

/* Persist: the key's window is over, and its event may still wait to be saved. */
static enum seen_result reserve_again(const struct seen *s, struct shard *h,
                                      struct entry *x, uint64_t owner, uint32_t now,
                                      uint32_t *chain)
{
    if (x->unsaved == UNSAVED_MAX) {
        return SEEN_FULL;
    }
    x->unsaved = (x->unsaved + 1u) & UNSAVED_MAX;
    x->owner = owner & OWNER_MASK;
    x->restored = 0;
    x->tick = now;
    x->next = *chain;
    *chain = (uint32_t)(h - s->shards) * s->room + (uint32_t)(x - h->ring) + 1;
    return SEEN_NEW;
}

/* Under the lock. */
static enum seen_result ask(struct seen *s, struct shard *h, const uint64_t *hash,
                            uint64_t owner, const struct seen_when *when,
                            uint32_t *chain, uint64_t *other)
{
    const uint32_t now = (uint32_t)(uint64_t)(when->now_ms / TICK_MS);
    const uint32_t i = seen_slot(s, h, hash);

    if (h->index[i] != 0) {
        struct entry *x = &h->ring[(uint32_t)h->index[i] - 1];

        if (!expired(x, now,
                     s->conf.persist ? ticks_of(when->window_ms) : s->window_ticks)) {
            *other = x->owner;
            return x->owner == 0       ? SEEN_BEFORE
                   : x->owner == owner ? SEEN_MINE
                                       : SEEN_BUSY;
        }
        if (s->conf.persist) {
            return reserve_again(s, h, x, owner, now, chain);
        }
        seen_undo(s, h, x);
    }
    return seen_reserve(s, h, hash, owner, now, chain);
}

enum seen_result seen_ask(struct seen *s, const struct seen_hash *key, uint64_t owner,
                          struct seen_when when, uint32_t *chain, uint64_t *other)
{
    struct shard *h = &s->shards[key->hash[1] % N_SHARDS];
    enum seen_result r;

    seen_lock(h);
    r = ask(s, h, key->hash, owner, &when, chain, other);
    seen_unlock(h);
    if (UNLIKELY(r == SEEN_FULL)) {
        (void)atomic_fetch_add_explicit(&s->full, 1, memory_order_relaxed);
    }
    return r;
}

/* The undone ones at the head take no room: requests that fail for long must not push
 * out remembered keys. */
static void trim(const struct seen *s, struct shard *h)
{
    uint32_t n = seen_shard_count(h);

    while (n > 0 && !s->conf.persist) {
        uint32_t last = h->tail + n - 1;

        if (!undone(&h->ring[last >= s->room ? last - s->room : last])) {
            break;
        }
        n--;
    }
    atomic_store_explicit(&h->count, n, memory_order_relaxed);
}

/* Persist: one that was not stored; if it was reserved again, the event before it is
 * still to be saved. */
static void unstore(const struct seen *s, struct shard *h, struct entry *x)
{
    seen_one_less(x);
    if (x->unsaved == 0 || !s->conf.persist) {
        seen_undo(s, h, x);
        trim(s, h);
        return;
    }
    x->owner = 0;
    x->tick -= x->restored ? 0 : OVER_TICKS;
}

void seen_finish(struct seen *s, uint64_t owner, uint32_t chain, bool stored)
{
    while (chain != 0) {
        struct shard *h = &s->shards[(chain - 1) / s->room];
        struct entry *x = &h->ring[(chain - 1) % s->room];

        seen_lock(h);
        chain = x->next;
        if (!stored) {
            unstore(s, h, x);
        } else if (s->conf.persist && x->unsaved == 0) {
            seen_undo(s, h, x);
        } else {
            x->owner = 0;
        }
        seen_unlock(h);
    }
    /* After the keys: a request that waits for it may ask for them again. */
    atomic_store_explicit(&s->owners[owner % N_OWNERS],
                          owner << 2 | (stored ? SEEN_STORED : SEEN_LOST),
                          memory_order_release);
}
