/*
 * show - numbers for people: "1.2 k", "12 min", and whether colours are wanted. Pure, but
 * for the question about the terminal; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { SHOW_BYTES = 32 };

/* "0", "812", "12.3 k", "4.5 M"; returns out. */
const char *show_count(char out[SHOW_BYTES], double n);
/* The same a second, with a digit behind the point below 10: "0.4", "61". */
const char *show_rate(char out[SHOW_BYTES], double n);
/* "820 ms", "12 s", "12 min", "3 h 20 min", "4 d 6 h". */
const char *show_seconds(char out[SHOW_BYTES], double s);
/* "312 MiB", of 1024, as a policy's sizes are. */
const char *show_bytes(char out[SHOW_BYTES], double n);

/* The bytes of a valid UTF-8 text that fit into so many columns of a terminal: whole
 * characters. Those of three bytes or more may be two columns wide, and count so. */
size_t show_fit(const char *text, size_t columns);

/* n bytes of p as a terminal may have them: of all control characters only the ends of
 * lines stay, the others become spaces. Parts of a stream follow each other: *last is the
 * byte before p, 0 at the begin. out has n bytes, and may be p. */
void show_tame(char *out, const char *p, size_t n, unsigned char *last);

/* Whether fd is a terminal that knows colours, and NO_COLOR does not forbid them. */
bool show_colours(int fd);

/* Words of a server, of a client or of a policy, and the end of a line if they have none:
 * valid UTF-8, and as show_tame where to is a terminal. */
void show_words(FILE *to, const char *text);
/* "sluice: ", and the words of an error, to standard error. */
void show_error(const char *text);
