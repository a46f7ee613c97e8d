/*
 * record - one entry of a sink's journal, and its bytes.
 *
 *   length u32, type u32, crc32c u32 | time i64, value u64,
 *   id, stream, name (u16 length + bytes each), n u32, n ranges of 24 bytes
 *
 * The crc covers length, type and the payload after it. Little-endian. Every
 * type has the same fields, so that one reader serves all. Pure; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "batch/batch.h"

enum record_type {
    RECORD_HEAD = 1, /* name: the spool's uuid; value: format; id: the sink,
                        stream: the name it first had; time: boot_number() */
    RECORD_START,    /* ranges[0].first: where the shard's reading starts;
                        no range: the stream is known from here on;
                        value 1: it is forgotten; RECORD_START_LOST, without a
                        stream: a repair may have taken such records */
    RECORD_PLAN,     /* value: its number; ranges; id: where to, as
                        sink_ops.destination says; name: the sink; time 1:
                        other rows of it are settled */
    RECORD_SPLIT,    /* value: an intent; ranges: that part of it is one of its own */
    RECORD_DONE,     /* id: that intent; else: ranges */
    RECORD_DEAD,     /* id, value: offset in the dead-letter file, ranges */
    RECORD_FILE,     /* name, value: its length with these ranges in it,
                        time: when the file was begun; id RECORD_FILE_SYNCED: all of
                        that is on stable storage. value 0: it is begun; id
                        RECORD_FILE_DIR and its folder */
    RECORD_SEAL,     /* name, value: final length; id as of one that is begun */
    RECORD_SKIP,     /* ranges given up; value 1: lost, 0: skipped,
                        2: never promised to anybody */
    RECORD_RETIRE,   /* of the stream only the events in shards of epochs before value
                        are still to be delivered, and of that epoch those before
                        ranges[i].first; further ones add ranges. value 0: all is,
                        again */
    RECORD_N_TYPES
};

enum { RECORD_START_LOST = 2, RECORD_SKIP_VOID = 2 };

#define RECORD_FILE_SYNCED "synced"
/* Before a folder, which is below the data directory if it is not absolute. Journals of
 * earlier versions have none. */
#define RECORD_FILE_DIR "dir="

enum {
    RECORD_HEAD_BYTES = 12,
    RECORD_TEXT_MAX = 4096, /* of id, stream and name each */
    RECORD_RANGES_MAX = BATCH_RANGES_MAX,
    RECORD_BYTES_MAX =
        RECORD_HEAD_BYTES + 16 + 3 * (2 + RECORD_TEXT_MAX) + 4 + RECORD_RANGES_MAX * 24
};

struct record {
    enum record_type type;
    int64_t time_ms;
    uint64_t value;
    struct str id, stream, name;
    const struct batch_range *ranges;
    uint32_t n_ranges;
};

enum record_result {
    RECORD_OK = 0,
    RECORD_SHORT, /* n ends before the record does */
    RECORD_BAD,   /* these bytes are no record */
    RECORD_NEWER  /* a record of a type that a later version writes */
};

/* Writes r to out (RECORD_BYTES_MAX); returns its size. */
size_t record_encode(const struct record *r, unsigned char *out);

/* Reads the record at p. The texts point into p; ranges (RECORD_RANGES_MAX)
 * receives the ranges. *size: its bytes. */
enum record_result record_decode(const unsigned char *p, size_t n, struct record *r,
                                 struct batch_range *ranges, size_t *size) MUST_USE;
