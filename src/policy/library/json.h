/*
 * json - JSON text to Lua values and back. A null inside of a value is a value of its
 * own (json_push_null) and arrays have a metatable, so that both come back as they
 * were. Lua's stack; errors are Lua's.
 */
#pragma once

#include <lua.h>
#include <stdbool.h>

#include "base/str.h"
#include "decode/event.h"

enum { JSON_DEPTH_MAX = 128 };

/* The value that json is, on top. numbers (0: none): index of a table that gets the
 * digits of numbers that Lua's can't hold; false where two that differ have one value. */
void json_push(lua_State *L, enum slot_kind kind, struct str json, int numbers,
               int depth);

/* The state's null: the value that host.null was set to, otherwise a light userdata. */
void json_push_null(lua_State *L);
bool json_is_null(lua_State *L, int at);

/* Marks the table on top as an array. */
void json_mark_array(lua_State *L);
bool json_is_array(lua_State *L, int at);

int json_decode(lua_State *L); /* (text, numbers?) -> value; the text is JSON */
int json_valid(lua_State *L);  /* (text) -> whether it is JSON */
int json_same_number(
    lua_State *L);                /* (digits, digits) -> whether they are one number */
int json_array(lua_State *L);     /* (table) -> it, marked as an array */
int json_open_null(lua_State *L); /* () -> the value of null from now on */

/* A lua_CFunction for a Lua of the caller's: returns { encode, decode, null }, the
 * JSON that policies have. */
int policy_json(lua_State *L);

/* ---- json_encode.c ---- */

/* (value, numbers?) -> text */
int json_encode(lua_State *L);

/* ---- json_same.c ---- */

/* (value, text) -> whether value equals json_decode(text) */
int json_same(lua_State *L);
