/*
 * clock_shim - LD_PRELOAD: moves the wall clock of a process by as many seconds as
 * the file $CLOCK_SHIM says; the monotonic clock stays.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long offset(void)
{
    const char *path = getenv("CLOCK_SHIM");
    FILE *f = path == NULL ? NULL : fopen(path, "re");
    long s = 0;

    if (f != NULL) {
        if (fscanf(f, "%ld", &s) != 1) {
            s = 0;
        }
        (void)fclose(f);
    }
    return s;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    static int (*real)(clockid_t, struct timespec *);
    int rc;

    if (real == NULL) {
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    }
    rc = real(id, t);
    if (rc == 0 && id == CLOCK_REALTIME) {
        t->tv_sec += offset();
    }
    return rc;
}

int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) {
        return -1;
    }
    t->tv_sec = now.tv_sec;
    t->tv_usec = now.tv_nsec / 1000;
    return 0;
}
