/*
 * blocks - the blocks in one segment's file, one after the other. Damaged bytes are
 * passed over: the next block is found by its checksum, which the segment's salt
 * seeds. Reads only, by pread; one thread.
 *
 *   blocks_init -> blocks_next* -> blocks_fini
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct spool_block;

enum { BLOCKS_PAD_BYTES = 64 };

enum blocks_result {
    BLOCKS_BLOCK = 0, /* its views live until the next call; BLOCKS_PAD_BYTES after its
                       last byte can be read */
    BLOCKS_DAMAGE,    /* damage says where; blocks_next goes on after it */
    BLOCKS_CLOSED,    /* the writer stopped here in good order */
    BLOCKS_STOP,      /* no block here, and none after */
    BLOCKS_UNREAD     /* the disk did not give it (error): unknown; ask again later */
};

struct blocks {
    int fd;
    uint32_t salt;
    uint64_t end;  /* nothing at or after this place is looked at */
    uint64_t off;  /* of the next block */
    uint64_t next; /* its sequence; 0: not known */
    bool search;   /* for a block after bytes that are not one */
    struct {
        uint64_t from, to; /* bytes of the file */
        uint64_t lost;     /* sequences */
    } damage;
    bool closed; /* the end at off is one that was recorded */
    /* Blocks that were passed unread, since the last one that was checked. */
    enum { PASS_NONE = 0, PASS_ON, PASS_BACK, PASS_NEVER } pass;
    struct blocks_place {
        uint64_t off, next;
    } first_passed, last_passed;
    int error;
    char *buf; /* bytes of the file from at */
    size_t room, n;
    uint64_t at;
};

/* fd stays the caller's. next: the first sequence of the segment, or 0. */
void blocks_init(struct blocks *w, int fd, uint32_t salt, uint64_t end, uint64_t next);
void blocks_fini(struct blocks *w);
enum blocks_result blocks_next(struct blocks *w, struct spool_block *b) MUST_USE;

/* Passes blocks whose events are all before `until`, by their heads: where what follows
 * is no block, blocks_next reads them after all. */
void blocks_pass(struct blocks *w, uint64_t until);

struct blocks_hit {
    uint64_t off, first;
    bool closed; /* not a block, but where the writer stopped */
};

/* The first block (or recorded end) at or after `from` (a multiple of 8) and before
 * `end` with sequences from seq on. 0: *hit; ENOENT: there is no such block; else the
 * errno of a read that failed. */
int blocks_search(int fd, uint32_t salt, uint64_t from, uint64_t end, uint64_t seq,
                  struct blocks_hit *hit) MUST_USE;

/* Whether the bytes after the head, which is said to stand at off, agree with its crc; 0,
 * ENOENT or the errno of a read that failed. */
struct block_head;
int blocks_check(int fd, uint32_t salt, const struct block_head *h,
                 uint64_t off) MUST_USE;

/* Reads all n bytes. 0, or an errno; EIO when the file ends before. */
int blocks_read(int fd, void *out, size_t n, uint64_t off) MUST_USE;
