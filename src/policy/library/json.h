/*
 * json - JSON text to Lua values and back. A null inside of a value is a value of its
 * own (json_push_null) and arrays have a metatable, so that both come back as they
 * were. Lua's stack; errors are Lua's.
 */
#pragma once

#include <stdbool.h>

#include "decode/event.h"
#include "policy/internal.h"

enum { JSON_DEPTH_MAX = 128 };

/* The value that json is, on top. numbers (0: none): index of a table that gets the
 * digits of numbers that Lua's can't hold; false where two that differ have one value. */
void json_push(lua_State *L, enum slot_kind kind, struct str json, int numbers,
               int depth);

/* The state's null: what host.null was set to, else a light userdata. */
void json_push_null(lua_State *L);
bool json_is_null(lua_State *L, int at);

/* Marks the table on top as an array. */
void json_mark_array(lua_State *L);
bool json_is_array(lua_State *L, int at);
