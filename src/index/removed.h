/*
 * removed - up to when a stream's index may lack events, because files went for their age or
 * for the room. The file index/REMOVED: a time and its checksum.
 *
 *   index_removed_read -> index_removed_write*
 *
 * ACCOUNT does not miss what was removed. But a ledger of a period that begins before this
 * time is one of a part of its events. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct err;

enum index_removed {
    INDEX_REMOVED_READ = 0,
    INDEX_REMOVED_NONE, /* nothing was removed, or by an older sluice */
    INDEX_REMOVED_BAD   /* it is damaged, or the disk does not give it */
};
/* dir: of the index. *ms: when the newest event of all removed files was accepted, or else
 * 0. Blocks while the disk does. */
enum index_removed index_removed_read(const char *dir, int64_t *ms);
/* False and *e: the file is not there, or is as before. Blocks while the disk does. */
bool index_removed_write(const char *dir, int64_t ms, struct err *e) MUST_USE;
