/*
 * usable - whether this process may use files that are there already, asked before they
 * are needed: a start says it, not the first reload or the first full segment.
 * Changes nothing. The main thread, at the start.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

struct err;

/* dir and all folders and files below it can be read and written; a file that its owner
 * may not write, either, only read.
 * suffix: only files whose names end so (NULL: all). One that is not there is fine. False
 * and *e: the first that can't, its owner, and how many more there are. */
bool usable_tree(const char *dir, const char *suffix, struct err *e) MUST_USE;

/* dir itself takes new files; one that is not there is fine. */
bool usable_folder(const char *dir, struct err *e) MUST_USE;

bool usable_to_read(const char *path, struct err *e) MUST_USE;
