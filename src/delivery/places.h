/*
 * places - where a sink's confirmed events went, in the words of the destination, and what
 * became of those that it has not: files of records beside its journal.
 *
 *   NAME.places   events that it has
 *   NAME.apart    events that are dead, passed over or lost, or before its beginning
 *   NAME.former   empty: a sink of that name left the policy, and had some events
 *
 *   places_init -> places_note* -> places_fini
 *
 * For people, sluice find and sluice ledger only: nothing is decided by it. So what the
 * disk does not take is counted and left out. At PLACES_BYTES a file becomes NAME.places.1
 * or NAME.apart.1, in place of the one before.
 *
 * An event without a record counts as confirmed once its sink is done with it, so that
 * nothing may leave NAME.apart in silence: NAME.apart.cut has the doubt about records that
 * were dropped or not taken, and the time when that was last. And the journal, when it is
 * written again, forgets how events ended: before that, places_mend notes what a crash left
 * unnoted, and places_sync puts NAME.apart on stable storage. The delivery thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "batch/batch.h"
#include "delivery/doubt.h"
#include "journal/journal.h"
#include "stats/stats.h"

struct err;
struct spool;
struct stat;

enum { PLACES_BYTES = 32 << 20, PLACES_TEXT_MAX = 1024 };

/* Values of a RECORD_SKIP here only, which the journal calls done: of events while the stream
 * did not lead to the sink, and of those that were lost after they may have been sent. */
enum { PLACES_NOT_ITS_OWN = 3, PLACES_UNSURE = 4 };

struct places_file {
    char path[4096];
    int fd; /* -1: not opened yet */
    uint64_t bytes;
};

struct places {
    struct places_file has, apart;
    /* Where they are: no file is opened while that is elsewhere; NULL: it is not asked. */
    const struct spool *spool;
    bool untold; /* NAME.apart.cut is not there yet, or older than what was not taken */
    bool synced; /* what is in NAME.apart outlives a power cut */
    struct doubt noted;    /* all that NAME.apart and NAME.apart.1 have, or had */
    unsigned char *record; /* RECORD_BYTES_MAX */
    stats_cell *unrecorded;
};

/* The paths of a sink's places, beside its journal. */
#define PLACES_APART_OLD_TAIL ".apart.1"
#define PLACES_APART_TAIL ".apart"
#define PLACES_OLD_TAIL ".places.1"
#define PLACES_TAIL ".places"
#define PLACES_CUT_TAIL ".apart.cut"
#define PLACES_FORMER_TAIL ".former"

/* The places of a sink go where its journal went, back to the name that it had before, or,
 * with the journal, away. By the paths of journals; what the disk refuses stays as it is. */
void places_move(const char *from_journal, const char *to_journal);
void places_move_back(const char *from_journal, const char *to_journal);
void places_remove(const char *journal_path);
/* What says whether a sink had events: its places alone, its journal, too, or nothing: it may
 * have sent some that the journal does not have. */
enum places_had { PLACES_HAD_BY_PLACES = 0, PLACES_HAD_BY_JOURNAL, PLACES_HAD_MAYBE };
/* Notes that a sink of that name had events, or may have. Its journal and its places, which
 * have the name at, are still there. */
void places_note_former(const char *journal_path, const char *at, enum places_had by);
/* Whether a sink of that name was removed, or may have been, that had events before: what
 * came before the sink of now may be among them. */
bool places_former(const char *journal_path);
/* Of a sink that was called that: its places, too, if the process ended between the two
 * moves. Leaves them to a sink that has a journal of that name. */
void places_adopt(const char *journal_path, const char *was);

/* No event that was accepted later was there when the file was changed: up to 2 s more than
 * the file system says, which keeps whole seconds, or a time that is some ms old. */
int64_t places_changed_ms(const struct stat *st);

/* Opens no file yet. */
void places_init(struct places *p, const char *journal_path, stats_cell *unrecorded);
void places_fini(struct places *p);

/* Events of the ranges, which the sink has (RECORD_DONE; place: where, value: its batch),
 * which became dead letters (RECORD_DEAD; place: why), which it passed over (RECORD_SKIP,
 * value as in its journal), or before which it has begun (RECORD_START). Of these, with
 * value: in that epoch it met the stream, and these are all shards of earlier ones that it
 * reads; records of one meeting have the same time. place is cut at PLACES_TEXT_MAX. */
void places_note(struct places *p, enum record_type type, struct str stream,
                 struct str place, int64_t wall_ms, uint64_t value,
                 const struct batch_range *ranges, uint32_t n);

/* Records of events apart are gone, or will be: the mark has this time, and what they may
 * be of, as noted. False: the disk does not take it. */
bool places_cut(struct places *p) MUST_USE;

/* A record that is apart, noted by an earlier process. */
void places_remember(struct places *p, const struct record *r);
/* Before the journal forgets how events ended. What can't be synced leaves the mark. False:
 * the disk takes neither, and only the journal knows. */
bool places_sync(struct places *p);

/* ---- apart.c: what is noted, read again ---- */

/* Notes what the journal says of dead, skipped and lost events, and the places do not: the
 * process ended, or the power went, between the two. Cuts a torn record. Damage becomes a
 * mark: of all events up to where the journal stands, since its records may be of any. Before
 * the first note, with the journal open. */
void places_mend(struct places *p, const char *journal_path);

/* Every whole record of the sink's places, also while it delivers: of what is apart, then
 * of what it has, the older ones first. *gone, which the caller frees: the events of which
 * records are gone or damaged may be among these; all, where damage was not mended. False
 * and *e: what is apart can't be read. Any thread. */
bool places_read(const char *journal_path, journal_record_fn *fn, void *arg,
                 struct doubt *gone, struct err *e) MUST_USE;
/* Adds what an open mark says, or all up to its time if it can't be read. */
void places_read_mark(int fd, struct doubt *gone);
