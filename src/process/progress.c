#include "process/progress.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Fields 14 and 15 of /proc/PID/stat, counted behind its name, which may have blanks. */
static bool used(pid_t pid, uint64_t *ticks)
{
    enum { BEHIND_NAME = 2, USER = 14 };
    char path[64], text[1024];
    ssize_t n;
    char *at, *end;
    int fd;

    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    at = strrchr(text, ')');
    for (int field = BEHIND_NAME; at != NULL && field < USER; field++) {
        at = strchr(at + 1, ' ');
    }
    if (at == NULL) {
        return false;
    }
    *ticks = strtoull(at, &end, 10);
    *ticks += strtoull(end, NULL, 10);
    return true;
}

void progress_begin(struct progress *p, pid_t pid, uint64_t now_ns)
{
    *p = (struct progress){.pid = pid, .since_ns = now_ns};
    (void)used(pid, &p->ticks);
}

uint64_t progress_stands(struct progress *p, uint64_t now_ns)
{
    uint64_t ticks = p->ticks;

    if (!used(p->pid, &ticks) || ticks != p->ticks) {
        p->ticks = ticks;
        p->since_ns = now_ns;
    }
    return now_ns - p->since_ns;
}
