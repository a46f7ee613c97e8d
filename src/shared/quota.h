/*
 * quota - how many events each key has had in the window that runs now, for all workers
 * at once. Windows are fixed: they begin at multiples of their length since 1970, so those
 * of a day at midnight UTC.
 *
 *   quota_new (registry.c) -> quota_restore -> quota_take* -> quota_unref
 *                                              quota_save (another thread, now and then)
 *
 * Any thread; without locks but for the moment in which a key gets its place, which has
 * a bound. The wall clock may jump: see quota_take. Memory is fixed:
 * 32 to 64 bytes for each of max_keys. When eight keys that hash alike are all in use, the
 * one that has used least is forgotten, which is counted: it may use its quota again.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/siphash.h"
#include "base/str.h"
#include "shared/buckets.h"

struct err;

struct quota_conf {
    uint32_t window_s; /* 1 s to a day */
    uint32_t max_keys;
};

/* The most of one key in a window. */
#define QUOTA_MAX 50000000000ull

struct quota;

struct quota *quota_new(const struct quota_conf *conf);
struct quota *quota_ref(struct quota *q);
void quota_unref(struct quota *q); /* NULL is fine */
bool quota_unshared(const struct quota *q);
uint32_t quota_window_s(const struct quota *q);

/* Takes n of key's quota, all or none. 0: taken; else the milliseconds, at least 1, until
 * the next window; UINT32_MAX: n are more than the quota.
 *
 * A clock that goes back by less than a window: the window that had begun goes on until
 * the clock is past its end. By more: what was used counts in the window of the clock, and
 * in the one that it left when the clock comes back to that. So a clock that goes back
 * never gives a quota again. */
uint32_t quota_take(struct quota *q, struct str key, double n, uint64_t quota,
                    double wall_ms);
/* What was taken in this turn is there again. */
void quota_give(struct quota *q, struct str key, double n, double wall_ms);
/* Takes nothing. */
void quota_look(struct quota *q, struct str key, double n, uint64_t quota,
                double wall_ms, struct limit_view *out);
void quota_count_refused(struct quota *q); /* for a caller that has looked */

uint64_t quota_refused(const struct quota *q);
uint64_t quota_forgotten(const struct quota *q);

/* ---- quota_file.c ---- */

/* Whether something was used since the last quota_save that went well. */
bool quota_unsaved(const struct quota *q);
/* Writes what was used in the window to path, in place of what is there; only whole
 * files get that name. What is used meanwhile may be in it or not, and is unsaved. One
 * thread at a time; blocks while the disk does. False and *e: it is unsaved. */
bool quota_save(struct quota *q, const char *path, struct err *e) MUST_USE;

/* Before q is used by another thread. A file that is not there is fine: QUOTA_NONE. */
enum quota_read {
    QUOTA_READ,
    QUOTA_NONE,
    QUOTA_DAMAGED, /* it is no whole file of these windows */
    QUOTA_UNREAD   /* the disk does not give it, and *e tells */
};
enum quota_read quota_restore(struct quota *q, const char *path,
                              struct err *e) MUST_USE;
