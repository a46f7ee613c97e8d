/*
 * A shard is a ring of entries in the order of their first time, the oldest at
 * its tail, and an index of open addressing over their hashes:
 *
 *   tail ─► [expired][settled][settled][undone][pending][settled] ◄─ head
 *
 * All keys have one window, so that they expire in the ring's order. With persist the
 * ring is a heap of places instead: they become free as keys are saved or undone.
 */
#include "shared/seen.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/mem.h"
#include "base/siphash.h"

enum { N_SHARDS = 64, POPS_MAX = 16, SPINS = 200, N_OWNERS = 16384 };

static const double TICK_MS = 10; /* 32 bits of it are 497 days */

struct entry {
    uint64_t hash[2]; /* both 0: undone */
    uint64_t owner;   /* 0: settled */
    uint32_t tick;    /* of its first time; persist: whether it is saved already */
    uint32_t next;    /* of its owner's chain */
};

struct shard {
    _Alignas(64) atomic_flag lock;
    _Atomic uint32_t count; /* entries between tail and head; written locked */
    uint32_t tail;
    uint32_t free; /* persist: 1 + a place that was given back; linked by next */
    uint32_t used; /* persist: places that were given out at least once */
    struct entry *ring;
    /* 1 + place in the ring, above it 32 bits of the hash, so that few entries are
     * looked at in vain; 0: free. */
    uint64_t *index;
};

struct seen {
    atomic_uint refs;
    struct seen_conf conf;
    struct siphash_key key;
    struct keystore *store;
    uint32_t room; /* of a ring */
    uint32_t mask; /* of an index */
    uint32_t window_ticks;
    _Atomic uint64_t serial;           /* of the last owner */
    _Atomic uint64_t owners[N_OWNERS]; /* serial << 2 | enum seen_fate */
    _Atomic uint64_t forgotten;
    _Atomic uint64_t results[SEEN_RESULTS]; /* but SEEN_NEW's */
    _Atomic uint64_t passed;
    struct shard shards[N_SHARDS];
};

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
    s->window_ticks = (uint32_t)((double)conf->window_ms / TICK_MS) + 1;
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

static void lock(struct shard *h)
{
    for (int i = 0; atomic_flag_test_and_set_explicit(&h->lock, memory_order_acquire);
         i++) {
        if (i > SPINS) {
            (void)sched_yield(); /* its holder was preempted */
        }
    }
}

static void unlock(struct shard *h)
{
    atomic_flag_clear_explicit(&h->lock, memory_order_release);
}

static uint32_t count_of(const struct shard *h)
{
    return atomic_load_explicit(&h->count, memory_order_relaxed);
}

/* The index's slot of that hash, or the free one where it would be. */
static uint32_t slot_of(const struct seen *s, const struct shard *h,
                        const uint64_t hash[2])
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

/* Frees a slot; those behind it that were displaced move up (Knuth, 6.4, R). */
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

static void undo(const struct seen *s, struct shard *h, struct entry *x)
{
    index_remove(s, h, slot_of(s, h, x->hash));
    x->hash[0] = x->hash[1] = 0;
    x->owner = 0;
    if (s->conf.persist) {
        x->next = h->free;
        h->free = (uint32_t)(x - h->ring) + 1;
        atomic_store_explicit(&h->count, count_of(h) - 1, memory_order_relaxed);
    }
}

static bool expired(const struct seen *s, const struct entry *x, uint32_t now)
{
    return x->owner == 0 && now - x->tick > s->window_ticks && !s->conf.persist;
}

static void pop(const struct seen *s, struct shard *h)
{
    struct entry *x = &h->ring[h->tail];

    if (!undone(x)) {
        undo(s, h, x);
    }
    h->tail = h->tail + 1 == s->room ? 0 : h->tail + 1;
    atomic_store_explicit(&h->count, count_of(h) - 1, memory_order_relaxed);
}

/* Room for one more; false: the oldest is still pending. */
static bool make_room(struct seen *s, struct shard *h, uint32_t now)
{
    for (int i = 0; i < POPS_MAX && count_of(h) > 0; i++) {
        const struct entry *x = &h->ring[h->tail];

        if (!undone(x) && !expired(s, x, now)) {
            break;
        }
        pop(s, h);
    }
    if (count_of(h) < s->room) {
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
        *at = h->tail + count_of(h);
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

static enum seen_result reserve(struct seen *s, struct shard *h, const uint64_t hash[2],
                                uint64_t owner, uint32_t now, uint32_t *chain)
{
    uint32_t at;

    if (!take_place(s, h, now, &at)) {
        return SEEN_FULL;
    }
    h->ring[at] =
        (struct entry){{hash[0], hash[1]}, owner, s->conf.persist ? 0 : now, *chain};
    /* Popping has moved slots. */
    h->index[slot_of(s, h, hash)] = (uint64_t)(uint32_t)hash[0] << 32 | (at + 1);
    atomic_store_explicit(&h->count, count_of(h) + 1, memory_order_relaxed);
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

static enum seen_result counted(struct seen *s, enum seen_result r)
{
    if (r != SEEN_NEW) {
        (void)atomic_fetch_add_explicit(&s->results[r], 1, memory_order_relaxed);
    }
    return r;
}

struct seen_hash seen_hash_of(const struct seen *s, struct str key, enum seen_kind kind)
{
    struct seen_hash h;

    siphash24_128(&s->key, key.p, key.n, h.hash);
    h.hash[0] ^= (uint64_t)kind; /* as good a hash, of something else */
    h.hash[0] += h.hash[0] == 0; /* both 0 means undone */
    return h;
}

enum seen_result seen_ask(struct seen *s, const struct seen_hash *key, uint64_t owner,
                          double now_ms, uint32_t *chain, uint64_t *other)
{
    uint32_t now = (uint32_t)(uint64_t)(now_ms / TICK_MS), i;
    const uint64_t *hash = key->hash;
    struct shard *h = &s->shards[hash[1] % N_SHARDS];
    enum seen_result r;

    lock(h);
    i = slot_of(s, h, hash);
    if (h->index[i] != 0) {
        struct entry *x = &h->ring[(uint32_t)h->index[i] - 1];

        if (!expired(s, x, now)) {
            r = x->owner == 0 ? SEEN_BEFORE : x->owner == owner ? SEEN_MINE : SEEN_BUSY;
            *other = x->owner;
            unlock(h);
            return counted(s, r);
        }
        undo(s, h, x);
    }
    r = reserve(s, h, hash, owner, now, chain);
    unlock(h);
    return counted(s, r);
}

/* The undone ones at the head take no room: requests that fail for long must not push
 * out remembered keys. */
static void trim(const struct seen *s, struct shard *h)
{
    uint32_t n = count_of(h);

    while (n > 0 && !s->conf.persist) {
        uint32_t last = h->tail + n - 1;

        if (!undone(&h->ring[last >= s->room ? last - s->room : last])) {
            break;
        }
        n--;
    }
    atomic_store_explicit(&h->count, n, memory_order_relaxed);
}

void seen_finish(struct seen *s, uint64_t owner, uint32_t chain, bool stored)
{
    while (chain != 0) {
        struct shard *h = &s->shards[(chain - 1) / s->room];
        struct entry *x = &h->ring[(chain - 1) % s->room];

        lock(h);
        chain = x->next;
        if (stored && !(s->conf.persist && x->tick != 0)) {
            x->owner = 0;
        } else {
            undo(s, h, x);
            trim(s, h);
        }
        unlock(h);
    }
    /* After the keys: a request that waits for it may ask for them again. */
    atomic_store_explicit(&s->owners[owner % N_OWNERS],
                          owner << 2 | (stored ? SEEN_STORED : SEEN_LOST),
                          memory_order_release);
}

bool seen_restore(struct seen *s, const struct seen_hash *key)
{
    struct shard *h = &s->shards[key->hash[1] % N_SHARDS];
    uint32_t none = 0;
    bool known;

    lock(h);
    known = h->index[slot_of(s, h, key->hash)] != 0 ||
            reserve(s, h, key->hash, 0, 0, &none) == SEEN_NEW;
    unlock(h);
    return known;
}

void seen_saved(struct seen *s, const struct seen_hash *key)
{
    struct shard *h = &s->shards[key->hash[1] % N_SHARDS];
    uint32_t i;

    lock(h);
    i = slot_of(s, h, key->hash);
    if (h->index[i] != 0) {
        struct entry *x = &h->ring[(uint32_t)h->index[i] - 1];

        if (x->owner == 0) {
            undo(s, h, x);
        } else {
            x->tick = 1; /* its request has not finished it yet */
        }
    }
    unlock(h);
}

uint64_t seen_count(const struct seen *s)
{
    uint64_t n = 0;

    for (int i = 0; i < N_SHARDS; i++) {
        n += count_of(&s->shards[i]);
    }
    return n;
}

uint64_t seen_forgotten(const struct seen *s)
{
    return atomic_load_explicit(&s->forgotten, memory_order_relaxed);
}

uint64_t seen_results(const struct seen *s, enum seen_result r)
{
    return atomic_load_explicit(&s->results[r], memory_order_relaxed);
}

void seen_repeat(struct seen *s)
{
    (void)counted(s, SEEN_BEFORE);
}

void seen_passed(struct seen *s)
{
    (void)atomic_fetch_add_explicit(&s->passed, 1, memory_order_relaxed);
}

uint64_t seen_n_passed(const struct seen *s)
{
    return atomic_load_explicit(&s->passed, memory_order_relaxed);
}
