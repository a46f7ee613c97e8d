/*
 * keys_file - the columns of a file of keys as one text, which stands where another
 * table's key does: in the snapshot, and in policies that are kept on disk. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"
#include "plan/key_table.h"

/* "\1keys\nKEY\nEXPIRES\nDISABLED"; the last two may be empty. False: too long, or one has
 * a line end. */
bool keys_file_text(struct str key, struct str expires, struct str disabled, char *out,
                    size_t room) MUST_USE;

/* Views of text, which outlives *out. False: it is another table's key. */
bool keys_file_columns(const char *text, struct key_rules *out) MUST_USE;
