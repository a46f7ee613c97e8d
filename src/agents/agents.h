/*
 * agents - a file of user agents: the regular expressions that tell the family of a
 * browser, a system and a device by the text that a client gives of itself.
 *
 *   agents_new (at load) -> agents_parse (any thread, with its own matcher) -> agents_free
 *
 * Immutable. A text gets the values of the first expression of a section that matches and
 * gives a family. A sieve finds the few that can match; the result is that of all.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agents/pattern.h"
#include "agents/rule.h"
#include "base/attr.h"

struct agents;

enum {
    AGENT_TEXT_BYTES_MAX = 1024,    /* a longer text is cut, at a character */
    AGENT_VALUE_BYTES_MAX = 256,    /* so is a value */
    AGENT_CODE_BYTES_MAX = 64 << 20 /* of all expressions of a file */
};

/* NULL after problems, each told with its line. file may be gone afterwards. */
struct agents *agents_new(struct str file, agent_problem_fn *problem,
                          void *arg) MUST_USE;
void agents_free(struct agents *a); /* NULL is fine */

struct str agents_file(const struct agents *a); /* its bytes; lives with a */
size_t agents_bytes(const struct agents *a);    /* of memory */
uint32_t agents_n_rules(const struct agents *a);
uint32_t agents_n_unfiltered(const struct agents *a); /* that run on each text */

/* The values of a section, in the order of the keys in regex_file.c; p NULL: none. */
struct agent_values {
    struct str parts[AGENT_PARTS_MAX];
};

enum { AGENT_ROOM = AGENT_PARTS_MAX * AGENT_VALUE_BYTES_MAX };

struct agent_job {
    struct str text;      /* UTF-8, at most AGENT_TEXT_BYTES_MAX */
    const uint64_t *mask; /* of agents_sieve; NULL: all expressions run */
    struct matcher *matcher;
    char *room; /* AGENT_ROOM bytes, for the values */
};

/* The expressions that can match a text; mask has agents_words words. */
size_t agents_words(const struct agents *a);
void agents_sieve(const struct agents *a, struct str text, uint64_t *mask);

/* False: no expression matches. *skipped: the expressions that were left out, because
 * they need too many steps, or because the text's time is over; the line of the first
 * one is *line. */
bool agents_parse(const struct agents *a, enum agent_section section,
                  const struct agent_job *job, struct agent_values *out,
                  uint32_t *skipped, uint32_t *line);
