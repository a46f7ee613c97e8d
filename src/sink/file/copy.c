/* An archive's bytes, and a copy of them after a failed sync. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/read.h"
#include "base/write.h"
#include "sink/file/archive.h"

enum { COPY_BYTES = 1 << 20 };

bool archive_open_part(struct archive *a, const char *path, struct err *e)
{
    struct stat st;

    a->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (a->fd < 0) {
        return err_errno(e, errno, "%s", path);
    }
    if (fstat(a->fd, &st) != 0) {
        return err_errno(e, errno, "%s", path);
    }
    a->dev = st.st_dev;
    a->ino = st.st_ino;
    return true;
}

/* The first length bytes of one file to another. */
static bool copy_bytes(int from, int to, uint64_t length)
{
    char *p = mem_alloc(COPY_BYTES);
    uint64_t at = 0;
    bool ok = true;

    while (ok && at < length) {
        size_t n = length - at < COPY_BYTES ? (size_t)(length - at) : COPY_BYTES;
        ssize_t got = read_at(from, p, n, at);

        if (got <= 0) {
            errno = got == 0 ? EIO : errno;
            ok = false;
        } else {
            ok = write_at(to, p, (size_t)got, at);
            at += (uint64_t)got;
        }
    }
    free(p);
    return ok;
}

static void copy_path(const struct archive *a, char *copy, size_t size)
{
    char part[ARCHIVE_PATH_BYTES], final[ARCHIVE_PATH_BYTES];

    archive_paths(a, part, final);
    (void)snprintf(copy, size, "%s.copy", part);
}

void archive_remove_copy(const struct archive *a)
{
    char copy[ARCHIVE_PATH_BYTES + 8];

    copy_path(a, copy, sizeof copy);
    (void)unlink(copy);
}

/* A sync failed: the frames that count are written once more, to a file whose first
 * sync tells whether they are on the disk, and which takes the place of the other. */
bool archive_copy(struct archive *a, struct err *e)
{
    char part[ARCHIVE_PATH_BYTES], final[ARCHIVE_PATH_BYTES];
    char copy[ARCHIVE_PATH_BYTES + 8];
    int old = a->fd;
    dev_t dev = a->dev;
    ino_t ino = a->ino;
    bool ok;

    archive_paths(a, part, final);
    copy_path(a, copy, sizeof copy);
    archive_remove_copy(a); /* of an attempt before */
    ok = archive_open_part(a, copy, e);
    if (ok && (!copy_bytes(old, a->fd, a->length) || fdatasync(a->fd) != 0 ||
               rename(copy, part) != 0)) {
        ok = err_errno(e, errno, "%s: copy after a failed sync", copy);
    }
    if (ok) {
        (void)close(old);
        a->doubtful = a->unsynced = a->named = false;
        log_write(LOG_WARN, "archive_file_copied",
                  "file=%s.part bytes=%lu why=\"a sync failed\"", a->name,
                  (unsigned long)a->length);
        return true;
    }
    if (a->fd >= 0) {
        (void)close(a->fd);
        (void)unlink(copy);
    }
    a->fd = old;
    a->dev = dev;
    a->ino = ino;
    return false;
}
