#include "base/write.h"

#include <errno.h>
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
