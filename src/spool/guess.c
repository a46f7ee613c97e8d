#include "spool/guess.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/mem.h"
#include "spool/blocks.h"
#include "spool/format.h"

enum { GUESS_BYTES_MAX = 4 << 20 };

static uint32_t crc_of(const struct block_head *h, const char *block, uint32_t salt)
{
    return crc32c(block_head_crc(h, salt), block + BLOCK_HEAD_BYTES,
                  h->block_bytes - BLOCK_HEAD_BYTES);
}

/* The only salt with which the block's crc holds: each bit of the salt changes the
 * crc by a pattern of its own, so that 32 equations give it. */
static uint32_t solve_salt(const struct block_head *h, const char *block)
{
    uint32_t zero = crc_of(h, block, 0), left = zero ^ h->crc, salt = 0;
    uint32_t pattern[32], bits[32];

    for (unsigned i = 0; i < 32; i++) {
        pattern[i] = crc_of(h, block, 1u << i) ^ zero;
        bits[i] = 1u << i;
        for (unsigned k = 0; k < i; k++) {
            if (pattern[i] & (pattern[k] & (0u - pattern[k]))) {
                pattern[i] ^= pattern[k];
                bits[i] ^= bits[k];
            }
        }
    }
    for (unsigned k = 0; k < 32; k++) {
        if (left & (pattern[k] & (0u - pattern[k]))) {
            left ^= pattern[k];
            salt ^= bits[k];
        }
    }
    return salt;
}

int page_guess(int fd, const char *path, uint64_t size, struct page *p)
{
    const char *name = strrchr(path, '/') + 1;
    char head[BLOCK_HEAD_BYTES];
    struct blocks_hit hit;
    struct block_head h;
    char *block;
    int rc;

    if (sscanf(name, "%" SCNu64, &p->number) != 1 ||
        size < PAGE_BYTES + BLOCK_HEAD_BYTES) {
        return ENOENT;
    }
    rc = blocks_read(fd, head, sizeof head, PAGE_BYTES);
    if (rc != 0) {
        return rc;
    }
    if (!block_head(head, &h) || h.n == 0 || h.block_bytes > GUESS_BYTES_MAX ||
        h.block_bytes > size - PAGE_BYTES) {
        return ENOENT;
    }
    block = mem_alloc(h.block_bytes);
    rc = blocks_read(fd, block, h.block_bytes, PAGE_BYTES);
    if (rc == 0) {
        uint32_t salt = solve_salt(&h, block);

        rc = salt == p->salt ? 0
                             : blocks_search(fd, salt, PAGE_BYTES + h.block_bytes, size,
                                             h.first + 1, &hit);
        p->salt = salt;
    }
    free(block);
    p->first = h.first;
    p->unacked = 0;
    p->before_end = 0;
    return rc;
}
