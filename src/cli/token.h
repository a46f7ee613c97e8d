/*
 * token - what a command shows to an admin listener that asks for a token. One thread.
 */
#pragma once

#include <stdbool.h>

#include "base/attr.h"

struct err;

enum { TOKEN_MAX = 4096, TOKEN_HEADER = TOKEN_MAX + 32 };

/* "Authorization: Bearer ..." of the file, or of SLUICE_ADMIN_TOKEN if file is NULL; "": there
 * is none. False and *e: the file can't be read, or what it has is no token. It waits for a
 * pipe to end. */
bool token_read(char out[TOKEN_HEADER], const char *file, struct err *e) MUST_USE;
