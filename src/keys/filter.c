#include "keys/filter.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { BITS_A_KEY = 20, BITS_A_BLOCK = FILTER_BLOCK_BYTES * 8, BITS_SET = 7 };

void filter_init(struct filter *f, uint64_t n)
{
    uint64_t blocks = n * BITS_A_KEY / BITS_A_BLOCK + 1;

    filter_init_blocks(f, blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)blocks);
}

void filter_init_blocks(struct filter *f, uint32_t n_blocks)
{
    f->n_blocks = n_blocks;
    f->words = aligned_alloc(FILTER_BLOCK_BYTES, filter_bytes(f));
    if (f->words == NULL) {
        abort(); /* as mem_alloc does */
    }
    memset(f->words, 0, filter_bytes(f));
}

void filter_fini(struct filter *f)
{
    free(f->words);
    f->words = NULL;
}

uint64_t filter_bytes(const struct filter *f)
{
    return (uint64_t)f->n_blocks * FILTER_BLOCK_BYTES;
}

/* A run is sorted by `a`, so that its blocks are filled one after the other. */
static uint64_t *block_of(const struct filter *f, const struct key *k)
{
    return f->words + ((k->a >> 32) * f->n_blocks >> 32) * 8;
}

/* Nine bits for each place; the multiplier is the golden ratio's. */
static uint64_t places(const struct key *k)
{
    return ((k->a << 32) + k->b) * 0x9E3779B97F4A7C15u;
}

void filter_add(struct filter *f, const struct key *k)
{
    uint64_t *block = block_of(f, k), bits = places(k);

    for (int i = 0; i < BITS_SET; i++, bits >>= 9) {
        block[bits >> 6 & 7] |= 1ull << (bits & 63);
    }
}

bool filter_has(const struct filter *f, const struct key *k)
{
    const uint64_t *block = block_of(f, k);
    uint64_t bits = places(k), all = 1;

    for (int i = 0; i < BITS_SET; i++, bits >>= 9) {
        all &= block[bits >> 6 & 7] >> (bits & 63);
    }
    return all & 1;
}

void filter_prefetch(const struct filter *f, const struct key *k)
{
    __builtin_prefetch(block_of(f, k));
}
