#include "shared/quota.h"

#include <math.h>
#include <sched.h>
#include <stdlib.h>

#include "base/mem.h"
#include "shared/quota_table.h"

_Static_assert(QUOTA_MAX <= COUNT_MASK, "a place has room for it");
_Static_assert(COUNT_BITS + PRINT_BITS + EPOCH_BITS == 64, "they fill a word");

struct quota *quota_new(const struct quota_conf *conf)
{
    struct quota *q = mem_zalloc(sizeof *q);

    atomic_init(&q->refs, 1);
    q->conf = *conf;
    siphash_key_random(&q->key);
    q->n_sets = 1;
    while ((uint64_t)q->n_sets * QUOTA_WAYS < 2ull * conf->max_keys) {
        q->n_sets *= 2;
    }
    atomic_init(&q->now, 1);
    atomic_init(&q->began, 1);
    q->sets =
        aligned_alloc(sizeof(struct quota_set), q->n_sets * sizeof(struct quota_set));
    if (q->sets == NULL) {
        abort(); /* as mem_alloc does */
    }
    for (uint32_t i = 0; i < q->n_sets; i++) {
        for (int k = 0; k < QUOTA_WAYS; k++) {
            atomic_init(&q->sets[i].places[k].hash, 0);
            atomic_init(&q->sets[i].places[k].usage, 0);
        }
    }
    return q;
}

struct quota *quota_ref(struct quota *q)
{
    (void)atomic_fetch_add(&q->refs, 1);
    return q;
}

void quota_unref(struct quota *q)
{
    if (q != NULL && atomic_fetch_sub(&q->refs, 1) == 1) {
        free(q->sets);
        free(q);
    }
}

bool quota_unshared(const struct quota *q)
{
    return atomic_load(&q->refs) == 1;
}

uint32_t quota_window_s(const struct quota *q)
{
    return q->conf.window_s;
}

static uint64_t load(const _Atomic uint64_t *x)
{
    return atomic_load_explicit(x, memory_order_relaxed);
}

static bool swap(_Atomic uint64_t *x, uint64_t before, uint64_t after)
{
    /* In one order with `unsaved`: a save that says that all is saved has seen it. */
    return atomic_compare_exchange_strong(x, &before, after);
}

/* The epoch and its window by a clock; of a window that has just ended another one, unless
 * it is the one that the epoch began with. */
static uint64_t now_at(uint64_t now, uint64_t began, uint64_t window)
{
    uint64_t epoch = now & EPOCH_MASK, before = now >> EPOCH_BITS;

    if (window == before || window + 1 == before) {
        return now;
    }
    if (window > before && (window << EPOCH_BITS | epoch) != began) {
        epoch = epoch == EPOCH_MASK ? 1 : epoch + 1;
    }
    return window << EPOCH_BITS | epoch;
}

static uint64_t window_of(const struct quota *q, double wall_ms)
{
    double window = floor(wall_ms / 1000 / q->conf.window_s);

    return window < 1 ? 1 : window > 0x1p43 ? 1ull << 43 : (uint64_t)window;
}

/* Now, after the window has changed if it has. */
static uint64_t advance(struct quota *q, double wall_ms)
{
    uint64_t window = window_of(q, wall_ms), now, then;

    for (;;) {
        now = load(&q->now);
        then = now_at(now, load(&q->began), window);
        if (then == now) {
            return then;
        }
        if (swap(&q->now, now, then)) {
            if (((now ^ then) & EPOCH_MASK) != 0) {
                atomic_store(&q->began, then);
            }
            return then;
        }
    }
}

/* Until the end of now's window. */
static double reset_of(const struct quota *q, uint64_t now, double wall_ms)
{
    double end = (double)((now >> EPOCH_BITS) + 1) * q->conf.window_s * 1000;

    return end - wall_ms < 1 ? 1 : end - wall_ms;
}

struct found {
    struct quota_place *place;
    uint64_t hash, usage; /* as they were read */
    bool mine;
};

/* The key's place in its set; else the one that has used least in this epoch. */
static struct found find(const struct quota *q, uint64_t hash, uint64_t epoch)
{
    struct quota_set *s = &q->sets[hash & (q->n_sets - 1)];
    struct found best = {NULL, 0, 0, false};
    uint64_t least = UINT64_MAX;

    for (int i = 0; i < QUOTA_WAYS; i++) {
        struct quota_place *p = &s->places[i];
        uint64_t has = load(&p->hash), usage = load(&p->usage);
        uint64_t n = has == 0 ? 0 : quota_count(usage, epoch, has);

        if (has == hash) {
            return (struct found){p, has, usage, true};
        }
        if (n < least) {
            least = n;
            best = (struct found){p, has, usage, false};
        }
    }
    return best;
}

static uint64_t hash_of(const struct quota *q, struct str key)
{
    uint64_t hash = siphash13(&q->key, key.p, key.n);

    return hash == 0 ? 1 : hash;
}

void quota_count_refused(struct quota *q)
{
    (void)atomic_fetch_add_explicit(&q->refused, 1, memory_order_relaxed);
}

static uint32_t refuse(struct quota *q, double ms)
{
    quota_count_refused(q);
    return ms < UINT32_MAX ? (uint32_t)ceil(ms) : UINT32_MAX;
}

static void use(struct quota *q)
{
    if (!atomic_load(&q->unsaved)) {
        atomic_store(&q->unsaved, true);
    }
}

enum { ADD_TRIES = 1000 }; /* less than a millisecond */

/* A place for a key that has none, with n used. Threads that add to one set do so one after
 * the other: a place whose key is new, and whose count is not there yet, looks free. One
 * that does not come to its end holds nobody up. False: try again. */
static bool add(struct quota *q, uint64_t hash, uint64_t epoch, uint64_t n)
{
    atomic_bool *adding = &q->adding[(hash & (q->n_sets - 1)) % QUOTA_ADDERS];
    bool alone = false, done = false;
    struct found f;

    for (int i = 0; i < ADD_TRIES && !alone; i++) {
        alone = !atomic_exchange(adding, true);
        if (!alone) {
            (void)sched_yield();
        }
    }
    f = find(q, hash, epoch);
    if (!f.mine && swap(&f.place->hash, f.hash, hash)) {
        done = swap(&f.place->usage, f.usage, quota_usage(epoch, hash, n));
        if (done && f.hash != 0 && quota_count(f.usage, epoch, f.hash) > 0) {
            (void)atomic_fetch_add_explicit(&q->forgotten, 1, memory_order_relaxed);
        }
        if (!done && quota_count(load(&f.place->usage), epoch, hash) == 0) {
            (void)swap(&f.place->hash, hash, f.hash); /* its key has used some by now */
        }
    }
    if (alone) {
        atomic_store(adding, false);
    }
    return done;
}

uint32_t quota_take(struct quota *q, struct str key, double n, uint64_t quota,
                    double wall_ms)
{
    uint64_t hash = hash_of(q, key), now = advance(q, wall_ms), want, used;
    uint64_t epoch = now & EPOCH_MASK;
    struct found f;

    quota = quota < QUOTA_MAX ? quota : QUOTA_MAX;
    if (!(n <= (double)quota)) {
        return refuse(q, LIMIT_NEVER);
    }
    want = n > 0 ? (uint64_t)llround(n) : 0;
    for (;;) {
        f = find(q, hash, epoch);
        used = f.mine ? quota_count(f.usage, epoch, hash) : 0;
        if (used + want > quota) {
            return refuse(q, reset_of(q, now, wall_ms));
        }
        if (f.mine
                ? swap(&f.place->usage, f.usage, quota_usage(epoch, hash, used + want))
                : add(q, hash, epoch, want)) {
            use(q);
            return 0;
        }
    }
}

void quota_give(struct quota *q, struct str key, double n, double wall_ms)
{
    uint64_t hash = hash_of(q, key), epoch = advance(q, wall_ms) & EPOCH_MASK;
    uint64_t want = n > 0 ? (uint64_t)llround(n) : 0, used;
    struct found f;

    do {
        f = find(q, hash, epoch);
        used = f.mine ? quota_count(f.usage, epoch, hash) : 0;
        if (used == 0) {
            return; /* it was forgotten, or was of the window before */
        }
        used = used > want ? used - want : 0;
    } while (!swap(&f.place->usage, f.usage, quota_usage(epoch, hash, used)));
    use(q);
}

void quota_look(struct quota *q, struct str key, double n, uint64_t quota,
                double wall_ms, struct limit_view *out)
{
    uint64_t hash = hash_of(q, key);
    uint64_t now = advance(q, wall_ms); /* also when nothing is taken for days */
    struct found f = find(q, hash, now & EPOCH_MASK);
    uint64_t used = f.mine ? quota_count(f.usage, now & EPOCH_MASK, hash) : 0;

    quota = quota < QUOTA_MAX ? quota : QUOTA_MAX;
    out->limit = (double)quota;
    out->left = used < quota ? (double)(quota - used) : 0;
    out->reset_ms = reset_of(q, now, wall_ms);
    out->window_s = q->conf.window_s;
    out->wait_ms = !(n <= (double)quota) ? LIMIT_NEVER
                   : n <= out->left      ? 0
                                         : ceil(out->reset_ms);
}

void quota_put(struct quota *q, uint64_t hash, uint64_t n)
{
    uint64_t epoch = load(&q->now) & EPOCH_MASK;
    struct found f = find(q, hash, epoch);

    if (hash != 0 && n > 0 && n <= QUOTA_MAX) {
        atomic_store(&f.place->hash, hash);
        atomic_store(&f.place->usage, quota_usage(epoch, hash, n));
    }
}

uint64_t quota_refused(const struct quota *q)
{
    return load(&q->refused);
}

uint64_t quota_forgotten(const struct quota *q)
{
    return load(&q->forgotten);
}
