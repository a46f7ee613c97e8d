/*
 * names - where the index files of a stream lie: SPOOL/STREAM/index/E.W-FIRST.idx, of
 * the shard (epoch E, worker W) from sequence FIRST on. Pure; any thread.
 */
#pragma once

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define INDEX_FOLDER "index"     /* in the stream's folder */
#define INDEX_ASIDE ".damaged"   /* after the name of a file that was set aside */
#define INDEX_FIELD_FILE "FIELD" /* in that: a line, the path of the ids from now on */
#define INDEX_ACCOUNT_FILE "ACCOUNT" /* index/account.h */
#define INDEX_REMOVED_FILE "REMOVED" /* index/removed.h */

static inline int index_path(char *out, size_t n, const char *dir, uint32_t epoch,
                             uint32_t worker, uint64_t first)
{
    return snprintf(out, n, "%s/%" PRIu32 ".%" PRIu32 "-%" PRIu64 ".idx", dir, epoch,
                    worker, first);
}

/* False: another file's name. */
static inline bool index_name_read(const char *name, uint32_t *epoch, uint32_t *worker,
                                   uint64_t *first)
{
    int n = 0;

    return sscanf(name, "%" SCNu32 ".%" SCNu32 "-%" SCNu64 ".idx%n", epoch, worker,
                  first, &n) == 3 &&
           n > 0 && name[n] == '\0';
}

/* The same of a file that was damaged, and is kept under another name. */
static inline bool index_name_is_aside(const char *name, uint32_t *epoch,
                                       uint32_t *worker, uint64_t *first)
{
    int n = 0;

    return sscanf(name, "%" SCNu32 ".%" SCNu32 "-%" SCNu64 ".idx" INDEX_ASIDE "%n",
                  epoch, worker, first, &n) == 3 &&
           n > 0 && name[n] == '\0';
}

/* One that a process was writing. */
static inline bool index_name_is_new(const char *name)
{
    const size_t n = strlen(name);

    return n > 8 && strcmp(name + n - 8, ".idx.new") == 0;
}
