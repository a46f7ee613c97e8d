/*
 * persisted - the policies of sinks whose events may outlive their policy, for a
 * restart: which policy that was, and its text.
 *
 *   spool/sinks/KEPT           a line a sink: NAME KIND HASH GENERATION
 *   spool/sinks/HASH.policy    a policy's files; passwords only if they stand there,
 *                              because env() is called again
 *
 *   spool/sinks/NAME.none      the line comes before the journal, and goes after it:
 *                              between the two no journal has been lost
 *
 * The supervisor. A line of a sink that is in the policy, without its journal and
 * without that mark, says that the journal was lost (sinks.c) or taken (taken.h).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "delivery/places.h"
#include "plan/plan.h"

struct err;
struct policy;

enum { KEPT_MAX = 160 };

struct persisted_sink {
    char name[96];
    char kind[16]; /* the policy's word */
    char hash[65];
    uint64_t generation;
};

struct persisted {
    struct persisted_sink list[KEPT_MAX];
    uint32_t n;
};

/* The lines of the spool's file; empty without a file. False and *e: it can't be
 * read. */
bool persisted_read(struct persisted *k, const char *spool_dir, struct err *e) MUST_USE;
const struct persisted_sink *persisted_find(const struct persisted *k,
                                            const char *name);
/* Puts or replaces a line; false: too many. */
bool persisted_put(struct persisted *k, const struct persisted_sink *line) MUST_USE;
void persisted_remove(struct persisted *k, const char *name);

/* Saves p unless it is there, then k. p NULL: only k, and persisted_sweep; else the
 * policies that p replaces stay, because it may be refused. */
bool persisted_write(const struct persisted *k, const char *spool_dir,
                     const struct policy *p, struct err *e) MUST_USE;

/* The sink is to get a line, and then a journal. */
bool persisted_begin(const char *spool_dir, const char *name, struct err *e) MUST_USE;
/* The journal of that name goes, and then the line of the sink, which may have had some of
 * its events. False and *e: it is still there. */
bool persisted_end(const char *spool_dir, const char *journal, const char *name,
                   struct err *e) MUST_USE;
/* The same; by: what says whether a later sink of that name is told of it (places.h). */
bool persisted_end_as(const char *spool_dir, const char *journal, const char *name,
                      enum places_had by, struct err *e) MUST_USE;
/* Whether it is between the two: 1 or 0; -1 and errno: the disk does not say. */
int persisted_without(const char *spool_dir, const char *name) MUST_USE;
/* Policies that no line names go, and marks of sinks that have their journals, or no
 * line. */
void persisted_sweep(const struct persisted *k, const char *spool_dir);

/* The policy of that hash, loaded; NULL and *e: gone, or it does not load here. */
struct policy *persisted_load(const char *spool_dir, const char *tables_dir,
                              const char *hash, struct err *e) MUST_USE;
