/* LD_PRELOAD: the name "hang.test" is never resolved, and the thread whose name the file
 * of SLUICE_HANG has does not come back from waiting for as long as it has it. It does
 * so once it begins to wait again, and from then on the file of the same name with ".hung"
 * behind it has a byte. */
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { LOOK_US = 5000 };

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    int (*real)(const char *, const char *, const struct addrinfo *,
                struct addrinfo **);
    void *found = dlsym(RTLD_NEXT, "getaddrinfo");

    memcpy(&real, &found, sizeof real);
    if (node != NULL && strcmp(node, "hang.test") == 0) {
        (void)sleep(120);
    }
    return real(node, service, hints, out);
}

static int hangs(const char *path)
{
    char mine[16] = "", named[16] = "";
    FILE *f = fopen(path, "re");

    if (f != NULL) {
        if (fscanf(f, "%15[^\n]", named) != 1) {
            named[0] = '\0';
        }
        (void)fclose(f);
        (void)prctl(PR_GET_NAME, mine);
    }
    return named[0] != '\0' && strcmp(mine, named) == 0;
}

/* Opened before the server enters its sandbox. */
static int told = -1;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SLUICE_HANG");
    char file[4096];

    if (path != NULL) {
        (void)snprintf(file, sizeof file, "%s.hung", path);
        told = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    }
}

static void note(bool hung)
{
    if (hung ? pwrite(told, "h", 1, 0) != 1 : ftruncate(told, 0) != 0) {
        abort();
    }
}

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
    static int (*real)(int, struct epoll_event *, int, int);
    const char *path = getenv("SLUICE_HANG");
    void *found;

    if (real == NULL) {
        found = dlsym(RTLD_NEXT, "epoll_wait");
        memcpy(&real, &found, sizeof real);
    }
    if (path != NULL && hangs(path)) {
        note(true);
        while (hangs(path)) {
            (void)usleep(LOOK_US);
        }
        note(false);
    }
    return real(fd, events, max, timeout);
}
