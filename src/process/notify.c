#include "process/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum { MESSAGE_BYTES = 1024 };

/* "/run/systemd/notify", or "@name" of the abstract namespace. */
static bool read_address(const char *text, struct notify *n)
{
    size_t bytes = strlen(text);

    if ((text[0] != '/' && text[0] != '@') || bytes < 2 ||
        bytes >= sizeof n->to.sun_path) {
        return false;
    }
    n->to.sun_family = AF_UNIX;
    memcpy(n->to.sun_path, text, bytes + 1);
    if (text[0] == '@') {
        n->to.sun_path[0] = '\0';
    } else {
        bytes++; /* a path is told with its NUL */
    }
    n->to_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + bytes);
    return true;
}

static uint64_t read_number(const char *name)
{
    const char *text = getenv(name);
    char *end;
    unsigned long long v;

    if (text == NULL || text[0] < '0' || text[0] > '9') {
        return 0;
    }
    errno = 0;
    v = strtoull(text, &end, 10);
    return errno == 0 && *end == '\0' ? v : 0;
}

void notify_open(struct notify *n)
{
    const char *to = getenv("NOTIFY_SOCKET");
    uint64_t pid = read_number("WATCHDOG_PID");

    *n = (struct notify){.fd = -1};
    if (to != NULL && read_address(to, n)) {
        n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    }
    if (n->fd >= 0 && (pid == 0 || pid == (uint64_t)getpid())) {
        n->watchdog_us = read_number("WATCHDOG_USEC");
    }
}

bool notify_send(const struct notify *n, const char *fmt, ...)
{
    char text[MESSAGE_BYTES];
    va_list args;
    ssize_t sent;
    int bytes;

    if (n->fd < 0 || n->silent) {
        return false;
    }
    va_start(args, fmt);
    bytes = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (bytes >= (int)sizeof text) {
        bytes = (int)sizeof text - 1;
    }
    do {
        sent = sendto(n->fd, text, (size_t)bytes, MSG_NOSIGNAL | MSG_DONTWAIT,
                      (const struct sockaddr *)&n->to, n->to_bytes);
    } while (sent < 0 && errno == EINTR);
    return sent == bytes;
}

void notify_reloading(const struct notify *n)
{
    (void)notify_send(n, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Loading the policy",
                      (unsigned long long)(clock_mono_ns() / 1000u));
}
