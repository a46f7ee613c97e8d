/*
 * secrets - values that a policy reads from files of their own: passwords and keys. They
 * are not among the snapshot's files, so they are neither hashed nor saved with it, and
 * another load reads them again.
 */
#pragma once

#include <lua.h>
#include <stddef.h>

struct policy;

/* secret(name, path): its value and why its file is open to all, or nil, why there is none,
 * and whether its file is not there. name: as the policy says it; path: the file, beside
 * the policy. */
int secrets_read(lua_State *L);

/* The paths of the files that were read; NULL after the last. */
const char *secrets_file(const struct policy *p, size_t i);

void secrets_free(struct policy *p); /* overwrites them */
