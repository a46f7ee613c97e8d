/*
 * index_list - the index files of a stream, and the sequences that they cover. Reads
 * only; one thread.
 *
 *   index_lists_add -> index_list_read -> ... -> index_lists_free
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "index/account.h"

struct dirent;
struct err;
struct id_scan;
struct index_fields;
struct index_file;

enum { INDEX_LIST_FIELDS = 72 };

struct index_list {
    /* Paths of the ids: the one of now, then those of files before; 0: no index. */
    char fields[INDEX_LIST_FIELDS][512];
    uint32_t n_fields;
    struct index_fields *policies; /* whose field is which; NULL: not read */
    struct index_run *runs;        /* by shard and sequence */
    uint32_t n, room;
    struct index_run *aside; /* files that the server set aside; end: unknown */
    uint32_t n_aside, aside_room;
    uint64_t n_damaged, n_events;
    struct {
        uint64_t n_events, n_ids; /* events, and those of them that have an id */
    } of[INDEX_LIST_FIELDS];      /* in the files of each path of `fields` */
    uint64_t n_lost; /* events that were gone when the index came to them */
    struct index_account account; /* what the index is to have; if has_account */
    bool has_account;
    uint32_t epoch;               /* of the last process; 0: not known */
    int64_t oldest_ms, newest_ms; /* 0: it has no event */
    int64_t
        removed_ms; /* events accepted up to then may have gone with files, for their
                           age or for the room; 0: none has */
};

struct index_lists {
    struct index_list *list;
    uint32_t n;
};

/* Whether the stream's folder in the spool has an index, or may have: the disk does not
 * say. */
bool index_lists_has(const char *spool, const char *stream);

/* The names of all such streams, in order; each, and the list, is for free(). -1 and errno: the
 * spool can't be listed. */
int index_lists_names(const char *spool, struct dirent ***names) MUST_USE;

/* Of the spool's last process; 0: not known. */
uint32_t index_list_epoch(const char *spool);

void index_list_free(struct index_list *l);
struct index_list *index_lists_add(struct index_lists *l); /* valid until the next */
void index_lists_free(struct index_lists *l);

/* print: of the id that fn looks for, so that the disk begins with it; NULL: of none. Calls fn
 * with each good file, in the order of shards and sequences; false from fn: it
 * is not good after all, and what it covers has to be read from the segments. A file
 * that goes away meanwhile is passed over. False and *e: the folder can't be read. */
typedef bool index_list_fn(void *arg, struct index_file *f);
bool index_list_read(struct index_list *l, const char *spool, const char *stream,
                     const uint64_t *print, index_list_fn *fn, void *arg,
                     struct err *e) MUST_USE;

/* The place in l->fields of a path that is among them. */
uint32_t index_list_field(const struct index_list *l, const char *path);
/* The same of the ids of events that a policy has stored in that epoch. n_fields: several
 * may be, and nothing says which. */
uint32_t index_list_field_of(const struct index_list *l, uint32_t epoch,
                             uint64_t policy8);

/* Files that were set aside, and of which neither a file nor one of the n further runs
 * (of segments) has the beginning. */
uint64_t index_list_missing(const struct index_list *l, const struct index_run *runs,
                            uint32_t n);

/* The sequence after those from seq on that files cover. */
uint64_t index_list_covered(const struct index_list *l, uint32_t epoch, uint32_t worker,
                            uint64_t seq);
/* After the last event of the shard that the index has, or is known not to have; 0: it has
 * none, or the process that wrote it ended before since_ms. */
uint64_t index_list_end(const struct index_list *l, uint32_t epoch, uint32_t worker,
                        int64_t since_ms);
/* The next sequence after seq that a file covers; UINT64_MAX: none. */
uint64_t index_list_next(const struct index_list *l, uint32_t epoch, uint32_t worker,
                         uint64_t seq);
/* Whether a path may be misspelt, that of now or one before: neither its files nor, by scan
 * (NULL: none), the segments have an id by it. */
bool index_list_strange(const struct index_list *l, const struct id_scan *scan);
