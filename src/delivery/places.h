/*
 * places - where a sink's confirmed events went, in the words of the destination: a
 * file of records beside its journal, NAME.places.
 *
 *   places_open -> places_note* -> places_close
 *
 * For people and sluice find only: nothing is decided by it. So it is written without a
 * sync, and what the disk does not take is counted and left out. At PLACES_BYTES it
 * becomes NAME.places.1, in place of the one before. The delivery thread.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"
#include "batch/batch.h"
#include "journal/record.h"
#include "stats/stats.h"

enum { PLACES_BYTES = 32 << 20, PLACES_TEXT_MAX = 1024 };

struct places {
    char path[4096];
    int fd; /* -1: not opened yet */
    uint64_t bytes;
    unsigned char *record; /* RECORD_BYTES_MAX */
    stats_cell *unrecorded;
};

/* The path of a sink's places, beside its journal. */
#define PLACES_TAIL ".places"
#define PLACES_OLD_TAIL ".places.1"

/* The places of a sink go where its journal went, or, with the journal, away. By the paths
 * of journals; what the disk refuses stays as it is. */
void places_move(const char *from_journal, const char *to_journal);
void places_remove(const char *journal_path);
/* Of a sink that was called that: its places, too, if the process ended between the two
 * moves. Leaves them to a sink that has a journal of that name. */
void places_adopt(const char *journal_path, const char *was);

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
