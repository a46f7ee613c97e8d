/* A run that is being written: pages as they fill, then its tables, its head last. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/err.h"
#include "base/folder.h"
#include "base/mem.h"
#include "base/siphash.h"
#include "base/write.h"
#include "keys/format.h"

enum {
    PAGES_AT_ONCE = 64,
    WRITE_BACK_BYTES =
        8 << 20 /* of a run that are on their way to the disk; a merge does
                                * not fill the memory that others write through */
};

struct run_writer {
    int fd;
    char *path;
    struct run_head head;
    uint32_t max_pages;
    uint32_t *fences;
    struct filter filter;
    struct run_page *pages; /* that wait to be written; the last one fills */
    uint32_t n_waiting;     /* whole ones */
    uint64_t written_back, waited_for;
    struct key last;
    bool failed;
};

struct run_writer *run_writer_open(const char *path, const struct siphash_key *key,
                                   uint64_t max_keys, struct err *e)
{
    struct run_writer *w = mem_zalloc(sizeof *w);
    struct siphash_key random;

    w->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    if (w->fd < 0) {
        (void)err_errno(e, errno, "%s", path);
        free(w);
        return NULL;
    }
    siphash_key_random(&random);
    w->head.salt = (uint32_t)random.k0;
    w->head.key = *key;
    w->head.oldest_s = UINT32_MAX;
    w->path = mem_strdup(path);
    w->max_pages = (uint32_t)(max_keys / RUN_PAGE_KEYS + 1);
    w->fences = mem_alloc((size_t)w->max_pages * sizeof *w->fences);
    w->pages = mem_alloc(PAGES_AT_ONCE * sizeof *w->pages);
    memset(&w->pages[0], 0, sizeof w->pages[0]);
    filter_init(&w->filter, max_keys);
    return w;
}

static bool refuse(struct run_writer *w, const char *call, struct err *e)
{
    w->failed = true;
    return err_errno(e, errno, "%s: %s", w->path, call);
}

static bool write_pages(struct run_writer *w, struct err *e)
{
    uint64_t at = run_page_at(w->head.n_pages - w->n_waiting);
    size_t n = (size_t)w->n_waiting * RUN_PAGE_BYTES;

    if (w->failed || !write_at(w->fd, w->pages, n, at)) {
        return refuse(w, "write", e);
    }
    w->n_waiting = 0;
    if (at + n - w->written_back >= WRITE_BACK_BYTES) {
        const off_t from = (off_t)w->written_back;

        (void)sync_file_range(w->fd, from, (off_t)(at + n) - from,
                              SYNC_FILE_RANGE_WRITE);
        if (w->waited_for < w->written_back) { /* 0 bytes would be all of them */
            (void)sync_file_range(w->fd, (off_t)w->waited_for,
                                  from - (off_t)w->waited_for,
                                  SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                                      SYNC_FILE_RANGE_WAIT_AFTER);
        }
        w->waited_for = w->written_back;
        w->written_back = at + n;
    }
    return true;
}

/* The page that fills is whole; the next one begins. */
static bool end_page(struct run_writer *w, struct err *e)
{
    struct run_page *p = &w->pages[w->n_waiting];

    p->number = w->head.n_pages;
    run_page_seal(p, w->head.salt);
    w->fences[w->head.n_pages++] = (uint32_t)(p->keys[0].a >> 32);
    w->n_waiting++;
    if (w->n_waiting == PAGES_AT_ONCE && !write_pages(w, e)) {
        return false;
    }
    memset(&w->pages[w->n_waiting], 0, sizeof w->pages[0]);
    return true;
}

bool run_writer_add(struct run_writer *w, const struct key *k, struct err *e)
{
    struct run_page *p = &w->pages[w->n_waiting];

    if (w->failed) {
        return err_set(e, "%s: a write failed before", w->path);
    }
    if (w->head.n_keys > 0 && key_same(&w->last, k)) {
        return true;
    }
    p->keys[p->n++] = w->last = *k;
    w->head.n_keys++;
    w->head.oldest_s = k->time_s < w->head.oldest_s ? k->time_s : w->head.oldest_s;
    w->head.newest_s = k->time_s > w->head.newest_s ? k->time_s : w->head.newest_s;
    filter_add(&w->filter, k);
    return p->n < RUN_PAGE_KEYS || end_page(w, e);
}

static bool write_tables(struct run_writer *w, struct err *e)
{
    uint64_t at = run_page_at(w->head.n_pages);
    size_t n = (size_t)w->head.n_pages * sizeof *w->fences,
           m = filter_bytes(&w->filter);
    unsigned char page[RUN_PAGE_BYTES];

    w->head.filter_blocks = w->filter.n_blocks;
    w->head.tables_crc = crc32c(crc32c(w->head.salt, w->fences, n), w->filter.words, m);
    run_head_encode(&w->head, page);
    return (write_at(w->fd, w->fences, n, at) &&
            write_at(w->fd, w->filter.words, m, at + n) &&
            write_at(w->fd, page, sizeof page, 0)) ||
           refuse(w, "write", e);
}

static bool finish(struct run_writer *w, struct err *e)
{
    if (w->failed) {
        return err_set(e, "%s: a write failed before", w->path);
    }
    if (w->head.n_keys == 0) {
        return err_set(e, "%s: it has no keys", w->path);
    }
    return (w->pages[w->n_waiting].n == 0 || end_page(w, e)) &&
           (w->n_waiting == 0 || write_pages(w, e)) && write_tables(w, e) &&
           (fdatasync(w->fd) == 0 || refuse(w, "fdatasync", e)) &&
           folder_sync_of(w->path, e);
}

bool run_writer_close(struct run_writer *w, bool keep, struct err *e)
{
    bool ok = keep && finish(w, e);

    (void)close(w->fd);
    if (!ok) {
        (void)unlink(w->path);
    }
    filter_fini(&w->filter);
    free(w->pages);
    free(w->fences);
    free(w->path);
    free(w);
    return ok;
}
