/*
 * literals - the words that stand as texts in a policy's Lua files: "too_expensive". A code
 * that a hook gives to reject is the operator's own if it is one of them; others may be made
 * of what clients sent.
 *
 *   literals_new -> literals_add* -> literals_sort -> literals_has* -> literals_free
 *
 * Built by one thread while the policy is loaded, then read by any. The texts that were
 * added outlive it.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/str.h"

struct literals;

struct literals *literals_new(void);
void literals_free(struct literals *l); /* NULL is fine */
/* Every text in quotes of at most 63 letters, digits, _ and -: also one in a comment. */
void literals_add(struct literals *l, struct str text);
void literals_sort(struct literals *l);
bool literals_has(const struct literals *l, const char *word) MUST_USE;
