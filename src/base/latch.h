/*
 * latch - something that another thread says once, waited for with a deadline.
 *
 *   latch_init -> latch_open (any thread) · latch_wait (any thread) -> latch_fini
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct latch {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
};

void latch_init(struct latch *l);
void latch_fini(struct latch *l); /* no thread waits, and no other thread opens it any
                                     more */
void latch_open(struct latch *l);

/* False: it is not open, and until_ns (clock_mono_ns) has passed. */
bool latch_wait(struct latch *l, uint64_t until_ns);

/* A condition whose timed waits go by clock_mono_ns; and such a wait: false when
 * until_ns has passed. */
void latch_condition(pthread_cond_t *c);
bool latch_sleep(pthread_cond_t *c, pthread_mutex_t *lock, uint64_t until_ns);
