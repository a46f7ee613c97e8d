/*
 * reader - one index file: which sequences an id may have, and when events came.
 *
 *   index_expect? -> index_open -> index_expect_find? -> index_find*, index_rows -> index_close
 *
 * Files never change, so a running server does not matter. What a checksum does not
 * cover is not believed. Reads by pread; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "index/format.h"

struct err;

struct index_file {
    int fd;
    struct index_head head;
    /* memory that the next file uses again, and whether it has this one's */
    uint64_t *prints;
    const uint32_t *crcs;
    struct index_row *rows;
    size_t fences_room, rows_room;
    bool has_fences, has_rows;
};

enum index_opened {
    INDEX_OPENED = 0,
    INDEX_NOT_ONE,   /* another kind of file, cut or damaged */
    INDEX_UNREADABLE /* the disk does not say */
};

/* f was zeros, or was closed. Reads the head and the file's size. */
enum index_opened index_open(struct index_file *f, const char *path,
                             struct err *e) MUST_USE;
void index_close(struct index_file *f); /* keeps the memory */
void index_free(struct index_file *f);  /* that, after the last file */

/* The disk may begin to read what index_open reads, and the fences: of a file that is opened
 * soon. Waits for nothing; a path that is not there is fine. */
void index_expect(const char *path);
/* And what index_find reads then; reads the fences. */
void index_expect_find(struct index_file *f, uint64_t print);

/* Calls fn with each sequence whose id has the fingerprint's stored part, in their
 * order; false from fn: enough. False and *e: damaged, or the disk does not give it:
 * what fn was called with is right, and may be not all. */
typedef bool index_hit_fn(void *arg, uint64_t seq);
bool index_find(struct index_file *f, uint64_t print, index_hit_fn *fn, void *arg,
                struct err *e) MUST_USE;

/* Reads the rows: f->rows, f->head.n_rows of them. False and *e: as above. */
bool index_rows(struct index_file *f, struct err *e) MUST_USE;
/* The row of that sequence, after index_rows; NULL: the file has no event of it. */
const struct index_row *index_row_of(const struct index_file *f, uint64_t seq);

/* Reads group g to ids (INDEX_GROUP); *n: how many. False and *e: as above. */
bool index_group(struct index_file *f, uint32_t g, struct index_id *ids, uint32_t *n,
                 struct err *e) MUST_USE;
