#include "net/passed.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/str.h"
#include "net/listener.h"

enum { FIRST_FD = 3, FDS_MAX = 1024 };

/* How many were passed to this very process. */
static int count(void)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    char *end;
    long n;

    if (pid == NULL || fds == NULL || strtol(pid, &end, 10) != (long)getpid() ||
        end == pid || *end != '\0') {
        return 0;
    }
    n = strtol(fds, &end, 10);
    return end == fds || *end != '\0' || n < 0 ? 0 : n > FDS_MAX ? FDS_MAX : (int)n;
}

/* The name of the socket at place i of a:b:c; without names each is "unknown", as
 * systemd says. n 0: it has none. */
static struct str name_of(int i)
{
    const char *at = getenv("LISTEN_FDNAMES"), *end;

    if (at == NULL) {
        return STR("unknown");
    }
    for (; i > 0; i--) {
        at = strchr(at, ':');
        if (at == NULL) {
            return STR("");
        }
        at++;
    }
    end = strchr(at, ':');
    return (struct str){at, end == NULL ? strlen(at) : (size_t)(end - at)};
}

static bool is_named(int i, const char *name)
{
    return str_eq(name_of(i), str_of(name));
}

bool passed_name(int i, char *out, size_t n)
{
    struct str name = name_of(i);

    if (i >= count()) {
        return false;
    }
    (void)snprintf(out, n, "%.*s", (int)name.n, name.p);
    return true;
}

static bool is_listening(int fd)
{
    int type = 0, on = 0;
    socklen_t n = sizeof type, k = sizeof on;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &k) == 0 && on == 1;
}

static int copy_of(int from, const char *name, struct err *e)
{
    int flags, fd;

    if (!is_listening(from)) {
        (void)err_set(e,
                      "can't listen on systemd:%s: it is no listening stream socket "
                      "(ListenStream= with Accept=no)",
                      name);
        return -1;
    }
    fd = fcntl(from, F_DUPFD_CLOEXEC, FIRST_FD);
    if (fd < 0) {
        (void)err_errno(e, errno, "can't listen on systemd:%s", name);
        return -1;
    }
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(from, F_SETFD, FD_CLOEXEC) != 0) {
        (void)err_errno(e, errno, "can't listen on systemd:%s", name);
        (void)close(fd);
        return -1;
    }
    return fd;
}

int passed_open(const char *name, char *bound, size_t bound_bytes, struct err *e)
{
    int n = count(), found = -1;

    for (int i = 0; i < n; i++) {
        if (is_named(i, name) && found >= 0) {
            (void)err_set(e,
                          "can't listen on systemd:%s: several sockets have that name; "
                          "give each its own FileDescriptorName=",
                          name);
            return -1;
        }
        found = is_named(i, name) ? i : found;
    }
    if (found < 0 && n == 0 && getenv("LISTEN_FDS") != NULL) {
        const char *pid = getenv("LISTEN_PID");

        (void)err_set(e,
                      "can't listen on systemd:%s: LISTEN_FDS=\"%.60s\" and LISTEN_PID="
                      "\"%.60s\" pass no socket to this process, which is %ld",
                      name, getenv("LISTEN_FDS"), pid == NULL ? "" : pid,
                      (long)getpid());
        return -1;
    }
    if (found < 0) {
        (void)err_set(e,
                      "can't listen on systemd:%s: systemd passed %d sockets, and none "
                      "has that name (FileDescriptorName=)",
                      name, n);
        return -1;
    }
    found = copy_of(FIRST_FD + found, name, e);
    if (found >= 0 && !listener_show(found, bound, bound_bytes)) {
        (void)err_errno(e, errno, "can't read the address of systemd:%s", name);
        (void)close(found);
        return -1;
    }
    return found;
}
