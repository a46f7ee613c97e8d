#include "base/write.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"

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

bool write_replace(const char *path, const void *p, size_t n, struct err *e)
{
    char next[PATH_MAX + 8];
    bool ok;
    int fd;

    (void)snprintf(next, sizeof next, "%s.new", path);
    fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    ok = fd >= 0 && write_at(fd, p, n, 0) && fdatasync(fd) == 0 &&
         rename(next, path) == 0;
    if (!ok) {
        (void)err_errno(e, errno, "%s", path);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok && folder_sync_of(path, e);
}
