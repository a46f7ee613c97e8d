/*
 * streams - the streams of a spool that have an index, or had events in it before its last
 * process, or have left the policy. Reads only; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct err;

/* Calls fn with the name of each, in no order. Of the process that is the first, streams
 * without an index still have all they had in segments. left_ms: it has no index, and left
 * the policy then; 0: not so. *lost_ms: others may have left by then; 0: none. False and *e:
 * the spool can't be listed. */
typedef void streams_fn(void *arg, const char *name, int64_t left_ms);
bool streams_visit(const char *spool, streams_fn *fn, void *arg, int64_t *lost_ms,
                   struct err *e) MUST_USE;

/* Why, for people, with lost_ms as above. Returns out. */
enum { STREAMS_LOST_WORDS = 160 };
const char *streams_lost_words(char *out, size_t bytes, int64_t lost_ms);

/* When the spool's last process began; INT64_MAX: not known. */
int64_t streams_epoch_ms(const char *spool);
