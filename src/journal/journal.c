#include "journal/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/mem.h"
#include "base/read.h"
#include "base/write.h"

enum { RESERVE_BYTES = 1 << 20 };

struct journal {
    char *path;
    int fd;
    uint64_t length; /* of whole records */
    uint64_t cut;
    bool poisoned; /* an fdatasync failed: its records may be lost */
    bool refused;  /* the last append failed */
};

static unsigned char *read_all(int fd, size_t *n, struct err *e)
{
    struct stat st;
    unsigned char *p;
    ssize_t got;

    if (fstat(fd, &st) != 0) {
        (void)err_errno(e, errno, "fstat");
        return NULL;
    }
    p = mem_alloc((size_t)st.st_size + 1);
    got = read_at(fd, p, (size_t)st.st_size, 0);
    if (got < 0) {
        (void)err_errno(e, errno, "read");
        free(p);
        return NULL;
    }
    *n = (size_t)got;
    return p;
}

/* A torn tail has nothing whole after it; damage has. */
static bool whole_record_in(const unsigned char *p, size_t n,
                            struct batch_range *ranges)
{
    struct record r;
    size_t size;

    for (size_t i = 0; i + RECORD_HEAD_BYTES <= n; i++) {
        if (record_decode(p + i, n - i, &r, ranges, &size) == RECORD_OK) {
            return true;
        }
    }
    return false;
}

/* A record of a later version may mean anything. */
static bool is_newer(enum record_result got, const struct record *r)
{
    return got == RECORD_NEWER ||
           (got == RECORD_OK && r->type == RECORD_HEAD && r->value > JOURNAL_FORMAT);
}

static bool replay(struct journal *j, const unsigned char *p, size_t n,
                   journal_record_fn *fn, void *arg, struct err *e)
{
    struct batch_range *ranges = mem_alloc(RECORD_RANGES_MAX * sizeof *ranges);
    enum record_result got;
    size_t at = 0, size = 0;
    struct record r;
    bool ok = true;

    while ((got = record_decode(p + at, n - at, &r, ranges, &size)) == RECORD_OK &&
           !is_newer(got, &r)) {
        fn(arg, &r);
        at += size;
    }
    if (is_newer(got, &r)) {
        ok = err_set(e,
                     "a later version of sluice wrote the journal (byte %zu): "
                     "use that version",
                     at);
    } else if (at < n && whole_record_in(p + at + 1, n - at - 1, ranges)) {
        ok = err_set(e,
                     "the journal is damaged at byte %zu of %zu: \"sluice sink "
                     "repair\" says what can be kept",
                     at, n);
    }
    j->length = at;
    j->cut = n - at;
    free(ranges);
    return ok;
}

static bool load(struct journal *j, journal_record_fn *fn, void *arg, struct err *e)
{
    size_t n = 0;
    unsigned char *p = read_all(j->fd, &n, e);
    bool ok;

    if (p == NULL) {
        return false;
    }
    ok = replay(j, p, n, fn, arg, e);
    free(p);
    if (ok && j->cut > 0 && ftruncate(j->fd, (off_t)j->length) != 0) {
        return err_errno(e, errno, "cut the torn tail");
    }
    return ok;
}

bool journal_lock(int fd, struct err *e)
{
    return flock(fd, LOCK_EX | LOCK_NB) == 0 ||
           (errno == EWOULDBLOCK ? err_set(e, "a running sink has the journal open")
                                 : err_errno(e, errno, "flock"));
}

/* Room for a sink's records while it delivers, because on a full disk only delivery
 * makes room. Where the file system can't, it does without. */
static void reserve(int fd, uint64_t length)
{
    (void)!fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)length, RESERVE_BYTES);
}

struct journal *journal_open(const char *path, journal_record_fn *fn, void *arg,
                             struct err *e)
{
    struct journal *j = mem_zalloc(sizeof *j);
    struct err why;

    j->path = mem_strdup(path);
    j->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (j->fd < 0) {
        (void)err_errno(e, errno, "%s", path);
        journal_close(j);
        return NULL;
    }
    if (!journal_lock(j->fd, &why) || !load(j, fn, arg, &why)) {
        (void)err_set(e, "%s: %s", path, why.text);
        journal_close(j);
        return NULL;
    }
    reserve(j->fd, j->length);
    return j;
}

void journal_close(struct journal *j)
{
    if (j == NULL) {
        return;
    }
    if (j->fd >= 0) {
        (void)close(j->fd);
    }
    free(j->path);
    free(j);
}

bool journal_append(struct journal *j, const struct record *r, struct err *e)
{
    unsigned char bytes[RECORD_BYTES_MAX];
    size_t n = record_encode(r, bytes);

    if (!write_at(j->fd, bytes, n, j->length)) {
        int why = errno;

        j->refused = true;
        /* The written part of it lies after the end: the next append overwrites it, a
         * restart cuts it. */
        if (ftruncate(j->fd, (off_t)j->length) != 0) {
            return err_errno(e, why, "%s: append (and cut)", j->path);
        }
        return err_errno(e, why, "%s: append", j->path);
    }
    j->length += n;
    j->refused = false;
    return true;
}

bool journal_sync(struct journal *j, struct err *e)
{
    if (j->poisoned) {
        return err_set(e, "%s: an earlier sync failed", j->path);
    }
    if (fdatasync(j->fd) != 0) {
        j->poisoned = true;
        return err_errno(e, errno, "%s: sync", j->path);
    }
    return true;
}

struct journal_draft {
    int fd;
    uint64_t length;
    int why; /* errno of the first failure */
};

void journal_emit(struct journal_draft *draft, const struct record *r)
{
    unsigned char bytes[RECORD_BYTES_MAX];
    size_t n;

    if (draft->why != 0) {
        return;
    }
    n = record_encode(r, bytes);
    if (!write_at(draft->fd, bytes, n, draft->length)) {
        draft->why = errno;
        return;
    }
    draft->length += n;
}

/* Whether the file of that name is another one: the folder was moved, and what stands there is
 * somebody else's. One that was removed comes back. */
static bool is_others(const struct journal *j)
{
    struct stat ours, there;

    return fstat(j->fd, &ours) == 0 && stat(j->path, &there) == 0 &&
           (ours.st_dev != there.st_dev || ours.st_ino != there.st_ino);
}

bool journal_rewrite(struct journal *j, journal_emit_fn *emit, void *arg, struct err *e)
{
    struct journal_draft draft = {-1, 0, 0};
    char next[PATH_MAX];

    if (snprintf(next, sizeof next, "%s.new", j->path) >= (int)sizeof next) {
        return err_set(e, "%s: the path is too long", j->path);
    }
    if (is_others(j)) {
        return err_set(e, "%s is not the file that was opened", j->path);
    }
    draft.fd = open(next, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (draft.fd < 0) {
        return err_errno(e, errno, "%s", next);
    }
    emit(arg, &draft);
    if (draft.why == 0 && flock(draft.fd, LOCK_EX | LOCK_NB) != 0) {
        draft.why = errno;
    }
    if (draft.why == 0 && fdatasync(draft.fd) != 0) {
        draft.why = errno;
    }
    if (draft.why == 0 && rename(next, j->path) != 0) {
        draft.why = errno;
    }
    if (draft.why != 0) {
        (void)close(draft.fd);
        (void)unlink(next);
        return err_errno(e, draft.why, "%s", next);
    }
    (void)close(j->fd);
    j->fd = draft.fd;
    j->length = draft.length;
    j->poisoned = j->refused = false;
    reserve(j->fd, j->length);
    /* From here on the new one is the journal, whatever the folder says: only a
     * power cut could bring the old one back. */
    if (!folder_sync_of(j->path, e)) {
        j->poisoned = true;
        return false;
    }
    return true;
}

bool journal_poisoned(const struct journal *j)
{
    return j->poisoned;
}

bool journal_in_trouble(const struct journal *j)
{
    return j->poisoned || j->refused;
}

uint64_t journal_bytes(const struct journal *j)
{
    return j->length;
}

uint64_t journal_cut(const struct journal *j)
{
    return j->cut;
}
