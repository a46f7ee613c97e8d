/* A monotonic clock that a test moves on by ahead_s. Who waits until a time of that clock waits
 * as long as before. */
#pragma once

#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_long ahead_s;

int clock_gettime(clockid_t clock, struct timespec *t)
{
    const int rc = (int)syscall(SYS_clock_gettime, clock, t);

    if (clock == CLOCK_MONOTONIC) {
        t->tv_sec += atomic_load(&ahead_s);
    }
    return rc;
}

static inline struct timespec real_time(const struct timespec *t)
{
    return (struct timespec){t->tv_sec - atomic_load(&ahead_s), t->tv_nsec};
}

int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *t)
{
    static int (*_Atomic real)(sem_t *, clockid_t, const struct timespec *);
    const struct timespec until = clock == CLOCK_MONOTONIC ? real_time(t) : *t;

    if (real == NULL) {
        real = (int (*)(sem_t *, clockid_t, const struct timespec *))(uintptr_t)dlsym(
            RTLD_NEXT, "sem_clockwait");
    }
    return real(sem, clock, &until);
}

int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *lock,
                           const struct timespec *t)
{
    const struct timespec until = real_time(t);

    return pthread_cond_clockwait(c, lock, CLOCK_MONOTONIC, &until);
}
