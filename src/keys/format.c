#include "keys/format.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

#include "base/crc32c.h"

static_assert(sizeof(struct key) == 16, "a key's layout is on disk");
static_assert(sizeof(struct run_head) == 64, "so is a head's");
static_assert(sizeof(struct run_page) == RUN_PAGE_BYTES, "and a page's");

static const char MAGIC[8] = "SLKEYS\r\n";

static uint32_t head_crc(const unsigned char *page)
{
    const size_t from = offsetof(struct run_head, format);

    return crc32c(0, page + from, RUN_PAGE_BYTES - from);
}

void run_head_encode(const struct run_head *h, unsigned char *out)
{
    struct run_head q = *h;

    memset(out, 0, RUN_PAGE_BYTES);
    memcpy(q.magic, MAGIC, sizeof q.magic);
    q.format = RUN_FORMAT;
    memcpy(out, &q, sizeof q);
    q.crc = head_crc(out);
    memcpy(out, &q, sizeof q);
}

bool run_head_decode(const unsigned char *in, struct run_head *h)
{
    memcpy(h, in, sizeof *h);
    return memcmp(h->magic, MAGIC, sizeof h->magic) == 0 && h->crc == head_crc(in) &&
           h->format == RUN_FORMAT;
}

static uint32_t page_crc(const struct run_page *p, uint32_t salt)
{
    uint32_t crc = crc32c(salt, p->keys, sizeof p->keys);

    return crc32c(crc, &p->n, sizeof *p - offsetof(struct run_page, n));
}

void run_page_seal(struct run_page *p, uint32_t salt)
{
    p->crc = page_crc(p, salt);
}

bool run_page_good(const struct run_page *p, uint32_t salt, uint64_t number)
{
    return p->crc == page_crc(p, salt) && p->number == number && p->n > 0 &&
           p->n <= RUN_PAGE_KEYS;
}
