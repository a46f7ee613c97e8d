/*
 * destination - where a batch's rows go in a ClickHouse server: the table, and the columns
 * made of an event. A batch that may be there already keeps its own, whatever the
 * policy says by now.
 *
 *   destination_new, destination_of -> destination_ref* -> destination_unref*
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

struct destination {
    uint32_t refs;
    char *text;              /* all of it: the same text is the same destination */
    char *base;              /* the same without the columns' forms */
    char *table;             /* as a statement has it; "" for other servers */
    struct columns *columns; /* NULL: events as they are */
};

/* NULL and *e: a path is not one. */
/* forms: of the columns; NULL: not known yet. */
struct destination *destination_new(const struct clickhouse_plan *plan,
                                    const struct form *forms, struct err *e) MUST_USE;
/* Of another destination's text; NULL and *e: it is not such a text. */
struct destination *destination_of(struct str text, struct err *e) MUST_USE;
/* That b was planned for, unless that is now; NULL: it is, or it is not known. */
struct destination *destination_planned(const struct batch *b,
                                        const struct destination *now) MUST_USE;
/* b is for t from now on: the journal's next rewrite tells of it. */
void destination_note(const struct destination *t, struct batch *b);
struct destination *destination_ref(struct destination *t);
void destination_unref(struct destination *t); /* NULL is fine */
