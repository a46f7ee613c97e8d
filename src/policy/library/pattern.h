/*
 * pattern - string.find, match, gmatch and gsub for policies: Lua's patterns, within a
 * bound. Lua's own functions can take very long for a text that a client chose.
 *
 * Any state of a policy.
 */
#pragma once

#include <lua.h>

/* Adds find, match, gmatch and gsub to the table on top. */
void pattern_open(lua_State *L);
