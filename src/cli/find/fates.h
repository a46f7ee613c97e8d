/*
 * fates - what the sinks' journals say of some events. Reads only; a running server does
 * not matter.
 *
 *   fates_read -> fate_of* -> fates_free
 *
 * One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "cli/find/sightings.h"
#include "delivery/places.h"

struct err;

enum fate_kind {
    FATE_UNMET =
        0, /* the sink's journal says nothing of the event's shard: it will read
                       it, if the stream feeds it */
    FATE_PENDING,
    FATE_PLANNED,   /* in a batch with an identity; it may have been sent */
    FATE_CONFIRMED, /* the sink has it; not exact: or it began to read after it */
    FATE_DEAD,
    FATE_BEFORE,  /* never seen: the sink began to read after it, or the stream led
                     elsewhere */
    FATE_SKIPPED, /* passed over, because the sink was too far behind */
    FATE_LOST,    /* its bytes were gone before the sink read them */
    FATE_REFUSED, /* a sync failed: its client was told that it is not stored */
    FATE_SETTLED  /* the sink is done with it; records of what is dead, skipped or lost
                     have been dropped since it was accepted */
};

struct fate {
    enum fate_kind kind;
    bool known;     /* the sink reads the stream */
    bool exact;     /* a record names the event; else only where the sink is follows */
    uint64_t batch; /* PLANNED, or before: its number; 0: none */
    char file[256]; /* CONFIRMED by a file sink: its name, as its journal has it */
    uint64_t file_end; /* bytes of it with the event's batch in it */
    bool unsynced;     /* they were in the page cache only when the journal said so */
    char place[PLACES_TEXT_MAX + 1]; /* where it is, or why it is dead; "": not
                                        recorded */
    int64_t time_ms;                 /* when that was noted; 0: not known */
};

struct fates {
    char (*sinks)[96]; /* names */
    uint32_t n_sinks;
    struct fate *list; /* of each sink, of each event */
    uint32_t n_events;
    char (*unread)[160]; /* journals that can't be read, and why */
    uint32_t n_unread;
};

/* False and *e: the folder of journals can't be read. */
bool fates_read(const char *spool, const struct sighting *events, uint32_t n,
                struct fates *out, struct err *e) MUST_USE;
const struct fate *fate_of(const struct fates *f, uint32_t sink, uint32_t event);
void fates_free(struct fates *f);

/* "pending", ... */
const char *fate_word(enum fate_kind kind);
