/*
 * internal - the parts that the files of this room share. No other file includes it.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>

#include "tables/csv_table.h"

struct err;

/* Where a line of the file went. */
struct row_line {
    uint32_t line;
    int32_t row;
};

struct csv_table {
    atomic_uint refs;
    const char *base; /* the image */
    struct table_head head;
    const uint32_t *places; /* n_buckets + 1 */
    const char *data, *tail;
    uint64_t data_units; /* of 4 bytes */
    char *names_text;    /* owned: whoever asks for a name meets no page that was cut */
    struct str names[CSV_COLUMNS_MAX];
    uint32_t order[CSV_COLUMNS_MAX]; /* of a column among a row's cells */
    struct row_line *lines;          /* in memory: of all rows, in the file's order */
    /* A mapped file's; NULL, -1: it is in memory. */
    int guard;                  /* guard.h */
    size_t bytes;               /* of the mapping */
    uint8_t id[TABLE_ID_BYTES]; /* the head's: that may become zeros */
    int fd;                     /* its lock tells others that the file is in use */
    struct csv_table *next;     /* in the list of open.c */
};

/* The image's last bytes. */
#define TABLE_TAIL UINT64_C(0x6C62617464656E65)

/* ---- csv_table.c ---- */

/* The image at base as a table with one reference, of which the checksums are not
 * looked at; NULL: it is none. base is taken when it is one. */
struct csv_table *table_of(const char *base, size_t bytes);

/* Frees l alone, not its image. */
void table_drop(struct csv_table *l);

/* Whether head is one that this program writes, of a file with that many bytes. */
bool table_head_fits(const struct table_head *head, uint64_t bytes);

/* The head's own checksum. */
uint32_t table_head_crc(const struct table_head *head);

/* ---- build.c ---- */

/* Where an image or its rows are written to: a file, or memory that grows. */
struct sink_bytes {
    int fd;  /* -1: memory */
    char *p; /* memory: the bytes; file: what is not written yet */
    size_t n, room;
    uint64_t at;     /* where p belongs */
    uint32_t crc;    /* of all that was flushed, but for the first */
    size_t unsummed; /* bytes */
    int error;       /* errno of the write that failed */
    char *map;       /* a file that is read again */
    size_t map_bytes;
    int guard; /* of map, guard.h */
};

struct build {
    struct str key;
    char delimiter;
    const struct csv_rules *rules; /* NULL: none */
    csv_more_fn *more;
    void *more_arg;
    csv_problem_fn *problem;
    void *problem_arg;
    struct sink_bytes rows; /* as they come */
    struct sink_bytes out;
    struct table_head head;
    bool with_lines;        /* lines are wanted */
    struct row_line *lines; /* of all rows, in the image's order */
    size_t n_lines;
};

/* An image in b->out, but for its head, which is complete in b->head except for id,
 * content and head_crc. False: problems were told, or *e has another reason. */
bool table_build(struct build *b, struct err *e) MUST_USE;
void table_build_fini(struct build *b);

/* ---- open.c ---- */

/* One reference less. True: it was the last, and the mapping, if any, is gone. */
bool table_leave(struct csv_table *l);
