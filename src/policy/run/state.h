/*
 * state - a Lua state that has run a snapshot's files, for the loader. The thread that
 * loads.
 */
#pragma once

#include <lua.h>
#include <stdbool.h>

struct err;
struct policy;
struct policy_state;

/* A state whose loader has run; then, called with its result on top of the stack, goes
 * on, also protected. reading: files that the snapshot lacks are read and put into it.
 * NULL and *e, or the error of `then`. */
struct policy_state *state_load(struct policy *p, bool reading,
                                bool (*then)(struct policy_state *s, void *arg,
                                             struct err *e),
                                void *arg, struct err *e);
/* Makes the embedded modules known to L's require. */
bool state_preload(lua_State *L, struct err *e);

/* ---- take.c ---- */

/* Takes the hooks out of the result on top, which stays. */
bool state_take_hooks(struct policy_state *s, struct err *e);

/* ---- memory.c ---- */

/* The state that L is; NULL: none. */
struct policy_state *state_here(lua_State *L);
