/*
 * show - what a command prints: numbers for people ("1.2 k", "12 min"), and texts of
 * others so that no terminal obeys them. The one place for that; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/attr.h"
#include "base/str.h"

enum { SHOW_BYTES = 32 };

/* "0", "812", "12.3 k", "4.5 M"; returns out. */
const char *show_count(char out[SHOW_BYTES], double n);
/* The same a second, with a digit behind the point below 10: "0.4", "61". */
const char *show_rate(char out[SHOW_BYTES], double n);
/* What a noun behind the number n ends with: "" of one, otherwise "s". */
const char *show_s(double n);
/* "820 ms", "12 s", "12 min", "3 h 20 min", "4 d 6 h". */
const char *show_seconds(char out[SHOW_BYTES], double s);
/* "312 MiB", of 1024, as a policy's sizes are. */
const char *show_bytes(char out[SHOW_BYTES], double n);

/* The bytes of a valid UTF-8 text that fit into so many columns of a terminal: whole
 * characters. Those of three bytes or more may be two columns wide, and count so. */
size_t show_fit(const char *text, size_t columns);

/* Whether fd is a terminal that knows colours, and NO_COLOR does not forbid them. */
bool show_colours(int fd);

/* What people read goes through these, to a terminal and into a pipe alike: names of files,
 * clients' bytes, a policy's and a server's words may hold any byte. The result is valid
 * UTF-8 without control characters; each becomes a space, as in the log. */

/* One line, and its end. What stands in the arguments makes no second line. */
void show_line(FILE *to, const char *fmt, ...) PRINTF(2, 3);
/* A part of a line. */
void show_part(FILE *to, const char *fmt, ...) PRINTF(2, 3);
/* All lines of text, each with its end. */
void show_words(FILE *to, const char *text);
/* "sluice: ", and the words of an error in one line, to standard error. */
void show_error(const char *text);

/* A JSON text, and the end of a line if it has none: the same value, in which a control
 * character is an escape such as \u009b. Line feeds and tabs stay. */
void show_json(FILE *to, struct str json);
