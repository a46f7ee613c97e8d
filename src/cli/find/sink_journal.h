/*
 * sink_journal - what a sink's journal says, for sluice find and sluice ledger. Reads only.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "journal/journal.h"

struct err;

/* As journal_scan. False and *e also where it is damaged before its last record: what stands
 * there may be that events are confirmed, so that nobody can say that they are not. */
bool sink_journal_read(const char *path, journal_record_fn *fn, void *arg,
                       struct err *e) MUST_USE;
