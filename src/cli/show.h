/*
 * show - numbers for people: "1.2 k", "12 min", and whether colours are wanted. Pure, but
 * for the question about the terminal; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { SHOW_BYTES = 32 };

/* "0", "812", "12.3 k", "4.5 M"; returns out. */
const char *show_count(char out[SHOW_BYTES], double n);
/* The same a second, with a digit behind the point below 10: "0.4", "61". */
const char *show_rate(char out[SHOW_BYTES], double n);
/* "820 ms", "12 s", "12 min", "3 h 20 min", "4 d 6 h". */
const char *show_seconds(char out[SHOW_BYTES], double s);
/* "312 MB", of 1000. */
const char *show_bytes(char out[SHOW_BYTES], double n);

/* n bytes of p as a terminal may have them: of all control characters only the ends of
 * lines stay, the others become spaces. Parts of a stream follow each other: *last is the
 * byte before p, 0 at the begin. out has n bytes, and may be p. */
void show_tame(char *out, const char *p, size_t n, unsigned char *last);

/* Whether fd is a terminal that knows colours, and NO_COLOR does not forbid them. */
bool show_colours(int fd);
