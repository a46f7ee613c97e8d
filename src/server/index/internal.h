/*
 * internal - what the files of this room share.
 *
 *   indexes.c    which streams have one
 *   indexer.c    its life and its thread
 *   reading.c    ids from the workers' rings and out of the spool, into builders
 *   files.c      builders to files, and which of these are kept
 *   accounting.c what the files have to have, and have not
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/latch.h"
#include "index/account.h"
#include "index/builder.h"
#include "index/fields.h"
#include "index/ids.h"
#include "index/print_ring.h"
#include "keys/keyclock.h"
#include "server/index/indexer.h"
#include "spool/spool.h"
#include "stats/stats.h"

enum {
    INDEX_PENDING_MAX = 4, /* files that the disk did not take, kept in memory */
    INDEX_FILE_EVENTS = 1 << 18
};

/* Where the ids of some policies' events are. Kept to the indexer's end. */
struct index_path {
    struct index_path *next;
    struct ids *ids;
    uint64_t hash; /* plan_key_hash of field */
    char field[INDEX_FIELD_MAX];
};

struct index_reader { /* of a shard */
    uint32_t epoch, worker;
    bool ended;
    struct spool_cursor *cursor;    /* NULL: it was read to its end */
    struct print_ring *ring;        /* of its worker; NULL: not known, or none */
    uint64_t next;                  /* the next event's sequence */
    struct index_builder *builder;  /* NULL: empty */
    struct index_path *path;        /* of the ids in it */
    uint64_t n_bytes;               /* of the events in it */
    struct index_builder *block_of; /* has a row for the block in hand */
};

/* A file that there is. */
struct index_known {
    uint32_t epoch, worker;
    uint64_t first, end;
    uint64_t bytes;
    int64_t newest_ms;
};

/* One that there is to be. */
struct index_pending {
    struct index_builder *builder;
    uint32_t epoch, worker;
    uint64_t first;
    char field[INDEX_FIELD_MAX];
};

struct indexer {
    struct stats_owner series;
    char *name, *dir;
    struct spool *spool;
    struct spool_consumer *consumer;
    uint64_t file_bytes; /* of the events of one file */
    struct index_reader *readers;
    uint32_t n_readers, readers_room;
    struct index_known *files;
    uint32_t n_files, files_room;
    uint64_t n_bytes; /* of them */
    struct index_pending pending[INDEX_PENDING_MAX];
    uint32_t n_pending;
    int stream;
    struct print_rings *prints;
    struct index_path *paths, *path; /* path: of the policy that came last */
    struct index_account account;
    int64_t removed_ms;        /* up to when removed files had events */
    bool fresh;                /* the disk had none that holds, */
    bool first;                /* nor one that does not */
    struct roster_known known; /* such a one */
    bool account_waits;        /* the disk has not taken it */
    uint64_t account_tried_ns, account_told_ns;
    struct keyclock clock;
    bool begun; /* its folder was listed: it reads, and knows its files */
    uint32_t n_begins;
    uint64_t begin_tried_ns, begin_told_ns;
    bool failing;
    uint64_t tried_ns, told_ns, trimmed_ns;
    stats_cell *n_events, *n_read, *n_dropped, *n_damaged, *bytes;
    /* by other threads */
    pthread_mutex_t lock;
    struct index_fields fields; /* altered by them only, and read by them without it */
    bool fields_noted;
    _Atomic int64_t keep_ms;
    _Atomic uint64_t max_bytes;
    struct latch stopped, ended;
    pthread_t thread;
    bool runs;
};

/* ---- indexer.c ---- */

/* The path of that field. */
struct index_path *index_path_get(struct indexer *x, const char *field);

/* ---- reading.c ---- */

/* Reads what the shards have, until_ns at the longest. */
void index_read(struct indexer *x, uint64_t until_ns);
void index_shut_readers(struct indexer *x);

/* ---- accounting.c ---- */

/* False and *e: the disk does not give it. insist: then, too, it is set aside. */
bool indexer_account_read(struct indexer *x, bool insist, struct err *e) MUST_USE;
/* After that, index_list and the consumer: what is missing is named, and the index is on
 * (with the field) or off (NULL) from now on. */
void indexer_account_begin(struct indexer *x, const char *field);
/* None of it could be done: this process may take events that the account does not have. */
void indexer_account_mark(const struct indexer *x);
/* r's shard, of this process, has events: they are missed from now on. */
void indexer_account_shard(struct indexer *x, const struct index_reader *r);
/* The workers have ended: so have their shards. */
void indexer_account_end(struct indexer *x);
/* x has another path. */
void indexer_account_field(struct indexer *x);
/* p will not be a file. */
void indexer_account_dropped(struct indexer *x, const struct index_pending *p);
void indexer_account_write(struct indexer *x);
/* If the disk did not take it, when it is time. */
void indexer_account_again(struct indexer *x);

/* ---- files.c ---- */

/* The files in the folder: those that are damaged are set aside. False and *e: the disk
 * does not list them. */
bool index_list(struct indexer *x, struct err *e) MUST_USE;
/* The sequence after those from seq on that a file has; seq: none has it. */
uint64_t index_covered(const struct indexer *x, uint32_t epoch, uint32_t worker,
                       uint64_t seq);
/* The first sequence after seq that a file has. */
uint64_t index_covered_from(const struct indexer *x, uint32_t epoch, uint32_t worker,
                            uint64_t seq);
/* The fields are noted, for readers of events that no file has yet. False: they are
 * not. */
bool index_note_fields(const struct indexer *x);
/* r's builder becomes a file, now or when the disk takes it. */
void index_put(struct indexer *x, struct index_reader *r);
/* Writes those that the disk did not take, when it is time; at the end: at once. */
void index_try_again(struct indexer *x, bool now);
/* Removes files beyond keep and max_bytes. */
void index_trim(struct indexer *x);
/* The same of those that were set aside, beyond keep. Until then they say that events are
 * not in the index. */
void index_drop_aside(struct indexer *x);
