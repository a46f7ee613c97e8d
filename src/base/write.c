#include "base/write.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

bool write_at(int fd, const void *p, size_t n, uint64_t at)
{
    const char *from = p;
    unsigned interrupted = 0;

    while (n > 0) {
        ssize_t w = pwrite(fd, from, n, (off_t)at);

        if (w < 0 && errno == EINTR && ++interrupted < WRITE_INTERRUPTED_MAX) {
            continue;
        }
        if (w <= 0) {
            errno = w == 0 ? EIO : errno;
            return false;
        }
        interrupted = 0;
        from += w;
        n -= (size_t)w;
        at += (uint64_t)w;
    }
    return true;
}

FILE *write_stream(const char *path, const char *mode)
{
    int flags = mode[0] == 'a'              ? O_APPEND
                : strchr(mode, 'x') != NULL ? O_EXCL
                                            : O_TRUNC;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0640), error;
    FILE *f = fd < 0 ? NULL : fdopen(fd, mode[0] == 'a' ? "a" : "w");

    if (f == NULL && fd >= 0) {
        error = errno;
        (void)close(fd);
        errno = error;
    }
    return f;
}
