#include "index/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/read.h"

static bool read_whole(const struct index_file *f, void *p, size_t n, uint64_t at,
                       struct err *e)
{
    ssize_t got = read_at(f->fd, p, n, at);

    if (got < 0) {
        return err_errno(e, errno, "read");
    }
    return (size_t)got == n || err_set(e, "it is cut");
}

static enum index_opened look(struct index_file *f, const char *path, struct err *e)
{
    unsigned char bytes[INDEX_HEAD_BYTES];
    struct stat st;
    ssize_t n = read_at(f->fd, bytes, sizeof bytes, 0);

    if (n < 0 || fstat(f->fd, &st) != 0) {
        (void)err_errno(e, errno, "%s", path);
        return INDEX_UNREADABLE;
    }
    if (n < (ssize_t)sizeof bytes || !index_head_decode(bytes, &f->head)) {
        (void)err_set(e, "%s: it is no index file of this version, or is damaged",
                      path);
        return INDEX_NOT_ONE;
    }
    if ((uint64_t)st.st_size != index_bytes(&f->head)) {
        (void)err_set(e, "%s: it has %lu bytes instead of %lu", path,
                      (unsigned long)st.st_size, (unsigned long)index_bytes(&f->head));
        return INDEX_NOT_ONE;
    }
    return INDEX_OPENED;
}

enum index_opened index_open(struct index_file *f, const char *path, struct err *e)
{
    enum index_opened r;

    f->has_fences = f->has_rows = false;
    f->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (f->fd < 0) {
        (void)err_errno(e, errno, "%s", path);
        return INDEX_UNREADABLE;
    }
    r = look(f, path, e);
    if (r != INDEX_OPENED) {
        index_close(f);
    }
    return r;
}

void index_expect(const char *path)
{
    const off_t n =
        INDEX_HEAD_BYTES + (off_t)index_groups(INDEX_IDS_MAX) * INDEX_FENCE_BYTES;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        (void)posix_fadvise(fd, 0, n, POSIX_FADV_WILLNEED);
        (void)close(fd);
    }
}

void index_close(struct index_file *f)
{
    if (f->fd >= 0) {
        (void)close(f->fd);
    }
    f->fd = -1;
}

void index_free(struct index_file *f)
{
    free(f->prints);
    free(f->rows);
    *f = (struct index_file){.fd = -1};
}

static bool read_fences(struct index_file *f, struct err *e)
{
    const uint32_t n_groups = index_groups(f->head.n_ids);
    const size_t n = (size_t)n_groups * INDEX_FENCE_BYTES;

    if (f->has_fences) {
        return true;
    }
    if (f->fences_room < n) {
        f->fences_room = 2 * n;
        free(f->prints);
        f->prints = mem_alloc(f->fences_room);
    }
    f->crcs = (const uint32_t *)(const void *)(f->prints + n_groups);
    f->has_fences = n == 0 || (read_whole(f, f->prints, n, INDEX_HEAD_BYTES, e) &&
                               (crc32c(1, f->prints, n) == f->head.fences_crc ||
                                err_set(e, "its fences are damaged")));
    return f->has_fences;
}

bool index_rows(struct index_file *f, struct err *e)
{
    const size_t n = f->head.n_rows * sizeof(struct index_row);

    if (f->has_rows) {
        return true;
    }
    if (f->rows_room < n) {
        f->rows_room = 2 * n;
        free(f->rows);
        f->rows = mem_alloc(f->rows_room);
    }
    f->has_rows = n == 0 || (read_whole(f, f->rows, n, index_rows_at(&f->head), e) &&
                             (crc32c(2, f->rows, n) == f->head.rows_crc ||
                              err_set(e, "its rows are damaged")));
    return f->has_rows;
}

const struct index_row *index_row_of(const struct index_file *f, uint64_t seq)
{
    uint32_t from = 0, to = f->head.n_rows;

    while (from < to) {
        const uint32_t mid = from + (to - from) / 2;
        const struct index_row *r = &f->rows[mid];

        if (seq < r->seq) {
            to = mid;
        } else if (seq - r->seq >= r->n) {
            from = mid + 1;
        } else {
            return r;
        }
    }
    return NULL;
}

/* The group's bytes, checked. */
static bool read_group(struct index_file *f, uint32_t g, unsigned char *bytes,
                       struct err *e)
{
    const uint32_t n = index_ids_of(f->head.n_ids, g);
    const uint64_t at =
        index_groups_at(&f->head) + (uint64_t)g * INDEX_GROUP * INDEX_ENTRY_BYTES;

    return read_whole(f, bytes, (size_t)n * INDEX_ENTRY_BYTES, at, e) &&
           (index_group_crc(bytes, n, g) == f->crcs[g] ||
            err_set(e, "group %u is damaged", g));
}

bool index_group(struct index_file *f, uint32_t g, struct index_id *ids, uint32_t *n,
                 struct err *e)
{
    unsigned char bytes[INDEX_GROUP_BYTES];

    *n = index_ids_of(f->head.n_ids, g);
    if (!read_fences(f, e) || !read_group(f, g, bytes, e)) {
        return false;
    }
    for (uint32_t i = 0; i < *n; i++) {
        ids[i] = index_group_id(bytes, *n, i);
    }
    return true;
}

/* The first group that may have the print: it begins before it, and the next does not. */
static uint32_t first_group(const struct index_file *f, uint32_t n, uint64_t print)
{
    uint32_t from = 0, to = n;

    while (from < to) {
        const uint32_t mid = from + (to - from) / 2;

        if (f->prints[mid] < print) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    return from > 0 ? from - 1 : 0;
}

/* Hits in a group; *past: ids after the print were met, or fn has enough. */
static void find_in_group(const struct index_file *f, const unsigned char *bytes,
                          uint32_t n, uint64_t print, index_hit_fn *fn, void *arg,
                          bool *past)
{
    uint32_t from = 0, to = n;

    while (from < to) {
        const uint32_t mid = from + (to - from) / 2;

        if (index_group_id(bytes, n, mid).print < print) {
            from = mid + 1;
        } else {
            to = mid;
        }
    }
    for (; from < n && !*past; from++) {
        const struct index_id id = index_group_id(bytes, n, from);

        *past = id.print != print || !fn(arg, f->head.first + id.ordinal);
    }
}

void index_expect_find(struct index_file *f, uint64_t print)
{
    const uint32_t n_groups = index_groups(f->head.n_ids);
    struct err later; /* index_find says it */

    if (n_groups > 0 && read_fences(f, &later)) {
        const uint32_t g = first_group(f, n_groups, index_stored_print(print));
        const uint64_t at =
            index_groups_at(&f->head) + (uint64_t)g * INDEX_GROUP * INDEX_ENTRY_BYTES;

        (void)posix_fadvise(f->fd, (off_t)at, INDEX_GROUP_BYTES, POSIX_FADV_WILLNEED);
    }
}

bool index_find(struct index_file *f, uint64_t print, index_hit_fn *fn, void *arg,
                struct err *e)
{
    const uint64_t stored = index_stored_print(print);
    const uint32_t n_groups = index_groups(f->head.n_ids);
    unsigned char bytes[INDEX_GROUP_BYTES];
    bool past = false;

    if (!read_fences(f, e)) {
        return false;
    }
    for (uint32_t g = first_group(f, n_groups, stored);
         g < n_groups && !past && f->prints[g] <= stored; g++) {
        if (!read_group(f, g, bytes, e)) {
            return false;
        }
        find_in_group(f, bytes, index_ids_of(f->head.n_ids, g), stored, fn, arg, &past);
    }
    return true;
}
