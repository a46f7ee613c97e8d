/*
 * share - which requests a generation in rollout gets. Deterministic: the same key
 * always falls on the same side, and numbered ones are spread evenly. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* share: 0..1 as parts of 2^64; 1 and more is all. */
uint64_t share_parts(double share);

/* Numbers that count up: of any n in a row, share × n ± 2 are taken. */
bool share_number(uint64_t number, uint64_t parts);

bool share_text(struct str text, uint64_t parts);

/* The hash that share_text uses; its low bits are free for other uses. */
uint64_t share_hash(struct str text);
uint64_t share_mix(uint64_t number); /* spreads numbers over 64 bits */
