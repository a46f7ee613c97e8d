/*
 * clock_shim - preloaded: the wall clock of one process is off by the milliseconds that
 * a file says, from one look to the next, as when the machine's clock is set.
 *
 *   LD_PRELOAD=clock_shim.so SLUICE_CLOCK=FILE build/sluice run POLICY
 *   printf '%032d' -3600000 | dd of=FILE conv=notrunc
 *
 * The monotonic clocks run on. The kernel, which waits for a point in time of the
 * real clock, is told the real one.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { DIGITS = 32 };
/* A monotonic deadline is far below: seconds since the machine's start. */
static const time_t WALL_SECONDS = 1000000000;

static const char *volatile text;

__attribute__((constructor)) static void start(void)
{
    const char *path = getenv("SLUICE_CLOCK");
    int fd = path == NULL ? -1 : open(path, O_RDONLY);
    void *p = fd < 0 ? MAP_FAILED : mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

    if (p == MAP_FAILED) {
        abort();
    }
    text = p;
}

static int64_t offset_ns(void)
{
    char digits[DIGITS + 1] = {0};

    for (int i = 0; text != NULL && i < DIGITS; i++) {
        digits[i] = text[i];
    }
    return strtoll(digits, NULL, 10) * 1000000;
}

static struct timespec later(struct timespec t, int64_t ns)
{
    int64_t all = t.tv_sec * INT64_C(1000000000) + t.tv_nsec + ns;

    return (struct timespec){all / 1000000000, all % 1000000000};
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    long rc = syscall(SYS_clock_gettime, id, t);

    if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        *t = later(*t, offset_ns());
    }
    return (int)rc;
}

int gettimeofday(struct timeval *restrict v, void *restrict zone)
{
    struct timespec t;

    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    *v = (struct timeval){t.tv_sec, t.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *out)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    if (out != NULL) {
        *out = t.tv_sec;
    }
    return t.tv_sec;
}

int pthread_cond_clockwait(pthread_cond_t *c, pthread_mutex_t *m, clockid_t id,
                           const struct timespec *until);

/* By the clock that the deadline is of: attributes can't be asked for. */
int pthread_cond_timedwait(pthread_cond_t *restrict c, pthread_mutex_t *restrict m,
                           const struct timespec *restrict until)
{
    struct timespec t = *until;

    if (t.tv_sec < WALL_SECONDS) {
        return pthread_cond_clockwait(c, m, CLOCK_MONOTONIC, &t);
    }
    t = later(t, -offset_ns());
    return pthread_cond_clockwait(c, m, CLOCK_REALTIME, &t);
}
