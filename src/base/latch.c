#include "base/latch.h"

#include <errno.h>
#include <time.h>

void latch_condition(pthread_cond_t *c)
{
    pthread_condattr_t attr;

    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(c, &attr);
    (void)pthread_condattr_destroy(&attr);
}

bool latch_sleep(pthread_cond_t *c, pthread_mutex_t *lock, uint64_t until_ns)
{
    const struct timespec t = {(time_t)(until_ns / 1000000000u),
                               (long)(until_ns % 1000000000u)};

    return pthread_cond_timedwait(c, lock, &t) != ETIMEDOUT;
}

void latch_init(struct latch *l)
{
    l->open = false;
    (void)pthread_mutex_init(&l->lock, NULL);
    latch_condition(&l->changed);
}

void latch_fini(struct latch *l)
{
    (void)pthread_mutex_lock(&l->lock); /* latch_open has let go of it */
    (void)pthread_mutex_unlock(&l->lock);
    (void)pthread_cond_destroy(&l->changed);
    (void)pthread_mutex_destroy(&l->lock);
}

void latch_open(struct latch *l)
{
    (void)pthread_mutex_lock(&l->lock);
    l->open = true;
    (void)pthread_cond_broadcast(&l->changed);
    (void)pthread_mutex_unlock(&l->lock);
}

bool latch_wait(struct latch *l, uint64_t until_ns)
{
    bool open;

    (void)pthread_mutex_lock(&l->lock);
    while (!l->open && latch_sleep(&l->changed, &l->lock, until_ns)) {
    }
    open = l->open;
    (void)pthread_mutex_unlock(&l->lock);
    return open;
}
