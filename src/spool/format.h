/*
 * format - the bytes of a segment: its first page and the blocks after it.
 *
 *   page    4096 bytes: the segment's identity, and the salt of its blocks
 *   block   64-byte head, NDJSON payload, zeros to 8 bytes, 16-byte entries; and, where
 *           entry_bytes is 32, the 16-byte identity of each event after them
 *
 * Little-endian, as is every machine this runs on. Pure; any thread. Numbers
 * on disk are these structs, so their layout never changes: a new format gets a
 * new number.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "spool/spool.h"

enum {
    PAGE_BYTES = 4096,
    PAGE_FORMAT = 1,
    STREAM_NAME_MAX = 64,
    BLOCK_HEAD_BYTES = 64,
    BLOCK_ENTRY_BYTES = 16,
    BLOCK_IDENTITY_BYTES = 16
};

/* block_head.flags: no block, but the place where the segment was closed. */
enum { BLOCK_CLOSED = 1 };

/* FF never occurs in UTF-8: no payload looks like a block. */
#define BLOCK_MAGIC 0x424C53FFu

/* The start of the first page; the rest is zeros. */
struct page {
    char magic[8];          /* "SLUICE\r\n" */
    uint32_t crc;           /* of the page with crc 0 */
    uint32_t format;        /* PAGE_FORMAT */
    unsigned char uuid[16]; /* of the spool */
    char stream[STREAM_NAME_MAX + 8];
    uint32_t epoch, worker;
    uint64_t number; /* in the shard, from 1 */
    uint64_t segment_bytes;
    uint64_t first;      /* sequence of its first event; 0: prepared only */
    uint64_t before_end; /* where the segment before it ended; 0: none */
    uint64_t unacked;    /* sequences before first that no client was promised */
    uint32_t salt;       /* seeds the crc of every block */
    uint32_t unsure; /* a sync failed: 1 + how many of its events were promised by then;
                        clients of later ones may have been refused. 0: none failed */
};

struct block_head {
    uint32_t magic;
    uint32_t crc;        /* of all that follows, seeded with the salt */
    uint16_t head_bytes; /* both may grow */
    uint16_t entry_bytes;
    uint32_t flags;
    uint64_t first; /* sequence of its first event */
    uint32_t n;     /* events */
    uint32_t payload_bytes;
    int64_t wall_ms;
    uint64_t policy8;     /* first 8 bytes of the policy's hash */
    uint64_t key_hash;    /* of the name of the key that entries note, 0: none */
    uint32_t block_bytes; /* head to last entry; a multiple of 8 */
    uint32_t unused;
};

/* Fills crc; out has PAGE_BYTES. */
void page_encode(const struct page *p, unsigned char *out);

/* False: in is no page of ours, or damaged. */
bool page_decode(const unsigned char *in, struct page *p) MUST_USE;

static inline uint32_t align8(uint32_t n)
{
    return (n + 7u) & ~7u;
}

/* Bytes of a block with n entries, with their identities or without; 0 when that passes
 * 32 bits. */
uint64_t block_size(uint32_t payload_bytes, uint32_t n, bool identified);

/* Fills magic, sizes and crc of h. payload is followed by zeros up to 8 bytes; all lie
 * apart. identities: NULL: the block has none. */
void block_seal(struct block_head *h, uint32_t salt, const char *payload,
                const struct spool_entry *entries,
                const struct spool_identity *identities);

enum block_result {
    BLOCK_OK = 0,
    BLOCK_SHORT, /* room ends before the block does: *need bytes are needed */
    BLOCK_BAD    /* no block of this segment */
};

/* Reads the block at p; out's views point into p. */
enum block_result block_open(const char *p, size_t room, uint32_t salt,
                             struct spool_block *out, size_t *need) MUST_USE;

/* Whether the head at p (BLOCK_HEAD_BYTES) may be one of a block, or of a closed
 * end (n is 0 then); *h receives it. Its crc is still to be compared. */
bool block_head(const char *p, struct block_head *h) MUST_USE;

/* The crc over the head's part; go on with crc32c over the bytes after it. */
uint32_t block_head_crc(const struct block_head *h, uint32_t salt);

/* The mark that a writer leaves behind its last block when it stops: next is the
 * sequence that would have come. out has BLOCK_HEAD_BYTES. */
void block_seal_closed(char *out, uint32_t salt, uint64_t next);

/* Whether such a mark stands at p. */
bool block_closed(const char *p, size_t room, uint32_t salt, uint64_t *next) MUST_USE;
