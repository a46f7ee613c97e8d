/*
 * format - the bytes of an index file: which ids a run of a shard's events has, and when
 * they were accepted.
 *
 *   head     4096 bytes: the run of sequences, counts, checksums of the next two parts
 *   fences   of each group the first fingerprint (8 bytes each), then its crc (4 each)
 *   rows     the events in their order: when, by which policy, how many, their checksum
 *   groups   256 ids each, sorted by fingerprint: ordinals (4 bytes each), then the
 *            upper 32 bits of the fingerprints, then the lower 24
 *
 * An id takes 11 bytes and its share of fences and rows, together less than 12. Pure; any
 * thread. Little-endian. Numbers on disk are these structs: a new layout gets a new
 * number.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

enum {
    INDEX_FORMAT = 1,
    INDEX_HEAD_BYTES = 4096,
    INDEX_GROUP = 256,
    INDEX_ENTRY_BYTES = 11,
    INDEX_FENCE_BYTES = 12,
    INDEX_GROUP_BYTES = INDEX_GROUP * INDEX_ENTRY_BYTES,
    INDEX_IDS_MAX = 1 << 20,    /* of one file */
    INDEX_EVENTS_MAX = 1 << 24, /* the same; some have no id */
    INDEX_STREAM_MAX = 72,
    INDEX_FIELD_MAX = 512
};

struct index_head {
    char magic[8]; /* "SLINDEX\n" */
    uint32_t crc;  /* of what follows, to the end of the head */
    uint32_t format;
    char uuid[40]; /* of the spool, in the epoch of the shard */
    char stream[INDEX_STREAM_MAX];
    char field[INDEX_FIELD_MAX]; /* path of the id */
    uint32_t epoch, worker;
    uint64_t first, end; /* sequences: end is not in it */
    uint64_t n_events;   /* that were read */
    uint64_t n_lost;     /* sequences of which the events were gone */
    uint32_t n_ids, n_rows;
    int64_t oldest_ms, newest_ms; /* of its events; 0: it has none */
    uint32_t step_ms;             /* a row's time is exact to so many ms */
    uint32_t fences_crc, rows_crc;
    uint32_t unused;
};

/* Events one after the other, accepted within step_ms and within one minute. */
struct index_row {
    uint64_t seq; /* of the first */
    int64_t wall_ms;
    uint64_t policy8;     /* first 8 bytes of the policy's hash */
    uint64_t sum;         /* of the fingerprints, mod 2^64 */
    uint32_t n;           /* events */
    uint32_t n_anonymous; /* of these, without an id */
};

/* An id, and where its event is: sequence first + ordinal. */
struct index_id {
    uint64_t print; /* its upper 56 bits are stored */
    uint32_t ordinal;
};

/* The part of a fingerprint that a file has. */
static inline uint64_t index_stored_print(uint64_t print)
{
    return print >> 8;
}

static inline uint32_t index_groups(uint32_t n_ids)
{
    return (n_ids + INDEX_GROUP - 1) / INDEX_GROUP;
}

static inline uint32_t index_ids_of(uint32_t n_ids, uint32_t group)
{
    uint32_t left = n_ids - group * INDEX_GROUP;

    return left < INDEX_GROUP ? left : INDEX_GROUP;
}

/* Where the parts lie, and the whole of a file. */
static inline uint64_t index_rows_at(const struct index_head *h)
{
    return INDEX_HEAD_BYTES + (uint64_t)index_groups(h->n_ids) * INDEX_FENCE_BYTES;
}

static inline uint64_t index_groups_at(const struct index_head *h)
{
    return index_rows_at(h) + (uint64_t)h->n_rows * sizeof(struct index_row);
}

static inline uint64_t index_bytes(const struct index_head *h)
{
    return index_groups_at(h) + (uint64_t)h->n_ids * INDEX_ENTRY_BYTES;
}

/* SipHash-2-4 with a key of zeros: a destination can compute it, too. */
uint64_t index_print(const void *id, size_t n);

/* The same of n ids, in less time. */
void index_prints(const struct str *ids, size_t n, uint64_t *out);

/* Fills magic, format and crc; out has INDEX_HEAD_BYTES. */
void index_head_encode(const struct index_head *h, unsigned char *out);
/* False: in is not the head of an index file, or is damaged. */
bool index_head_decode(const unsigned char *in, struct index_head *h) MUST_USE;

/* n (1..INDEX_GROUP) ids to their bytes, and the crc of these. */
uint32_t index_group_encode(const struct index_id *ids, uint32_t n, uint32_t group,
                            unsigned char *out);
/* The crc of a group's bytes as its fence must have it. */
uint32_t index_group_crc(const unsigned char *in, uint32_t n, uint32_t group);
/* Id i; print has its stored part only. */
struct index_id index_group_id(const unsigned char *in, uint32_t n, uint32_t i);

/* Sorts by the stored part of the fingerprint, then by ordinal: ids come in the order of
 * ordinals. spare has room for n. In time n, whatever the fingerprints are. */
void index_sort(struct index_id *ids, struct index_id *spare, uint32_t n);
