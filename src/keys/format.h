/*
 * format - the bytes of a run's first page and of its other pages. Pure; any thread.
 * Numbers on disk are these structs: a new layout gets a new number.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/siphash.h"
#include "keys/run.h"

enum { RUN_FORMAT = 1 };

struct run_head {
    char magic[8]; /* "SLKEYS\r\n" */
    uint32_t crc;  /* of what follows, to the end of the page */
    uint32_t format;
    uint64_t n_keys;
    uint32_t n_pages;
    uint32_t salt; /* seeds the crc of each page */
    uint32_t oldest_s, newest_s;
    uint32_t filter_blocks;
    uint32_t tables_crc;    /* of fences and filter */
    struct siphash_key key; /* that hashed its keys */
};

struct run_page {
    struct key keys[RUN_PAGE_KEYS];
    uint32_t crc; /* of keys and what follows, seeded with the salt */
    uint32_t n;
    uint64_t number; /* from 0 */
};

/* Fills magic, format and crc; out has RUN_PAGE_BYTES. */
void run_head_encode(const struct run_head *h, unsigned char *out);
bool run_head_decode(const unsigned char *in, struct run_head *h);

/* Where the keys of page i stand, and what is behind the last page. */
static inline uint64_t run_page_at(uint64_t i)
{
    return (i + 1) * RUN_PAGE_BYTES;
}

void run_page_seal(struct run_page *p, uint32_t salt);
bool run_page_good(const struct run_page *p, uint32_t salt, uint64_t number);
