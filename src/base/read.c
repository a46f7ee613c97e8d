#include "base/read.h"

#include <errno.h>
#include <unistd.h>

ssize_t read_at(int fd, void *p, size_t n, uint64_t at)
{
    size_t got = 0;
    unsigned interrupted = 0;

    while (got < n) {
        ssize_t r = pread(fd, (char *)p + got, n - got, (off_t)(at + got));

        if (r < 0 && errno == EINTR && ++interrupted < READ_INTERRUPTED_MAX) {
            continue;
        }
        if (r < 0) {
            return -1;
        }
        if (r == 0) {
            break;
        }
        interrupted = 0;
        got += (size_t)r;
    }
    return (ssize_t)got;
}
