/*
 * files - the files that a policy names: Lua, and tables for lookup. Each is read once,
 * while the policy is loaded for the first time.
 */
#pragma once

#include <lua.h>
#include <stdbool.h>

struct policy;

/* Functions for the table on top; the files that they have read. */
void files_push(lua_State *L, bool may_read);
void files_free(struct policy *p);
