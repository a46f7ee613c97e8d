/*
 * sink_names - the sinks that have a journal in a spool. Reads only.
 *
 *   sink_names_read -> sink_names_free
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

struct dirent;
struct err;

struct sink_names {
    struct dirent **list; /* d_name: the sink's; by name */
    int n;
};

/* None: the spool has no folder of sinks. False and *e: it can't be read. */
bool sink_names_read(struct sink_names *s, const char *spool, struct err *e) MUST_USE;
void sink_names_free(struct sink_names *s);
