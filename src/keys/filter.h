/*
 * filter - whether a key may be in a run: 2.5 bytes a key, one cache line a look.
 *
 *   filter_init -> filter_add* -> filter_has* -> filter_fini
 *
 * A blocked Bloom filter (Putze, Sanders, Singler: "Cache-, hash- and space-efficient
 * Bloom filters", 2007): 20 bits a key, 7 of them set within 512. Of the keys that are
 * not there about 3 in 10,000 may be there. Pure; adding: one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "keys/key.h"

enum { FILTER_BLOCK_BYTES = 64 };

struct filter {
    uint64_t *words; /* eight a block */
    uint32_t n_blocks;
};

/* Empty, for n keys. */
void filter_init(struct filter *f, uint64_t n);
/* The same with the size of another one. */
void filter_init_blocks(struct filter *f, uint32_t n_blocks);
void filter_fini(struct filter *f);
uint64_t filter_bytes(const struct filter *f);

void filter_add(struct filter *f, const struct key *k);
bool filter_has(const struct filter *f, const struct key *k);
/* Asks memory for the line that filter_has will read. */
void filter_prefetch(const struct filter *f, const struct key *k);
