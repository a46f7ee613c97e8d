/* A damaged journal: its whole records, and a new journal of them. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/folder.h"
#include "base/mem.h"
#include "base/read.h"
#include "journal/journal.h"

enum { KEPT_MAX = 1000 };

static unsigned char *read_file(int fd, size_t *n)
{
    struct stat st;
    unsigned char *p;
    ssize_t got;

    *n = 0;
    if (fstat(fd, &st) != 0) {
        return NULL;
    }
    p = mem_alloc((size_t)st.st_size + 1);
    got = read_at(fd, p, (size_t)st.st_size, 0);
    if (got < 0) {
        free(p);
        return NULL;
    }
    *n = (size_t)got;
    return p;
}

static void note_damage(struct journal_scan *s, size_t at, bool begins)
{
    s->first_damage = s->damaged_bytes == 0 ? at : s->first_damage;
    s->damaged_bytes++;
    s->damaged_places += begins;
}

/* The whole records among the n bytes; those bytes go to `to`, unless that is -1. */
static bool walk(const unsigned char *p, size_t n, journal_record_fn *fn, void *arg,
                 int to, struct journal_scan *s, struct err *e)
{
    struct batch_range *ranges = mem_alloc(RECORD_RANGES_MAX * sizeof *ranges);
    bool whole = true, ok = true;

    *s = (struct journal_scan){.bytes = n};
    for (size_t at = 0, size = 1; at < n && ok; at += size) {
        struct record r;
        enum record_result got = record_decode(p + at, n - at, &r, ranges, &size);

        if (got == RECORD_NEWER ||
            (got == RECORD_OK && r.type == RECORD_HEAD && r.value > JOURNAL_FORMAT)) {
            ok = err_set(e, "a later version of sluice wrote it (byte %zu)", at);
        } else if (got != RECORD_OK) {
            note_damage(s, at, whole);
            whole = false;
            size = 1;
        } else {
            whole = true;
            s->records++;
            if (fn != NULL) {
                fn(arg, &r);
            }
            ok = to < 0 || write(to, p + at, size) == (ssize_t)size ||
                 err_errno(e, errno == 0 ? EIO : errno, "write");
        }
    }
    free(ranges);
    return ok;
}

bool journal_scan_file(int fd, journal_record_fn *fn, void *arg,
                       struct journal_scan *out, struct err *e)
{
    struct journal_scan scan;
    size_t n;
    unsigned char *p = read_file(fd, &n);
    bool ok;

    if (p == NULL) {
        return err_errno(e, errno, "read");
    }
    ok = walk(p, n, fn, arg, -1, out == NULL ? &scan : out, e);
    free(p);
    return ok;
}

bool journal_scan(const char *path, journal_record_fn *fn, void *arg,
                  struct journal_scan *out, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct err why;
    bool ok;

    if (fd < 0) {
        return err_errno(e, errno, "%s", path);
    }
    ok = journal_scan_file(fd, fn, arg, out, &why) ||
         err_set(e, "%s: %s", path, why.text);
    (void)close(fd);
    return ok;
}

/* A name that no earlier repair has used. */
static bool keep(const char *path, char *kept_as, size_t n, struct err *e)
{
    for (int i = 1; i < KEPT_MAX; i++) {
        (void)snprintf(kept_as, n, "%s.damaged-%d", path, i);
        if (link(path, kept_as) == 0) {
            return true;
        }
        if (errno != EEXIST) {
            break;
        }
    }
    return err_errno(e, errno, "%s", kept_as);
}

/* The damage may have taken where the sink begins to read a stream. Without this record
 * it would be new there, and begin behind what it has not delivered. */
static bool write_lost(int to)
{
    const struct record lost = {.type = RECORD_START, .value = RECORD_START_LOST};
    unsigned char bytes[RECORD_HEAD_BYTES + 64];
    size_t n = record_encode(&lost, bytes);

    return write(to, bytes, n) == (ssize_t)n;
}

/* root may repair the journal of a server that has another user. */
static bool same_owner(int from, int to)
{
    struct stat was;

    return fstat(from, &was) == 0 && fchown(to, was.st_uid, was.st_gid) == 0 &&
           fchmod(to, was.st_mode & 07777) == 0;
}

static bool write_whole(int from, int to, struct err *e)
{
    struct journal_scan s;
    size_t n;
    unsigned char *p = read_file(from, &n);
    bool ok =
        p != NULL ? walk(p, n, NULL, NULL, to, &s, e) : err_errno(e, errno, "read");

    free(p);
    errno = 0;
    return ok && (write_lost(to) || err_errno(e, errno == 0 ? EIO : errno, "write")) &&
           (same_owner(from, to) || err_errno(e, errno, "owner")) &&
           (fdatasync(to) == 0 || err_errno(e, errno, "fdatasync"));
}

bool journal_repair(const char *path, char *kept_as, size_t n, struct err *e)
{
    char next[PATH_MAX];
    int fd = open(path, O_RDWR | O_CLOEXEC), to = -1;
    struct err why;
    bool ok;

    (void)snprintf(next, sizeof next, "%s.new", path);
    if (fd < 0) {
        return err_errno(e, errno, "%s", path);
    }
    ok = journal_lock(fd, &why);
    if (ok) {
        to = open(next, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
        ok = to >= 0 ? write_whole(fd, to, &why) : err_errno(&why, errno, "%s", next);
    }
    ok = ok && keep(path, kept_as, n, &why) &&
         (rename(next, path) == 0 || err_errno(&why, errno, "%s", next)) &&
         folder_sync_of(path, &why);
    if (to >= 0) {
        (void)close(to);
    }
    (void)close(fd);
    return ok || err_set(e, "%s: %s", path, why.text);
}
