/*
 * journal - a sink's append-only record of batches planned, events delivered and files
 * sealed.
 *
 *   journal_open (replays) -> journal_append*, journal_sync, journal_rewrite
 *                          -> journal_close
 *
 * One file. A record is in it or it is not: a torn tail is cut on opening, a
 * failed append leaves nothing behind. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "journal/record.h"

struct err;
struct journal;

/* One record of the replay, in order; views live during the call. */
typedef void journal_record_fn(void *arg, const struct record *r);

enum { JOURNAL_FORMAT = 1 }; /* RECORD_HEAD's value */

/* Opens or makes the file, locks it and replays it. NULL and *e: unusable, open in
 * another sink, of a later version, or damaged before its tail (the byte is named):
 * nothing is cut then, because delivered events would be delivered again, or cut away
 * from the archive. */
struct journal *journal_open(const char *path, journal_record_fn *fn, void *arg,
                             struct err *e) MUST_USE;
void journal_close(struct journal *j); /* NULL is fine */

/* No one else can open it as a journal until fd is closed. */
bool journal_lock(int fd, struct err *e) MUST_USE;

/* Appends r with one write: it survives kill -9. False and *e: it is not in
 * the journal; may be tried again. */
bool journal_append(struct journal *j, const struct record *r, struct err *e) MUST_USE;

/* All that was appended is on stable storage. A failure is final: pages that
 * could not be written may be gone although a second call would succeed, so
 * each later call fails until journal_rewrite has made a new file. */
bool journal_sync(struct journal *j, struct err *e) MUST_USE;

/* Writes a new journal of the records that emit hands to journal_emit, synced, and puts
 * it in place of the old by rename. False and *e: the old one stays. */
struct journal_draft;
typedef void journal_emit_fn(void *arg, struct journal_draft *draft);
void journal_emit(struct journal_draft *draft, const struct record *r);
bool journal_rewrite(struct journal *j, journal_emit_fn *emit, void *arg,
                     struct err *e) MUST_USE;

/* A sync failed, and journal_rewrite has not made it good yet. */
bool journal_poisoned(const struct journal *j);

/* That, or its last append failed: a new file may be the way out. */
bool journal_in_trouble(const struct journal *j);

uint64_t journal_bytes(const struct journal *j);

/* Bytes of the torn tail that journal_open cut; 0: it was whole. */
uint64_t journal_cut(const struct journal *j);

/* ---- repair.c: a journal that journal_open calls damaged ---- */

struct journal_scan {
    uint64_t bytes, records;
    uint64_t damaged_bytes, damaged_places, first_damage; /* its offset */
};

/* Reads every whole record, also those after damage; changes nothing. fn and out may
 * be NULL. False and *e: it can't be read, or a later version wrote it. */
bool journal_scan(const char *path, journal_record_fn *fn, void *arg,
                  struct journal_scan *out, struct err *e) MUST_USE;
/* The same of an open file, which stays open. */
bool journal_scan_file(int fd, journal_record_fn *fn, void *arg,
                       struct journal_scan *out, struct err *e) MUST_USE;

/* Puts a journal of the whole records in place of a damaged one, which stays as
 * path.damaged-N. False and *e: nothing changed. */
bool journal_repair(const char *path, char *kept_as, size_t n, struct err *e) MUST_USE;
