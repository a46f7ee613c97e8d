/*
 * pattern - one regular expression in PCRE2's syntax, whose work is bounded.
 *
 *   pattern_new (at load) -> pattern_match (any thread, with its own matcher) -> pattern_free
 *
 * Immutable. Texts are UTF-8; \d, \w, \s and \b know ASCII only. Where PCRE2 can make machine
 * code, a match allocates nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "agents/rule.h"
#include "base/attr.h"
#include "base/err.h"

struct pattern;
struct matcher;

/* NULL and *e: why PCRE2 refuses the regex. */
struct pattern *pattern_new(struct str regex, bool caseless, struct err *e) MUST_USE;
void pattern_free(struct pattern *p); /* NULL is fine */

size_t pattern_bytes(const struct pattern *p);
uint32_t pattern_n_groups(const struct pattern *p);

/* Memory and time for the matches of one thread. */
struct matcher *matcher_new(void) MUST_USE;
void matcher_free(struct matcher *m); /* NULL is fine */

/* The matches from now on have some time together, by the thread's own clock. */
void matcher_begin(struct matcher *m);
bool matcher_is_late(struct matcher *m); /* it is over */

enum pattern_result {
    PATTERN_OK = 0,
    PATTERN_NONE,   /* no match */
    PATTERN_TOO_FAR /* it needs more steps, memory or time than a match may take */
};

/* groups[0] is the match, groups[1] $1; p NULL: the group is not part of it. They lie in
 * text, which must be UTF-8. */
enum pattern_result pattern_match(const struct pattern *p, struct matcher *m,
                                  struct str text,
                                  struct str groups[AGENT_GROUPS_MAX + 1]) MUST_USE;
