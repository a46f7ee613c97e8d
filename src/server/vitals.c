#include "server/vitals.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"
#include "stats/stats.h"

static double cpu_seconds(const void *arg)
{
    struct timespec t = {0, 0};

    (void)arg;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Field i of a file with numbers, from 0; 0: there is none. */
static double number_in(const char *path, int i)
{
    double v = 0;
    FILE *f = fopen(path, "re");

    if (f == NULL) {
        return 0;
    }
    for (int k = 0; k <= i; k++) {
        if (fscanf(f, "%lf", &v) != 1) {
            v = 0;
            break;
        }
    }
    (void)fclose(f);
    return v;
}

static double virtual_bytes(const void *arg)
{
    (void)arg;
    return number_in("/proc/self/statm", 0) * (double)sysconf(_SC_PAGESIZE);
}

static double resident_bytes(const void *arg)
{
    (void)arg;
    return number_in("/proc/self/statm", 1) * (double)sysconf(_SC_PAGESIZE);
}

/* -1: there is no descriptor left to look with. */
static double entries_of(const char *path)
{
    DIR *d = opendir(path);
    double n = 0;

    if (d == NULL) {
        return errno == EMFILE ? -1 : 0;
    }
    for (const struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        n += e->d_name[0] != '.';
    }
    (void)closedir(d);
    return n;
}

static double max_fds(const void *arg)
{
    struct rlimit l;

    (void)arg;
    return getrlimit(RLIMIT_NOFILE, &l) == 0 ? (double)l.rlim_cur : 0;
}

static double open_fds(const void *arg)
{
    double n = entries_of("/proc/self/fd");

    return n < 0 ? max_fds(arg) : n > 0 ? n - 1 : 0; /* its own */
}

static double threads(const void *arg)
{
    double n = entries_of("/proc/self/task");

    (void)arg;
    return n > 0 ? n : 0;
}

/* The kernel has it in ticks since its own start: by the wall clock of now. */
static double find_start(void)
{
    char text[1024];
    FILE *f = fopen("/proc/self/stat", "re");
    unsigned long long ticks = 0;
    const char *end;
    struct timespec wall, boot;
    size_t n;

    if (f == NULL) {
        return 0;
    }
    n = fread(text, 1, sizeof text - 1, f);
    (void)fclose(f);
    text[n] = '\0';
    end = strrchr(text, ')'); /* a process's name may have spaces */
    if (end == NULL ||
        sscanf(end + 1,
               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d "
               "%*d %*d %*d %*d %*d %llu",
               &ticks) != 1) {
        return 0;
    }
    (void)clock_gettime(CLOCK_REALTIME, &wall);
    (void)clock_gettime(CLOCK_BOOTTIME, &boot);
    return (double)(wall.tv_sec - boot.tv_sec) +
           (double)(wall.tv_nsec - boot.tv_nsec) / 1e9 +
           (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static double start_seconds(const void *arg)
{
    return *(const double *)arg;
}

static double one(const void *arg)
{
    (void)arg;
    return 1;
}

void vitals_show(double *start_s)
{
    *start_s = find_start();
    stats_asked_gauge("sluice_build_info", "1; the version is a label.",
                      "version=\"" SLUICE_VERSION "\"", one, NULL);
    stats_asked_counter("process_cpu_seconds_total",
                        "Processor time of the process, in seconds.", "", cpu_seconds,
                        NULL);
    stats_asked_gauge("process_resident_memory_bytes",
                      "Memory of the process that is in RAM.", "", resident_bytes,
                      NULL);
    stats_asked_gauge("process_virtual_memory_bytes",
                      "Addresses that the process has mapped.", "", virtual_bytes,
                      NULL);
    stats_asked_gauge("process_open_fds", "Open file descriptors.", "", open_fds, NULL);
    stats_asked_gauge("process_max_fds", "Most file descriptors that may be open.", "",
                      max_fds, NULL);
    stats_asked_gauge("process_threads", "Threads of the process.", "", threads, NULL);
    stats_asked_gauge("process_start_time_seconds",
                      "When the process started, in seconds since 1970.", "",
                      start_seconds, start_s);
}
