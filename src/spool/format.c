#include "spool/format.h"

#include <assert.h>
#include <string.h>

#include "base/crc32c.h"

static_assert(sizeof(struct page) == 160, "the page's layout is on disk");
static_assert(sizeof(struct block_head) == BLOCK_HEAD_BYTES, "so is a head's");
static_assert(sizeof(struct spool_entry) == BLOCK_ENTRY_BYTES, "and an entry's");
static_assert(sizeof(struct spool_identity) == BLOCK_IDENTITY_BYTES,
              "and an identity's");

static const char MAGIC[8] = "SLUICE\r\n";

void page_encode(const struct page *p, unsigned char *out)
{
    struct page q = *p;

    memset(out, 0, PAGE_BYTES);
    memcpy(q.magic, MAGIC, sizeof q.magic);
    q.format = PAGE_FORMAT;
    q.crc = 0;
    memcpy(out, &q, sizeof q);
    q.crc = crc32c(0, out, PAGE_BYTES);
    memcpy(out, &q, sizeof q);
}

bool page_decode(const unsigned char *in, struct page *p)
{
    static const unsigned char zero[4];
    uint32_t crc;

    memcpy(p, in, sizeof *p);
    if (memcmp(p->magic, MAGIC, sizeof p->magic) != 0 || p->format != PAGE_FORMAT) {
        return false;
    }
    crc = crc32c(0, in, offsetof(struct page, crc));
    crc = crc32c(crc, zero, sizeof zero);
    crc = crc32c(crc, in + offsetof(struct page, format),
                 PAGE_BYTES - offsetof(struct page, format));
    p->stream[sizeof p->stream - 1] = '\0';
    return crc == p->crc;
}

static uint32_t entry_bytes(bool identified)
{
    return BLOCK_ENTRY_BYTES + (identified ? BLOCK_IDENTITY_BYTES : 0);
}

uint64_t block_size(uint32_t payload_bytes, uint32_t n, bool identified)
{
    uint64_t size = BLOCK_HEAD_BYTES + (((uint64_t)payload_bytes + 7) & ~7ull) +
                    (uint64_t)n * entry_bytes(identified);

    return size > UINT32_MAX ? 0 : size;
}

uint32_t block_head_crc(const struct block_head *h, uint32_t salt)
{
    return crc32c(salt, &h->head_bytes,
                  sizeof *h - offsetof(struct block_head, head_bytes));
}

void block_seal(struct block_head *h, uint32_t salt, const char *payload,
                const struct spool_entry *entries,
                const struct spool_identity *identities)
{
    h->magic = BLOCK_MAGIC;
    h->head_bytes = BLOCK_HEAD_BYTES;
    h->entry_bytes = (uint16_t)entry_bytes(identities != NULL);
    h->block_bytes = (uint32_t)block_size(h->payload_bytes, h->n, identities != NULL);
    h->unused = 0;
    h->crc = crc32c(block_head_crc(h, salt), payload, align8(h->payload_bytes));
    h->crc = crc32c(h->crc, entries, (size_t)h->n * sizeof *entries);
    if (identities != NULL) {
        h->crc = crc32c(h->crc, identities, (size_t)h->n * sizeof *identities);
    }
}

static bool identified(const struct block_head *h)
{
    return h->entry_bytes == entry_bytes(true);
}

static bool sane(const struct block_head *h)
{
    return h->magic == BLOCK_MAGIC && h->head_bytes == BLOCK_HEAD_BYTES &&
           (h->entry_bytes == BLOCK_ENTRY_BYTES || identified(h)) && h->n > 0 &&
           h->first > 0 && h->block_bytes > BLOCK_HEAD_BYTES &&
           h->block_bytes == block_size(h->payload_bytes, h->n, identified(h));
}

/* The crc vouches for the entries; this protects a reader from entries that were
 * written wrong. */
static bool in_payload(const struct spool_entry *e, uint32_t n, uint32_t bytes)
{
    for (uint32_t i = 0; i < n; i++) {
        if ((uint64_t)e[i].off + e[i].len >= bytes ||
            (uint64_t)e[i].key_off + e[i].key_len > e[i].len) {
            return false;
        }
    }
    return true;
}

enum block_result block_open(const char *p, size_t room, uint32_t salt,
                             struct spool_block *out, size_t *need)
{
    struct block_head h;
    uint32_t crc;

    *need = BLOCK_HEAD_BYTES;
    if (room < BLOCK_HEAD_BYTES) {
        return BLOCK_SHORT;
    }
    memcpy(&h, p, sizeof h);
    if (!sane(&h)) {
        return BLOCK_BAD;
    }
    *need = h.block_bytes;
    if (room < h.block_bytes) {
        return BLOCK_SHORT;
    }
    crc = crc32c(block_head_crc(&h, salt), p + BLOCK_HEAD_BYTES,
                 h.block_bytes - BLOCK_HEAD_BYTES);
    out->first = h.first;
    out->n = h.n;
    out->payload_bytes = h.payload_bytes;
    out->payload = p + BLOCK_HEAD_BYTES;
    out->entries = (const struct spool_entry *)(const void *)(out->payload +
                                                              align8(h.payload_bytes));
    out->identities =
        identified(&h)
            ? (const struct spool_identity *)(const void *)(out->entries + h.n)
            : NULL;
    out->wall_ms = h.wall_ms;
    out->policy8 = h.policy8;
    out->key_hash = h.key_hash;
    return crc == h.crc && in_payload(out->entries, h.n, h.payload_bytes) ? BLOCK_OK
                                                                          : BLOCK_BAD;
}

static bool sane_closed(const struct block_head *h)
{
    return h->magic == BLOCK_MAGIC && h->head_bytes == BLOCK_HEAD_BYTES &&
           h->flags == BLOCK_CLOSED && h->n == 0 && h->payload_bytes == 0 &&
           h->first > 0 && h->block_bytes == BLOCK_HEAD_BYTES;
}

bool block_head(const char *p, struct block_head *h)
{
    memcpy(h, p, sizeof *h);
    return sane(h) || sane_closed(h);
}

void block_seal_closed(char *out, uint32_t salt, uint64_t next)
{
    struct block_head h = {.magic = BLOCK_MAGIC,
                           .head_bytes = BLOCK_HEAD_BYTES,
                           .entry_bytes = BLOCK_ENTRY_BYTES,
                           .flags = BLOCK_CLOSED,
                           .first = next,
                           .block_bytes = BLOCK_HEAD_BYTES};

    h.crc = block_head_crc(&h, salt);
    memcpy(out, &h, sizeof h);
}

bool block_closed(const char *p, size_t room, uint32_t salt, uint64_t *next)
{
    struct block_head h;

    if (room < sizeof h) {
        return false;
    }
    memcpy(&h, p, sizeof h);
    *next = h.first;
    return sane_closed(&h) && h.crc == block_head_crc(&h, salt);
}
