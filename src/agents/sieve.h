/*
 * sieve - which of many regular expressions can match a text: those that have one of the
 * literals that they need in it. One pass over the text (Aho and Corasick: "Efficient
 * string matching", 1975).
 *
 *   sieve_new -> sieve_add for each expression -> sieve_build -> sieve_scan (any
 *   thread) -> sieve_free
 *
 * Immutable once built.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "agents/literals.h"
#include "base/attr.h"

struct sieve;

/* For expressions 0 to n - 1. */
struct sieve *sieve_new(uint32_t n) MUST_USE;
void sieve_free(struct sieve *f); /* NULL is fine */

/* The sets of an expression are copied; one of them is used: the one whose literals the
 * fewest other expressions have. Not called: the expression can match any text. */
void sieve_add(struct sieve *f, uint32_t expression, const struct literal_sets *sets);
void sieve_build(struct sieve *f);

static inline size_t sieve_words(uint32_t n)
{
    return (n + 63) / 64;
}

/* folded: of fold_text. out: sieve_words(n) words; a bit a expression. */
void sieve_scan(const struct sieve *f, struct str folded, uint64_t *out);

size_t sieve_bytes(const struct sieve *f);
uint32_t sieve_n_always(const struct sieve *f); /* that can match any text */
