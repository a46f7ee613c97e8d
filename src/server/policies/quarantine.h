/*
 * quarantine - the policy that a worker did not come back from, noted in the spool for
 * the next start: spool/suspect, one line
 *
 *   HASH GENERATION FILE:LINE METHOD PATH
 *
 * The supervisor's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct err;

struct quarantine {
    char hash[65];
    uint64_t generation; /* of the process that it ended */
    char file[200];      /* and line: where the hook begins */
    int line;
    char route[256]; /* "POST /v1/events" */
};

bool quarantine_write(const char *spool_dir, const struct quarantine *x,
                      struct err *e) MUST_USE;
/* False: no policy is. */
bool quarantine_read(const char *spool_dir, struct quarantine *x);
/* Where the hook begins, as a log's value: "policy.lua:7", in quotes if it needs them.
 * Returns out. */
const char *quarantine_place(const struct quarantine *x, char *out, size_t room);
void quarantine_remove(const char *spool_dir);
