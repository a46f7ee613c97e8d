/*
 * tsan_threads: thread functions that ThreadSanitizer does not know, by those that it
 * knows: for builds with it. C11's threads, mutexes and conditions, which librdkafka
 * uses: a thread that TSan did not see begin ends the process at its first instrumented
 * call. glibc's mtx_t and cnd_t have room for pthread's types. And the join with a
 * clock, without which a joined thread counts as leaked.
 */

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>

static_assert(sizeof(thrd_t) == sizeof(pthread_t), "thrd_t is a pthread_t");
static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "mtx_t has the room");
static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "cnd_t has the room");

struct start {
    thrd_start_t f;
    void *arg;
};

static void *begin(void *arg)
{
    struct start s = *(struct start *)arg;
    free(arg);
    return (void *)(intptr_t)s.f(s.arg);
}

static int said(int error)
{
    switch (error) {
    case 0:
        return thrd_success;
    case EBUSY:
        return thrd_busy;
    case ETIMEDOUT:
        return thrd_timedout;
    case ENOMEM:
        return thrd_nomem;
    default:
        return thrd_error;
    }
}

static pthread_mutex_t *mutex_of(mtx_t *m)
{
    return (pthread_mutex_t *)(void *)m;
}

static pthread_cond_t *cond_of(cnd_t *c)
{
    return (pthread_cond_t *)(void *)c;
}

int thrd_create(thrd_t *thread, thrd_start_t f, void *arg)
{
    struct start *s = malloc(sizeof *s);
    if (!s)
        return thrd_nomem;
    *s = (struct start){f, arg};
    int error = pthread_create((pthread_t *)thread, NULL, begin, s);
    if (error)
        free(s);
    return said(error);
}

int thrd_join(thrd_t thread, int *result)
{
    void *value;
    int error = pthread_join((pthread_t)thread, &value);
    if (!error && result)
        *result = (int)(intptr_t)value;
    return said(error);
}

int thrd_detach(thrd_t thread)
{
    return said(pthread_detach((pthread_t)thread));
}

int mtx_init(mtx_t *m, int type)
{
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    if (type & mtx_recursive)
        pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    int error = pthread_mutex_init(mutex_of(m), &attr);
    pthread_mutexattr_destroy(&attr);
    return said(error);
}

int mtx_lock(mtx_t *m)
{
    return said(pthread_mutex_lock(mutex_of(m)));
}

int mtx_trylock(mtx_t *m)
{
    return said(pthread_mutex_trylock(mutex_of(m)));
}

int mtx_timedlock(mtx_t *restrict m, const struct timespec *restrict till)
{
    return said(pthread_mutex_timedlock(mutex_of(m), till));
}

int mtx_unlock(mtx_t *m)
{
    return said(pthread_mutex_unlock(mutex_of(m)));
}

void mtx_destroy(mtx_t *m)
{
    pthread_mutex_destroy(mutex_of(m));
}

int cnd_init(cnd_t *c)
{
    return said(pthread_cond_init(cond_of(c), NULL));
}

int cnd_signal(cnd_t *c)
{
    return said(pthread_cond_signal(cond_of(c)));
}

int cnd_broadcast(cnd_t *c)
{
    return said(pthread_cond_broadcast(cond_of(c)));
}

int cnd_wait(cnd_t *c, mtx_t *m)
{
    return said(pthread_cond_wait(cond_of(c), mutex_of(m)));
}

int cnd_timedwait(cnd_t *restrict c, mtx_t *restrict m,
                  const struct timespec *restrict till)
{
    return said(pthread_cond_timedwait(cond_of(c), mutex_of(m), till));
}

void cnd_destroy(cnd_t *c)
{
    pthread_cond_destroy(cond_of(c));
}

int pthread_clockjoin_np(pthread_t thread, void **value, clockid_t clock,
                         const struct timespec *till)
{
    struct timespec at, now;
    clock_gettime(clock, &now);
    clock_gettime(CLOCK_REALTIME, &at);
    /* The wall clock may be set meanwhile: a test build stands that. */
    int64_t ns = at.tv_nsec + till->tv_nsec - now.tv_nsec;
    time_t left = till->tv_sec - now.tv_sec;
    if (left > 86400)
        left = 86400;
    at.tv_sec += left + (time_t)(ns / 1000000000);
    at.tv_nsec = ns % 1000000000;
    if (at.tv_nsec < 0) {
        at.tv_nsec += 1000000000;
        at.tv_sec--;
    }
    return pthread_timedjoin_np(thread, value, &at);
}
