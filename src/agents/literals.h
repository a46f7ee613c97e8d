/*
 * literals - texts that a regular expression needs: each of its matches has one of a set.
 * Pure; the thread that loads.
 *
 * A reader of PCRE2's syntax that gives up where it is not sure: a set too few only costs
 * time, because the expression runs on every text. Texts are as fold_text leaves them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "agents/literal_set.h"
#include "base/attr.h"
#include "base/str.h"

enum { LITERAL_SETS_MAX = 8 }; /* of an expression; any one of them may be used */

struct literal_sets {
    uint32_t n;
    struct literal_set list[LITERAL_SETS_MAX];
};

/* Sets of which each match has one text each; out->n is 0: nothing is known. */
void literals_of(struct str regex, bool caseless, struct literal_sets *out);
