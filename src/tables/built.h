/*
 * built - the files of built tables: one is built and named, found again, or not trusted.
 * The calling thread's; blocks while the disk does.
 */
#pragma once

#include <stdbool.h>

#include "tables/open.h"

/* A descriptor of the source's image, with a lock that says it is in use; st is that of
 * the source's descriptor. -1: problems were told, or *e has another reason. */
int built_make(const struct table_source *source, int from, const struct stat *st,
               const uint8_t id[TABLE_ID_BYTES], csv_problem_fn *problem, void *arg,
               struct err *e) MUST_USE;

/* The same of one that was built before. -1: there is none, errno 0 in *why, or it can't
 * be used. */
int built_find(const char *dir, const uint8_t id[TABLE_ID_BYTES],
               struct err *why) MUST_USE;

/* The image of a descriptor, which is taken. check: whether it has the id and all its
 * checksums are right. NULL and *e; the descriptor is closed. */
struct csv_table *built_map(int fd, const uint8_t id[TABLE_ID_BYTES], bool check,
                            struct err *e) MUST_USE;
