/* The account as a file. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/mem.h"
#include "base/read.h"
#include "base/write.h"
#include "index/account.h"

bool index_account_write(const struct index_account *a, const char *path, struct err *e)
{
    size_t n;
    char *text = index_account_text(a, &n);
    const bool ok = write_replace(path, text, n, e);

    free(text);
    return ok;
}

static enum index_account_read read_text(struct index_account *a, int fd,
                                         const char *path, struct err *e)
{
    enum index_account_read r = ACCOUNT_READ;
    struct stat st;
    char *text;
    ssize_t n;

    if (fstat(fd, &st) != 0) {
        (void)err_errno(e, errno, "%s", path);
        return ACCOUNT_UNREADABLE;
    }
    if (st.st_size > ACCOUNT_BYTES_MAX) {
        (void)err_set(e, "%s: it has more than %d bytes", path, ACCOUNT_BYTES_MAX);
        return ACCOUNT_BAD;
    }
    text = mem_alloc((size_t)st.st_size + 1);
    n = read_at(fd, text, (size_t)st.st_size, 0);
    if (n < 0) {
        (void)err_errno(e, errno, "%s", path);
        r = ACCOUNT_UNREADABLE;
    } else if (!index_account_parse(a, text, (size_t)n, e)) {
        r = ACCOUNT_BAD;
    }
    free(text);
    return r;
}

/* ---- marks ---- */

/* SPOOL/STREAM/index/ACCOUNT -> SPOOL/STREAM/index.unrecorded */
static bool mark_path(char out[PATH_MAX], const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL && snprintf(out, PATH_MAX, "%.*s.unrecorded",
                                     (int)(slash - path), path) < PATH_MAX;
}

void index_account_mark(const char *path, uint32_t epoch, int64_t now_ms)
{
    char mark[PATH_MAX], line[64];
    /* A line that a full disk has cut stays a line of its own. */
    const int n =
        snprintf(line, sizeof line, "\n%" PRIu32 " %" PRId64 "\n", epoch, now_ms);
    struct err e;
    int fd = -1;

    if (mark_path(mark, path)) {
        fd = open(mark, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    }
    if (fd >= 0) {
        const bool kept = write(fd, line, (size_t)n) == n && fdatasync(fd) == 0 &&
                          folder_sync_of(mark, &e);

        (void)kept; /* the disk has refused the account, too: more can't be done */
        (void)close(fd);
    }
}

void index_account_unmark(const char *path)
{
    char mark[PATH_MAX];

    if (mark_path(mark, path)) {
        (void)unlink(mark);
    }
}

void index_account_read_marks(struct index_account *a, const char *path, uint32_t epoch,
                              int64_t until_ms)
{
    char mark[PATH_MAX], line[64];
    struct index_account_gap g = {.until_ms = until_ms};
    FILE *f = mark_path(mark, path) ? fopen(mark, "re") : NULL;

    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "%" SCNu32 " %" SCNd64, &g.first, &g.since_ms) == 2 &&
            g.first > a->until && g.first < epoch) {
            g.last = g.first;
            index_account_add_gap(a, &g);
        }
    }
    if (f != NULL) {
        (void)fclose(f);
    }
}

/* ---- the file ---- */

enum index_account_read index_account_read(struct index_account *a, const char *path,
                                           struct err *e)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum index_account_read r;

    index_account_init(a, 0, 0);
    if (fd < 0) {
        const int why = errno;

        (void)err_errno(e, why, "%s", path);
        return why == ENOENT ? ACCOUNT_NONE : ACCOUNT_UNREADABLE;
    }
    r = read_text(a, fd, path, e);
    (void)close(fd);
    return r;
}
