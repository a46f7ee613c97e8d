/*
 * agent_reader - the values of user agents for one thread: a file's expressions, memory for
 * their matches, and the values of the texts before.
 *
 *   agent_reader_new (at load) -> agent_reader_find -> agent_reader_free
 *
 * agent_reader_find allocates nothing.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agents/agents.h"
#include "base/attr.h"

struct agent_reader;

/* What a text is asked for; the order is that of lua/sluice/handles.lua. */
enum agent_part {
    AGENT_BROWSER_FAMILY,
    AGENT_BROWSER_MAJOR,
    AGENT_BROWSER_MINOR,
    AGENT_BROWSER_PATCH,
    AGENT_BROWSER_VERSION, /* the parts of the version with dots */
    AGENT_OS_FAMILY,
    AGENT_OS_MAJOR,
    AGENT_OS_MINOR,
    AGENT_OS_PATCH,
    AGENT_OS_PATCH_MINOR,
    AGENT_OS_VERSION,
    AGENT_DEVICE_FAMILY,
    AGENT_DEVICE_BRAND,
    AGENT_DEVICE_MODEL,
    N_AGENT_PARTS
};

/* a must outlive it. */
struct agent_reader *agent_reader_new(const struct agents *a) MUST_USE;
void agent_reader_free(struct agent_reader *r); /* NULL is fine */

/* What a look-up has cost, beside a few comparisons. */
enum agent_cost { AGENT_HELD, AGENT_KNOWN, AGENT_PARSED };

/* text: any bytes; those that are not UTF-8 count as U+FFFD. out lives until the next
 * call; p NULL: the text has no such part. A family is "Other" where no expression
 * matches. */
enum agent_cost agent_reader_find(struct agent_reader *r, struct str text,
                                  enum agent_part part, struct str *out);

/* Expressions that were left out for texts so far; the line of the last text's first. */
uint64_t agent_reader_skipped(const struct agent_reader *r, uint32_t *line);
