/*
 * destination - where a batch's rows go in a ClickHouse server: the table, and the columns
 * made of an event. A batch that may be there already keeps its own, whatever the
 * policy says by now.
 *
 *   target_new, target_of -> target_ref* -> target_unref*
 *
 * Counted without atomics: the sink's thread.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "plan/plan.h"
#include "sink/http/clickhouse/columns.h"

struct batch;
struct err;

struct target {
    uint32_t refs;
    char *text;              /* all of it: the same text is the same target */
    char *base;              /* the same without the columns' forms */
    char *table;             /* as a statement has it; "" for other servers */
    struct columns *columns; /* NULL: events as they are */
};

/* NULL and *e: a path is not one. */
/* forms: of the columns; NULL: not known yet. */
struct target *target_new(const struct clickhouse_plan *plan, const struct form *forms,
                          struct err *e) MUST_USE;
/* Of another target's text; NULL and *e: it is none. */
struct target *target_of(struct str text, struct err *e) MUST_USE;
/* That b was planned for, unless that is now; NULL: it is, or nobody knows. */
struct target *target_planned(const struct batch *b,
                              const struct target *now) MUST_USE;
/* b is for t from now on: the journal's next rewrite tells of it. */
void target_note(const struct target *t, struct batch *b);
struct target *target_ref(struct target *t);
void target_unref(struct target *t); /* NULL is fine */
