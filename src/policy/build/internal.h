/*
 * internal - the parts that the files of this room share, which make a plan of the
 * loader's description. No other file includes it.
 *
 * Texts are copied to the plan. Errors are raised in Lua, under plan_build's pcall.
 */
#pragma once

#include <lauxlib.h>

#include "plan/auth.h"
#include "policy/internal.h"

struct build {
    lua_State *L;
    struct plan *plan;
    const struct policy *policy;
};

/* ---- field.c: of the table on top of the stack ---- */

/* n bytes of zeros in the plan. */
void *build_room(struct build *b, size_t n);
/* A copy of s, which may be the empty one, in the plan. */
struct str build_copy(struct build *b, struct str s);
double field_number(struct build *b, const char *key, double none);
uint64_t field_whole(struct build *b, const char *key);
bool field_flag(struct build *b, const char *key);
struct str field_text(struct build *b, const char *key);
bool field_is(struct build *b, const char *key, const char *value);
bool field_has(struct build *b, const char *key);
/* Opens the table at key; its length. */
uint32_t field_open(struct build *b, const char *key);
/* The map at key, as the loader left it: a list of { name, value }. */
const struct pair_plan *field_pairs(struct build *b, const char *key, uint32_t *n);

/* ---- counters.c ---- */

void build_counters(struct build *b);

/* ---- listeners.c ---- */

void build_listeners(struct build *b);
void build_admin(struct build *b);

/* ---- kafka.c ---- */

void build_kafka(struct build *b, struct sink_plan *s);

/* ---- http.c: a sink over HTTP, and its options that any sink has ---- */

void build_breaker(struct build *b, struct breaker_plan *p);
void build_hedge(struct build *b, struct hedge_plan *h);
void build_clickhouse(struct build *b, struct sink_plan *s);
void build_tables(struct build *b); /* the schemas that feed them; at the end */
void build_http(struct build *b, struct sink_plan *s);

/* ---- answer.c: of the description's route on top ---- */

void build_answer(struct build *b, struct route *r);

/* ---- auth.c ---- */

void build_keys(struct build *b);
void build_auth(struct build *b, struct route *r); /* of the route on top */

/* ---- limits.c ---- */

void build_limits(struct build *b);                        /* before the routes */
void build_route_limits(struct build *b, struct route *r); /* of the route on top */
/* allow and deny of the route or listener on top; NULL: neither. */
const struct networks_plan *build_networks(struct build *b);

/* ---- tokens.c ---- */

void build_tokens(struct build *b); /* before the routes */
/* What hmac { } or jwt { }, the description of a method on top, has. */
void build_signed_method(struct build *b, struct auth_method *m);

/* ---- params.c: of the description's route on top ---- */

void build_params(struct build *b, struct route *r);

/* ---- postback.c: of the description's route on top ---- */

void build_postback(struct build *b, struct route *r);

/* ---- schema.c ---- */

/* A key as JSON text, in the plan. */
struct str build_quoted(struct build *b, struct str key);
/* Of the table at key: file, line, end. */
struct code_place build_code_place(struct build *b, const char *key);
void build_schemas(struct build *b);

/* ---- routes.c ---- */

void build_routes(struct build *b);
