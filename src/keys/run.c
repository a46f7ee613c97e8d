#include "keys/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/read.h"
#include "keys/format.h"

static enum run_opened read_head(struct run *r, struct run_head *h, struct err *e)
{
    unsigned char page[RUN_PAGE_BYTES];
    ssize_t got = read_at(r->fd, page, sizeof page, 0);

    if (got < 0) {
        (void)err_errno(e, errno, "%s", r->path);
        return RUN_UNREADABLE;
    }
    if (got != sizeof page || !run_head_decode(page, h) || h->n_pages == 0 ||
        h->filter_blocks == 0) {
        (void)err_set(e, "%s: not a file of keys, or its first page is damaged",
                      r->path);
        return RUN_NOT_ONE;
    }
    r->n_keys = h->n_keys;
    r->n_pages = h->n_pages;
    r->salt = h->salt;
    r->oldest_s = h->oldest_s;
    r->newest_s = h->newest_s;
    r->key = h->key;
    return RUN_OPENED;
}

/* True: *good says whether the tables are as they were written. False and *e: the disk
 * did not give them. */
static bool read_tables(struct run *r, const struct run_head *h, bool *good,
                        struct err *e)
{
    uint64_t at = run_page_at(h->n_pages);
    size_t n = (size_t)h->n_pages * sizeof *r->fences, m = filter_bytes(&r->filter);
    ssize_t fences = read_at(r->fd, r->fences, n, at);
    ssize_t words = read_at(r->fd, r->filter.words, m, at + n);

    if (fences < 0 || words < 0) {
        return err_errno(e, errno, "%s", r->path);
    }
    *good = (size_t)fences == n && (size_t)words == m &&
            crc32c(crc32c(h->salt, r->fences, n), r->filter.words, m) == h->tables_crc;
    return true;
}

/* The tables are damaged: they are made again from the pages. The fence of a page that
 * is damaged too is its neighbour's. */
static bool make_tables(struct run *r, struct err *e)
{
    struct run_reader x;
    enum run_read got;
    struct key k;

    memset(r->filter.words, 0, filter_bytes(&r->filter));
    memset(r->fences, 0, (size_t)r->n_pages * sizeof *r->fences);
    run_reader_init(&x, r);
    while ((got = run_reader_next(&x, &k, e)) == RUN_READ_KEY || got == RUN_READ_LOST) {
        if (got == RUN_READ_KEY) {
            filter_add(&r->filter, &k);
            if (x.at == 1) {
                r->fences[x.page - 1] = (uint32_t)(k.a >> 32);
            }
        }
    }
    run_reader_fini(&x);
    for (uint32_t i = 1; i < r->n_pages; i++) {
        if (r->fences[i] < r->fences[i - 1]) {
            r->fences[i] = r->fences[i - 1];
        }
    }
    return got == RUN_READ_END;
}

static enum run_opened load(struct run *r, struct err *e)
{
    enum run_opened opened;
    struct run_head h;
    bool good = false;

    r->fd = open(r->path, O_RDONLY | O_CLOEXEC);
    if (r->fd < 0) {
        (void)err_errno(e, errno, "%s", r->path);
        return RUN_UNREADABLE;
    }
    opened = read_head(r, &h, e);
    if (opened != RUN_OPENED) {
        return opened;
    }
    r->fences = mem_alloc((size_t)h.n_pages * sizeof *r->fences);
    r->damaged = mem_zalloc((h.n_pages / 64 + 1) * sizeof *r->damaged);
    filter_init_blocks(&r->filter, h.filter_blocks);
    return read_tables(r, &h, &good, e) && (good || make_tables(r, e)) ? RUN_OPENED
                                                                       : RUN_UNREADABLE;
}

enum run_opened run_open(const char *path, uint64_t id, struct run **out, struct err *e)
{
    struct run *r = mem_zalloc(sizeof *r);
    enum run_opened opened;

    atomic_init(&r->refs, 1);
    r->id = id;
    r->path = mem_strdup(path);
    opened = load(r, e);
    if (opened != RUN_OPENED) {
        run_unref(r);
        r = NULL;
    }
    *out = r;
    return opened;
}

struct run *run_ref(struct run *r)
{
    (void)atomic_fetch_add(&r->refs, 1);
    return r;
}

void run_unref(struct run *r)
{
    if (r == NULL || atomic_fetch_sub(&r->refs, 1) != 1) {
        return;
    }
    if (r->fd >= 0) {
        (void)close(r->fd);
    }
    filter_fini(&r->filter);
    free(r->fences);
    free(r->damaged);
    free(r->path);
    free(r);
}

/* The last page whose fence is not after hash; n_pages: none. Hashes are spread evenly,
 * so that the place is guessed, and found within a few steps. */
static uint32_t page_of(const struct run *r, uint32_t hash)
{
    uint32_t at = (uint32_t)((uint64_t)hash * r->n_pages >> 32), step = 1;
    uint32_t low, high;

    if (r->fences[at] <= hash) {
        low = at;
        while (at < r->n_pages && r->fences[at] <= hash) {
            low = at;
            at = step > r->n_pages - at ? r->n_pages : at + step;
            step *= 2;
        }
        high = at;
    } else {
        high = at;
        while (at > 0 && r->fences[at] > hash) {
            high = at;
            at = step > at ? 0 : at - step;
            step *= 2;
        }
        if (r->fences[at] > hash) {
            return r->n_pages;
        }
        low = at;
    }
    while (high - low > 1) { /* fences[low] <= hash, and high is the end or after it */
        uint32_t middle = low + (high - low) / 2;

        *(r->fences[middle] <= hash ? &low : &high) = middle;
    }
    return low;
}

static enum run_found find_in(const struct run_page *p, struct key *k)
{
    uint32_t low = 0, high = p->n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct key *x = &p->keys[middle];

        if (key_same(x, k)) {
            k->time_s = x->time_s;
            return RUN_FOUND;
        }
        *(x->a < k->a || (x->a == k->a && x->b < k->b) ? &low : &high) =
            middle + (x->a < k->a || (x->a == k->a && x->b < k->b));
    }
    return RUN_ABSENT;
}

bool run_damage(const struct run *r, uint32_t page)
{
    const uint64_t bit = 1ull << page % 64;

    return (atomic_fetch_or(&r->damaged[page / 64], bit) & bit) == 0;
}

enum run_found run_find(const struct run *r, struct key *k)
{
    const uint32_t hash = (uint32_t)(k->a >> 32);
    uint32_t i;

    if (!filter_has(&r->filter, k)) {
        return RUN_ABSENT;
    }
    /* The pages before it, as long as they may have the same upper bits. */
    for (i = page_of(r, hash); i < r->n_pages; i--) {
        struct run_page p;
        enum run_found found;
        ssize_t got = read_at(r->fd, &p, sizeof p, run_page_at(i));

        if (got < 0) {
            return RUN_UNREAD;
        }
        if (got != sizeof p || !run_page_good(&p, r->salt, i)) {
            return run_damage(r, i) ? RUN_DAMAGED : RUN_LOST;
        }
        found = find_in(&p, k);
        if (found == RUN_FOUND || r->fences[i] < hash) {
            return found;
        }
    }
    return RUN_ABSENT;
}
