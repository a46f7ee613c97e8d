/*
 * target - what rows are made into: a table and its columns, by one policy. A batch
 * that may be in the table keeps the one that it was made for, so that it is sent
 * again byte for byte although a reload has changed the sink's.
 *
 *   target_new -> target_ref, target_unref
 *
 * Counted; one thread.
 */
#pragma once

#include "base/attr.h"
#include "plan/plan.h"

struct columns;
struct err;

struct target {
    unsigned refs;
    struct columns *columns; /* NULL: events as they are */
    char table[];            /* "": there is none */
};

/* With one reference. NULL and *e: the columns are none. */
struct target *target_new(const struct clickhouse_plan *plan,
                          struct err *e) MUST_USE;
struct target *target_ref(struct target *t);
void target_unref(struct target *t); /* NULL is fine */
