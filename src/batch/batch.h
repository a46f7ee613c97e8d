/*
 * batch - one growing group of events bound for one sink, and when it is time
 * to send it.
 *
 *   batch_new -> (batch_fit -> batch_append)* -> batch_due -> (sink)
 *             -> batch_reset -> ... -> batch_free
 *
 * Pure: bytes and time are arguments. One owner at a time, nothing locks: the
 * delivery thread until the batch is submitted, then the sink until it is
 * settled.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

/* Events first .. first + n - 1 of the shard (epoch, worker). */
struct batch_range {
    uint32_t epoch, worker;
    uint64_t first, n;
};

/* One event within the bytes; the same layout as the spool's index. */
struct batch_entry {
    uint32_t off, len; /* len without the newline */
    uint32_t key_off;  /* within the event */
    uint16_t key_len, flags;
};

/* The events before end, and after those of the one before, were accepted then. */
struct batch_age {
    uint32_t end;
    int64_t wall_ms;
};

/* A batch with this many ranges takes no further shard. */
enum { BATCH_RANGES_MAX = 512 };

/* Readable bytes after a batch's own, so that its events can be scanned in place. */
enum { BATCH_PAD = 64 };

struct batch_limits {
    uint32_t target, min, max; /* events; 1 <= min, target <= max */
    uint64_t max_bytes;        /* > 0; one larger event goes alone */
    int64_t linger_ms;         /* >= 0; counted from the first event */
};

/* The parts of its events that a batch keeps besides their ranges. */
enum batch_keep {
    BATCH_KEEP_RANGES = 0, /* nothing: the sink has read them already */
    BATCH_KEEP_BYTES = 1,  /* the NDJSON */
    BATCH_KEEP_ENTRIES = 3 /* the NDJSON and where each event lies in it */
};

struct batch {
    enum batch_keep keep;
    uint32_t stream; /* the sink's number for it */
    uint32_t n;      /* events */
    uint32_t n_acked;
    uint32_t n_ranges; /* in the order of the bytes */
    struct batch_range ranges[BATCH_RANGES_MAX];
    char *bytes;    /* NULL unless kept */
    size_t n_bytes; /* counted also when not kept */
    size_t bytes_cap;
    struct batch_entry *entries; /* NULL unless kept */
    uint32_t entries_cap;
    struct batch_age *ages; /* with entries: when its events were accepted */
    uint32_t n_ages, ages_cap;
    int64_t first_ms;       /* clock of the caller: its first event came in */
    int64_t oldest_wall_ms; /* when that was accepted */
    struct batch *next;     /* for its owner's list */
    uint64_t key_hash;      /* of the key that the entries note; 0: none, or not of
                               all the same */
    uint64_t id;            /* of its intent; 0: none */
    char *destination;      /* where it was planned for, in its sink's words; NULL:
                               nowhere; freed with the batch */
    bool again;             /* an earlier process may have sent it */
    uint64_t replay;        /* of dead letters: which replay of them; 0: none. Servers
                               tell it from the batch that they refused */
    bool proven;            /* other rows of its intent are settled: the
                               sink takes rows. May become so while the sink has it */
    uint64_t submitted_ns;  /* the owner's */
};

/* Copies text; NULL: none. */
void batch_destination(struct batch *b, const char *text);

/* Why a batch goes. */
enum batch_reason {
    BATCH_WAIT = 0, /* not yet */
    BATCH_SIZE,
    BATCH_BYTES,
    BATCH_TIMEOUT,
    BATCH_IDLE,
    BATCH_ADAPT,
    BATCH_DRAIN,
    BATCH_N_REASONS
};

/* Facts that the caller knows and a batch does not. */
enum batch_state {
    BATCH_IS_FULL = 1,    /* batch_fit answered 0 */
    BATCH_IS_IDLE = 2,    /* nothing waits in the spool, nothing is in flight */
    BATCH_IS_DRAINING = 4 /* nothing will come any more */
};

struct batch *batch_new(enum batch_keep keep) MUST_USE;
void batch_free(struct batch *b); /* NULL is fine */

/* Empties b and keeps its memory. */
void batch_reset(struct batch *b);

/* The bytes of b, which stays as it is without them; the caller frees them. */
char *batch_take_bytes(struct batch *b) MUST_USE;

/* How many of the n events at entries, which lie one after the other, b may
 * still take from the shard; the next is first. 0: b has to go first. */
uint32_t batch_fit(const struct batch *b, const struct batch_limits *l,
                   const struct batch_range *from, const struct batch_entry *entries,
                   uint32_t n);

/* A block's events as they lie. */
struct batch_source {
    const char *payload;
    int64_t wall_ms;
    uint64_t key_hash;
};

/* Takes the events of *from; entries has from->n, offsets relative to the payload.
 * now_ms: the clock that batch_due is asked with. */
void batch_append(struct batch *b, const struct batch_range *from,
                  const struct batch_source *source, const struct batch_entry *entries,
                  int64_t now_ms);

/* Whether b goes now; state is an or of enum batch_state. An empty one waits. */
enum batch_reason batch_due(const struct batch *b, const struct batch_limits *l,
                            int64_t now_ms, unsigned state);

/* When linger ends; only for a batch that is not empty. */
int64_t batch_deadline(const struct batch *b, const struct batch_limits *l);

/* Gives up the bytes of all events but those whose mark has a bit of mask; marks has
 * n. Only of a batch that keeps entries. */
void batch_compact(struct batch *b, const unsigned char *marks, unsigned char mask);

/* The ranges of events first .. first + n - 1 of b, in out (room for
 * b->n_ranges); returns how many. */
uint32_t batch_part(const struct batch *b, uint32_t first, uint32_t n,
                    struct batch_range *out);

/* When event i was accepted, by the wall clock. Only of a batch that keeps entries. */
int64_t batch_wall_ms(const struct batch *b, uint32_t i);

/* "size", "idle", ...: the metric's label. */
const char *batch_reason_name(enum batch_reason r);
