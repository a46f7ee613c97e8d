/*
 * plain - functions of Lua's own library, within bounds. The state's thread.
 */
#pragma once

#include <lua.h>

/* A table of functions on top. */
void plain_open(lua_State *L);
