/*
 * snapshots - the last policies that went live, kept in the spool for a start that
 * must not use the one in the policy's file:
 *
 *   spool/policies/HASH.policy   a policy's files
 *   spool/policies/LIVE          the hash of the live one, and of the one before
 *
 *   snapshots_save (a loader) -> snapshots_live (it went live) ... next process:
 *   snapshots_other
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

struct err;
struct policy;

/* Keeps p's files, on stable storage. May take as long as the disk does. */
bool snapshots_save(const char *spool_dir, const struct policy *p,
                    struct err *e) MUST_USE;

/* p is the live one from now on; those older than the one before it go. Not for a
 * power cut: an older list does as well. False and *e: also when the disk does not say
 * which one was live; then nothing goes. */
bool snapshots_live(const char *spool_dir, const struct policy *p,
                    struct err *e) MUST_USE;

/* Whether the last one that went live has that hash. */
bool snapshots_is_live(const char *spool_dir, const char *hash);

/* The last live policy of another hash, loaded. NULL and *e: none, or it does not
 * load any more. */
struct policy *snapshots_other(const char *spool_dir, const char *tables_dir,
                               const char *hash, struct err *e) MUST_USE;

/* Removes built tables that no saved policy names and no process uses; none while the
 * disk does not say what one names. A loader, after its snapshots_save. */
void snapshots_forget_tables(const char *spool_dir, const char *tables_dir);
