/*
 * siphash - a keyed hash of short texts (Aumasson, Bernstein: "SipHash: a fast
 * short-input PRF", 2012), so that clients can't choose texts that collide.
 * Pure; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct siphash_key {
    uint64_t k0, k1;
};

/* SipHash-1-3, 64 bits: for tables, where a collision costs time only. */
uint64_t siphash13(const struct siphash_key *key, const void *data, size_t n);

/* SipHash-2-4 with 64 bits; with a key of zeros it is ClickHouse's sipHash64(). */
uint64_t siphash24(const struct siphash_key *key, const void *data, size_t n);

/* The same of n texts, four side by side where they have about the same length. */
void siphash24_each(const struct siphash_key *key, const struct str *texts, size_t n,
                    uint64_t *out);

/* SipHash-2-4 with 128 bits: for identities, where a collision is a mistake. */
void siphash24_128(const struct siphash_key *key, const void *data, size_t n,
                   uint64_t out[2]);

/* A key from the kernel's random numbers; of the clock where it has none. */
void siphash_key_random(struct siphash_key *key);
