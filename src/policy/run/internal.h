/*
 * internal - the parts that the files of this room share. No other file includes it.
 */
#pragma once

#include "policy/internal.h"
#include "policy/run/run.h"
#include "policy/run/state.h"

/* ---- deadline.c ---- */

/* While `what` is not NULL, code that takes more than ms of its thread's time
 * raises. */
void state_bound(struct policy_state *s, const char *what, int ms);
/* The same for a hook of a request with so many bytes. */
void state_bound_request(struct policy_state *s, int ms, size_t body);

/* The thread's time, ms after the call in hand has begun. */
uint64_t state_since_begun(struct policy_state *s, unsigned ms);
/* The collector has taken some of the event's time, which it gets back. */
void state_relieved(struct policy_state *s);

/* state_spend for an allocation: small ones cost nothing. */
bool state_large(struct policy_state *s, size_t bytes);

/* Looks at the clock again as it did before another hook of Lua's was set. */
void state_rehook(struct policy_state *s);

/* ---- protect.c ---- */

/* Runs f with arg, a light userdata, as its one argument; false: it raised, *e tells.
 * Values that it pushes are gone. */
bool state_protect(struct policy_state *s, lua_CFunction f, void *arg,
                   struct err *e) MUST_USE;
/* The error on top, as text; makes none in Lua. */
void state_why(lua_State *L, char *out, size_t room);
int state_panic(lua_State *L); /* for lua_atpanic: does not return */

/* ---- memory.c: Lua's allocator of a state ---- */

void *state_alloc(void *arg, void *p, size_t before, size_t after);
/* A hook has come to the cap: true, there is room again. */
bool state_relieve(struct policy_state *s);
/* After a call that has come to it. */
void state_look_at_memory(struct policy_state *s);

/* ---- stuck.c: around each call of a route's hook ---- */

void stuck_enter(struct policy_state *s, const struct route *route, int hook);
void stuck_leave(struct policy_state *s);

/* ---- sinks.c ---- */

/* Takes the sinks' functions out of the result on top, which stays. */
void state_take_sinks(struct policy_state *s);

/* ---- signatures.c ---- */

void signatures_push(lua_State *L); /* functions for the table on top */

/* ---- rollback.c ---- */

/* Takes the canary's roll_back_if out of that result, too. */
void state_take_roll_back_if(struct policy_state *s);
