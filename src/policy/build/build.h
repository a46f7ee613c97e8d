/*
 * build - the loader's description, already checked, to a plan. The supervisor's or
 * the loader's thread, in a state that is not run yet.
 */
#pragma once

#include <stdbool.h>

struct err;
struct plan;
struct policy_state;

/* The result on top of s->L to plan, whose hash is set. */
bool plan_build(struct policy_state *s, struct plan *plan, struct err *e);
