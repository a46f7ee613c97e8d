/*
 * shared - what workers pay for what they share, a call: a token bucket of a limit,
 * a key that dedup remembers; one thread alone, and two at once.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "shared/buckets.h"
#include "shared/seen.h"

enum { CALLS = 1000000, KEYS = 10000, REMEMBERED = 200000 };

struct job {
    struct buckets *buckets;
    struct seen *seen;
    unsigned n_keys; /* of a limit; 1: all threads want the same bucket */
    unsigned number;
    uint64_t ns;
};

static struct str key_of(char text[32], unsigned long n)
{
    return (struct str){text, (size_t)snprintf(text, 32, "event-%012lu", n)};
}

static void *take(void *arg)
{
    static _Thread_local char keys[KEYS][32];
    struct job *j = arg;
    uint64_t began;

    for (unsigned i = 0; i < j->n_keys; i++) {
        (void)key_of(keys[i], i);
    }
    began = clock_mono_ns();
    for (unsigned i = 0; i < CALLS; i++) {
        (void)buckets_take(j->buckets, (struct str){keys[i % j->n_keys], 18}, 1,
                           1000 + i / 1000);
    }
    j->ns = clock_mono_ns() - began;
    return NULL;
}

/* Half of the keys are the other thread's too. */
static void *remember(void *arg)
{
    struct job *j = arg;
    uint64_t began = clock_mono_ns(), other;
    char text[32];

    for (unsigned i = 0; i < CALLS; i += 200) {
        uint64_t owner = seen_begin(j->seen);
        uint32_t chain = 0;

        for (unsigned k = i; k < i + 200; k++) {
            unsigned long n = k % 2 == 0 ? k : k + j->number * 10000000ul;

            struct seen_hash h = seen_hash_of(j->seen, key_of(text, n), SEEN_TEXT);

            (void)seen_ask(j->seen, &h, owner, (struct seen_when){1000, 0}, &chain,
                           &other);
        }
        seen_finish(j->seen, owner, chain, true);
    }
    j->ns = clock_mono_ns() - began;
    return NULL;
}

/* Of the writing of keys alone, which remember() does in between. */
static double writing(void)
{
    uint64_t began = clock_mono_ns();
    char text[32];
    size_t n = 0;

    for (unsigned i = 0; i < CALLS; i++) {
        n += key_of(text, i).n;
    }
    return n == 0 ? 0 : (double)(clock_mono_ns() - began) / CALLS;
}

static double run(void *(*work)(void *), unsigned n_threads, unsigned n_keys)
{
    struct job jobs[2];
    pthread_t threads[2];
    struct buckets *b = buckets_new(
        &(struct buckets_conf){.rate = 1e6, .burst = 1000000, .max_keys = KEYS});
    struct seen *s =
        seen_new(&(struct seen_conf){.window_ms = 3600000, .max_keys = REMEMBERED});
    double ns = 0;

    for (unsigned i = 0; i < n_threads; i++) {
        jobs[i] = (struct job){b, s, n_keys, i + 1, 0};
        (void)pthread_create(&threads[i], NULL, work, &jobs[i]);
    }
    for (unsigned i = 0; i < n_threads; i++) {
        (void)pthread_join(threads[i], NULL);
        ns += (double)jobs[i].ns / n_threads / CALLS;
    }
    buckets_unref(b);
    seen_unref(s);
    return ns;
}

int main(void)
{
    double key = writing();

    (void)printf("# shared: a limit's bucket, %u keys: %.0f ns; two threads: %.0f\n",
                 KEYS, run(take, 1, KEYS), run(take, 2, KEYS));
    (void)printf("# shared: a limit's bucket, one key: %.0f ns; two threads: %.0f\n",
                 run(take, 1, 1), run(take, 2, 1));
    (void)printf("# shared: a new key remembered and settled, the table full of %u: "
                 "%.0f ns; two threads with half of them in common: %.0f\n",
                 REMEMBERED, run(remember, 1, 0) - key, run(remember, 2, 0) - key);
    return 0;
}
