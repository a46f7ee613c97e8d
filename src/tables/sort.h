/*
 * sort - rows in the order of their keys' hashes, in place. Pure; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct row_hash {
    uint64_t hash;
    uint64_t at; /* of the row, wherever that is */
};

/* Rows of one hash come in any order. */
void row_hashes_sort(struct row_hash *list, size_t n);
