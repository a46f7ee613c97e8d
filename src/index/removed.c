#include "index/removed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/err.h"
#include "base/read.h"
#include "base/write.h"
#include "index/names.h"

enum { TEXT_MAX = 64 };

static size_t text_of(char out[TEXT_MAX], int64_t ms)
{
    const size_t n = (size_t)snprintf(out, TEXT_MAX, "removed %" PRId64 "\n", ms);

    return n + (size_t)snprintf(out + n, TEXT_MAX - n, "crc %08" PRIx32 "\n",
                                crc32c(0, out, n));
}

enum index_removed index_removed_read(const char *dir, int64_t *ms)
{
    char path[PATH_MAX], text[TEXT_MAX] = "", again[TEXT_MAX];
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof path, "%s/" INDEX_REMOVED_FILE, dir);
    *ms = 0;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? INDEX_REMOVED_NONE : INDEX_REMOVED_BAD;
    }
    n = read_at(fd, text, sizeof text - 1, 0);
    (void)close(fd);
    if (n > 0 && sscanf(text, "removed %" SCNd64, ms) == 1 &&
        text_of(again, *ms) == (size_t)n && memcmp(text, again, (size_t)n) == 0) {
        return INDEX_REMOVED_READ;
    }
    *ms = 0;
    return INDEX_REMOVED_BAD;
}

bool index_removed_write(const char *dir, int64_t ms, struct err *e)
{
    char path[PATH_MAX], text[TEXT_MAX];
    const size_t n = text_of(text, ms);

    (void)snprintf(path, sizeof path, "%s/" INDEX_REMOVED_FILE, dir);
    return write_replace(path, text, n, e);
}
