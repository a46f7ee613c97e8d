/* A run from its first key to its last, for a merge. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/read.h"
#include "keys/format.h"

enum { PAGES_AT_ONCE = 64 };

void run_reader_init(struct run_reader *x, const struct run *r)
{
    *x = (struct run_reader){.run = r,
                             .bytes = mem_alloc(PAGES_AT_ONCE * RUN_PAGE_BYTES)};
}

void run_reader_fini(struct run_reader *x)
{
    free(x->bytes);
    x->bytes = NULL;
}

static const struct run_page *page_in(const struct run_reader *x, uint32_t page)
{
    return (const struct run_page *)(const void *)(x->bytes +
                                                   (size_t)(page % PAGES_AT_ONCE) *
                                                       RUN_PAGE_BYTES);
}

/* Reads ahead at the first page of each lot. A short read leaves zeros, which are no
 * page. */
static bool fill(struct run_reader *x, struct err *e)
{
    size_t room = PAGES_AT_ONCE * RUN_PAGE_BYTES;
    ssize_t got = read_at(x->run->fd, x->bytes, room, run_page_at(x->page));

    if (got < 0) {
        return err_errno(e, errno, "%s", x->run->path);
    }
    memset(x->bytes + got, 0, room - (size_t)got);
    return true;
}

enum run_read run_reader_next(struct run_reader *x, struct key *k, struct err *e)
{
    while (x->at == x->n) {
        const struct run_page *p = page_in(x, x->page);

        if (x->page == x->run->n_pages) {
            return RUN_READ_END;
        }
        if (x->page % PAGES_AT_ONCE == 0 && !fill(x, e)) {
            return RUN_READ_FAILED;
        }
        x->page++;
        x->at = x->n = 0;
        if (!run_page_good(p, x->run->salt, x->page - 1)) {
            return RUN_READ_LOST;
        }
        x->n = p->n;
    }
    *k = page_in(x, x->page - 1)->keys[x->at++];
    return RUN_READ_KEY;
}
