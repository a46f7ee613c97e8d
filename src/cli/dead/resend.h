/*
 * resend - dead letters posted to a route of a server, each once.
 *
 * FILE.replayed (without .part, so that a file that is finished keeps its marks) has
 * a line for each letter that the server has taken: its identity, which is its text's
 * digest. It is on the disk before the next letters are sent; one that was cut off
 * goes on where it was. The letters stay in their file.
 */
#pragma once

#include <stdbool.h>

/* url NULL: only prints the letters that it would send. Returns the exit code: 0 when
 * no letter is left. */
int resend(const char *path, const char *url);

/* Deletes the file with its marks; unless all: only when no letter is left. */
int resend_purge(const char *path, bool all);
