/*
 * run - keys in one file that does not change, sorted by their hash.
 *
 *   run_writer_open -> run_writer_add* -> run_writer_close -> run_open
 *   run_open -> run_find · run_reader_next -> run_unref
 *
 *   page     4096 bytes: how many keys, of which times; its own checksum
 *   pages    255 keys and a checksum each, sorted
 *   fences   the first hash of each page, upper 32 bits
 *   filter   see filter.h
 *
 * Fences and filter are kept in memory: 2.5 bytes a key; a key that is there costs one
 * read of a page. Little-endian. A writer and a reader belong to one thread; run_find is
 * for any thread, and blocks while the disk does.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/siphash.h"
#include "keys/filter.h"

struct err;

enum { RUN_PAGE_BYTES = 4096, RUN_PAGE_KEYS = 255 };

struct run {
    atomic_uint refs;
    int fd;
    uint64_t id; /* of its file's name */
    uint64_t n_keys;
    uint32_t n_pages, salt;
    uint32_t oldest_s, newest_s; /* of its keys' times */
    struct siphash_key key;      /* that hashed its keys */
    uint32_t *fences;
    struct filter filter;
    _Atomic uint64_t *damaged; /* a bit for each page that was told */
    char *path;
};

enum run_opened {
    RUN_OPENED = 0,
    RUN_NOT_ONE,   /* its first page is damaged, or it was never finished */
    RUN_UNREADABLE /* the disk did not give it: unknown */
};

/* Reads fences and filter; damaged ones are made again from the pages. Else *e says
 * why not. */
enum run_opened run_open(const char *path, uint64_t id, struct run **out,
                         struct err *e) MUST_USE;
struct run *run_ref(struct run *r);
void run_unref(struct run *r); /* NULL is fine; the file stays */

enum run_found {
    RUN_ABSENT = 0,
    RUN_FOUND,   /* k->time_s is set */
    RUN_DAMAGED, /* its page has the wrong checksum: its keys are lost */
    RUN_LOST,    /* the same, and it was told before */
    RUN_UNREAD   /* the disk did not give the page: unknown */
};

/* A page is damaged. False: it was told before. */
bool run_damage(const struct run *r, uint32_t page);

enum run_found run_find(const struct run *r, struct key *k);

/* ---- writer.c ---- */

struct run_writer;

/* For at most max_keys keys, hashed by key. Replaces a file of that name. NULL and *e on
 * error. */
struct run_writer *run_writer_open(const char *path, const struct siphash_key *key,
                                   uint64_t max_keys, struct err *e) MUST_USE;
/* In the order of key_before; of equal hashes only the first is kept. False and *e: the
 * disk refused, and goes on refusing until run_writer_close. */
bool run_writer_add(struct run_writer *w, const struct key *k, struct err *e) MUST_USE;
/* Everything is on stable storage, also the file's name. False and *e: it is not, and
 * the file is gone. Frees w. keep false: removes the file and returns false. */
bool run_writer_close(struct run_writer *w, bool keep, struct err *e);

/* ---- reader.c: all keys of a run, in order ---- */

struct run_reader {
    const struct run *run;
    uint32_t page, at, n;
    char *bytes;
};

void run_reader_init(struct run_reader *x, const struct run *r);
void run_reader_fini(struct run_reader *x);

enum run_read { RUN_READ_KEY = 0, RUN_READ_END, RUN_READ_LOST, RUN_READ_FAILED };
/* RUN_READ_LOST: a damaged page, whose keys are skipped; it goes on after it.
 * RUN_READ_FAILED and *e: the disk did not give it: unknown. */
enum run_read run_reader_next(struct run_reader *x, struct key *k,
                              struct err *e) MUST_USE;
