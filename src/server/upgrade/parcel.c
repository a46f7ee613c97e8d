#include "server/upgrade/parcel.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"

static bool write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t k = write(fd, p, n);

        if (k < 0 && errno != EINTR) {
            return false;
        }
        p += k > 0 ? k : 0;
        n -= k > 0 ? (size_t)k : 0;
    }
    return true;
}

int parcel_pack(const char *bytes, size_t n, struct err *e)
{
    int fd = memfd_create("sluice", MFD_CLOEXEC);

    if (fd >= 0 && write_all(fd, bytes, n)) {
        return fd;
    }
    (void)err_errno(e, errno, "can't pass on what a client has sent");
    if (fd >= 0) {
        (void)close(fd);
    }
    return -1;
}

char *parcel_open(int fd, size_t *n)
{
    size_t at = 0, size;
    struct stat st;
    char *p;

    *n = 0;
    if (fstat(fd, &st) != 0 || st.st_size <= 0) {
        return NULL;
    }
    size = (size_t)st.st_size;
    p = mem_alloc(size);
    while (at < size) {
        ssize_t k = pread(fd, p + at, size - at, (off_t)at);

        if (k == 0 || (k < 0 && errno != EINTR)) {
            free(p);
            return NULL;
        }
        at += k > 0 ? (size_t)k : 0;
    }
    *n = size;
    return p;
}
