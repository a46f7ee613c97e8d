/*
 * places - where a sink's confirmed events went, in the words of the destination, and what
 * became of those that it has not: files of records beside its journal.
 *
 *   NAME.places   events that it has
 *   NAME.apart    events that are dead, passed over or lost, or before its beginning
 *
 *   places_init -> places_note* -> places_fini
 *
 * For people, sluice find and sluice ledger only: nothing is decided by it. So it is
 * written without a sync, and what the disk does not take is counted and left out. At
 * PLACES_BYTES a file becomes NAME.places.1 or NAME.apart.1, in place of the one before.
 * An event without a record counts as confirmed once its sink is done with it, so that
 * nothing may leave NAME.apart in silence: the time of NAME.apart.cut is when records of
 * it were last dropped or not taken. The delivery thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "batch/batch.h"
#include "journal/record.h"
#include "stats/stats.h"

enum { PLACES_BYTES = 32 << 20, PLACES_TEXT_MAX = 1024 };

struct places_file {
    char path[4096];
    int fd; /* -1: not opened yet */
    uint64_t bytes;
};

struct places {
    struct places_file has, apart;
    bool untold; /* NAME.apart.cut is not there yet, or older than what was not taken */
    unsigned char *record; /* RECORD_BYTES_MAX */
    stats_cell *unrecorded;
};

/* The paths of a sink's places, beside its journal. Readers take them in this order: an
 * event that was dead may have been delivered since. */
#define PLACES_APART_OLD_TAIL ".apart.1"
#define PLACES_APART_TAIL ".apart"
#define PLACES_OLD_TAIL ".places.1"
#define PLACES_TAIL ".places"
#define PLACES_CUT_TAIL ".apart.cut"

/* The places of a sink go where its journal went, or, with the journal, away. By the paths
 * of journals; what the disk refuses stays as it is. */
void places_move(const char *from_journal, const char *to_journal);
void places_remove(const char *journal_path);
/* Of a sink that was called that: its places, too, if the process ended between the two
 * moves. Leaves them to a sink that has a journal of that name. */
void places_adopt(const char *journal_path, const char *was);

/* The last time (wall clock, ms) at which records of events apart were dropped or not
 * taken, by the path of the journal; 0: never. What was accepted later is told apart. */
int64_t places_cut_ms(const char *journal_path);

/* Opens no file yet. */
void places_init(struct places *p, const char *journal_path, stats_cell *unrecorded);
void places_fini(struct places *p);

/* Events of the ranges, which the sink has (RECORD_DONE; place: where, value: its batch),
 * which became dead letters (RECORD_DEAD; place: why), which it passed over (RECORD_SKIP,
 * value as in its journal), or before which it has begun (RECORD_START). place is cut at
 * PLACES_TEXT_MAX. */
void places_note(struct places *p, enum record_type type, struct str stream,
                 struct str place, int64_t wall_ms, uint64_t value,
                 const struct batch_range *ranges, uint32_t n);
