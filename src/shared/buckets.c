#include "shared/buckets.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/siphash.h"

enum { WAYS = 8, TIME_BITS = 40 };

static const double CLOCKS_DIFFER_MS = 5000;

#define TIME_MASK ((1ull << TIME_BITS) - 1)
/* The most debt of a bucket whose rate is given with each call. */
#define DEPTH_MAX (1ull << (TIME_BITS - 1))

/* Eight words, one cache line: hash << TIME_BITS | time; 0: free. */
struct set {
    _Alignas(64) _Atomic uint64_t words[WAYS];
};

struct buckets {
    atomic_uint refs;
    struct buckets_conf conf;
    struct siphash_key key;
    double units_per_ms;
    uint64_t interval; /* of a token, in units of time */
    uint64_t depth;    /* burst * interval: the most debt */
    uint64_t believed; /* depth, and by how much workers' clocks may differ */
    uint32_t n_sets;   /* a power of two */
    _Atomic uint64_t refused, forgotten;
    struct set *sets;
};

/* A unit of time is so small that a token's interval has 64 of them or more, and a
 * microsecond at most; 40 bits of it are two hours or more. */
static void choose_unit(struct buckets *b)
{
    double per_second = 1e6;

    if (b->conf.units_per_ms > 0) {
        b->units_per_ms = b->conf.units_per_ms;
        b->believed = DEPTH_MAX + (uint64_t)(CLOCKS_DIFFER_MS * b->units_per_ms);
        return;
    }
    while (per_second / b->conf.rate < 64 && per_second < 1e12) {
        per_second *= 2;
    }
    while (per_second / b->conf.rate * b->conf.burst > 0x1p39) {
        per_second /= 2; /* slow and deep: the whole debt must fit */
    }
    b->units_per_ms = per_second / 1000;
    b->interval = (uint64_t)llround(per_second / b->conf.rate);
    b->interval = b->interval == 0 ? 1 : b->interval;
    b->depth = b->interval * b->conf.burst;
    b->believed = b->depth + (uint64_t)(CLOCKS_DIFFER_MS * b->units_per_ms);
}

struct buckets *buckets_new(const struct buckets_conf *conf)
{
    struct buckets *b = mem_zalloc(sizeof *b);

    atomic_init(&b->refs, 1);
    b->conf = *conf;
    siphash_key_random(&b->key);
    choose_unit(b);
    /* A quarter full at most: of sets of eight, one in 4,000 is then too small. */
    b->n_sets = 1;
    while ((uint64_t)b->n_sets * WAYS < 4ull * conf->max_keys) {
        b->n_sets *= 2;
    }
    b->sets = aligned_alloc(sizeof(struct set), b->n_sets * sizeof(struct set));
    if (b->sets == NULL) {
        abort(); /* as mem_alloc does */
    }
    for (uint32_t i = 0; i < b->n_sets; i++) {
        for (int k = 0; k < WAYS; k++) {
            atomic_init(&b->sets[i].words[k], 0);
        }
    }
    return b;
}

struct buckets *buckets_ref(struct buckets *b)
{
    (void)atomic_fetch_add(&b->refs, 1);
    return b;
}

void buckets_unref(struct buckets *b)
{
    if (b != NULL && atomic_fetch_sub(&b->refs, 1) == 1) {
        free(b->sets);
        free(b);
    }
}

bool buckets_unshared(const struct buckets *b)
{
    return atomic_load(&b->refs) == 1;
}

bool buckets_are(const struct buckets *b, const struct buckets_conf *conf)
{
    return b->conf.rate == conf->rate && b->conf.burst == conf->burst &&
           b->conf.max_keys == conf->max_keys &&
           b->conf.units_per_ms == conf->units_per_ms;
}

/* How far ahead of now the word's time lies; a value that can't be a debt, such as a
 * time before now, or of another round of the 40 bits, counts as 0. */
static uint64_t debt_of(uint64_t believed, uint64_t word, uint64_t now)
{
    uint64_t ahead = (word - now) & TIME_MASK;

    return word == 0 || ahead > believed ? 0 : ahead;
}

/* The key's word in the set, else the free one or the one least in debt; and what it was
 * then: another thread may put another key there meanwhile. */
static _Atomic uint64_t *place_of(const struct buckets *b, struct set *s,
                                  uint64_t print, uint64_t now, uint64_t *was)
{
    _Atomic uint64_t *best = NULL;
    uint64_t least = UINT64_MAX;

    for (int i = 0; i < WAYS; i++) {
        uint64_t word = atomic_load_explicit(&s->words[i], memory_order_relaxed);
        uint64_t debt;

        if (word >> TIME_BITS == print) {
            *was = word;
            return &s->words[i];
        }
        debt = debt_of(b->believed, word, now);
        if (debt < least) {
            least = debt;
            best = &s->words[i];
            *was = word;
        }
    }
    return best;
}

/* Whether the key has a word before that one: another thread found another place for it at
 * the same time. */
static bool is_second(struct set *s, const _Atomic uint64_t *at, uint64_t print)
{
    for (int i = 0; &s->words[i] != at; i++) {
        if (atomic_load(&s->words[i]) >> TIME_BITS == print) {
            return true;
        }
    }
    return false;
}

static uint32_t wait_of(const struct buckets *b, uint64_t over)
{
    double ms = ceil((double)over / b->units_per_ms);

    return ms < 1 ? 1 : ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX - 1;
}

static uint32_t refuse(struct buckets *b, uint32_t ms)
{
    (void)atomic_fetch_add_explicit(&b->refused, 1, memory_order_relaxed);
    return ms;
}

/* The bucket of one call. */
struct shape {
    double burst;
    double interval; /* of a token */
    uint64_t depth;
    uint64_t believed; /* as in buckets */
};

static struct shape shape_of(const struct buckets *b, const struct bucket_rate *r)
{
    struct shape x = {b->conf.burst, (double)b->interval, b->depth, b->believed};
    double depth;

    if (r == NULL) {
        return x;
    }
    x.interval = b->units_per_ms * 1000 / r->rate;
    x.burst = r->burst;
    depth = x.interval * r->burst;
    if (depth > (double)DEPTH_MAX) { /* there is no room for a deeper one */
        x.burst = floor((double)DEPTH_MAX / x.interval);
        depth = (double)DEPTH_MAX;
    }
    x.depth = (uint64_t)llround(depth);
    x.believed = x.depth + (uint64_t)(CLOCKS_DIFFER_MS * b->units_per_ms);
    return x;
}

struct bucket_key {
    uint64_t print;
    struct set *set;
    uint64_t now;
};

static struct bucket_key key_of(const struct buckets *b, struct str key, double now_ms)
{
    uint64_t hash = siphash13(&b->key, key.p, key.n);
    uint64_t print = (hash >> TIME_BITS) == 0 ? 1 : hash >> TIME_BITS;

    return (struct bucket_key){print, &b->sets[hash & (b->n_sets - 1)],
                               (uint64_t)(now_ms * b->units_per_ms)};
}

uint32_t buckets_take_at(struct buckets *b, const struct bucket_rate *r, struct str key,
                         double n, double now_ms)
{
    const struct bucket_key k = key_of(b, key, now_ms);
    const struct shape x = shape_of(b, r);
    uint64_t price, debt, word = 0, next;
    _Atomic uint64_t *at;
    bool mine;

    if (!(n <= x.burst)) {
        return refuse(b, UINT32_MAX);
    }
    price = n > 0 ? (uint64_t)llround(n * x.interval) : 0;
    for (;;) {
        at = place_of(b, k.set, k.print, k.now, &word);
        mine = word >> TIME_BITS == k.print;
        debt = mine ? debt_of(x.believed, word, k.now) : 0;
        if (debt + price > x.depth) {
            return refuse(b, wait_of(b, debt + price - x.depth));
        }
        next = k.print << TIME_BITS | ((k.now + debt + price) & TIME_MASK);
        if (atomic_compare_exchange_weak(at, &word, next) &&
            (mine || !is_second(k.set, at, k.print) ||
             !atomic_compare_exchange_strong(at, &next, 0))) {
            break;
        }
    }
    if (!mine && debt_of(b->believed, word, k.now) > 0) {
        (void)atomic_fetch_add_explicit(&b->forgotten, 1, memory_order_relaxed);
    }
    return 0;
}

uint32_t buckets_take(struct buckets *b, struct str key, double n, double now_ms)
{
    return buckets_take_at(b, NULL, key, n, now_ms);
}

void buckets_give(struct buckets *b, const struct bucket_rate *r, struct str key,
                  double n, double now_ms)
{
    const struct bucket_key k = key_of(b, key, now_ms);
    const struct shape x = shape_of(b, r);
    uint64_t price = n > 0 ? (uint64_t)llround(n * x.interval) : 0, debt, word = 0,
             next;
    _Atomic uint64_t *at;

    do {
        at = place_of(b, k.set, k.print, k.now, &word);
        if (word >> TIME_BITS != k.print) {
            return; /* it was forgotten */
        }
        debt = debt_of(x.believed, word, k.now);
        debt = debt > price ? debt - price : 0;
        next = k.print << TIME_BITS | ((k.now + debt) & TIME_MASK);
    } while (!atomic_compare_exchange_weak_explicit(
        at, &word, next, memory_order_relaxed, memory_order_relaxed));
}

void buckets_look(const struct buckets *b, const struct bucket_rate *r, struct str key,
                  double n, double now_ms, struct limit_view *out)
{
    const struct bucket_key k = key_of(b, key, now_ms);
    const struct shape x = shape_of(b, r);
    uint64_t price = n > 0 ? (uint64_t)llround(n * x.interval) : 0, debt, word = 0;

    (void)place_of(b, k.set, k.print, k.now, &word);
    debt = word >> TIME_BITS == k.print ? debt_of(x.believed, word, k.now) : 0;
    out->limit = x.burst;
    out->left = debt >= x.depth ? 0 : floor((double)(x.depth - debt) / x.interval);
    out->reset_ms = (double)debt / b->units_per_ms;
    out->window_s = x.burst * x.interval / (b->units_per_ms * 1000);
    out->wait_ms = !(n <= x.burst)           ? LIMIT_NEVER
                   : debt + price <= x.depth ? 0
                                             : wait_of(b, debt + price - x.depth);
}

void buckets_count_refused(struct buckets *b)
{
    (void)refuse(b, 0);
}

double buckets_sweep_ms(const struct buckets *b)
{
    return (double)(TIME_MASK / 8) / b->units_per_ms;
}

void buckets_sweep(struct buckets *b, double now_ms)
{
    uint64_t now = (uint64_t)(now_ms * b->units_per_ms);

    for (uint32_t i = 0; i < b->n_sets; i++) {
        for (int k = 0; k < WAYS; k++) {
            _Atomic uint64_t *at = &b->sets[i].words[k];
            uint64_t word = atomic_load_explicit(at, memory_order_relaxed);

            if (word != 0 && debt_of(b->believed, word, now) == 0) {
                (void)atomic_compare_exchange_strong_explicit(
                    at, &word, 0, memory_order_relaxed, memory_order_relaxed);
            }
        }
    }
}

uint64_t buckets_refused(const struct buckets *b)
{
    return atomic_load_explicit(&b->refused, memory_order_relaxed);
}

uint64_t buckets_forgotten(const struct buckets *b)
{
    return atomic_load_explicit(&b->forgotten, memory_order_relaxed);
}
