/*
 * spool_folder - the spool in a folder that an operator names: that itself, or the
 * `spool` in a data directory. Any thread.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "base/attr.h"

struct err;

/* False and *e: there is no spool. */
bool spool_folder(const char *path, char out[PATH_MAX], struct err *e) MUST_USE;
