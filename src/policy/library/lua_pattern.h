/*
 * lua_pattern - one try of a Lua pattern at one place of a text, within a number of
 * steps. Raises in L for a malformed pattern and for one that takes too long.
 */
#pragma once

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MATCH_CAPTURES = 32,
    MATCH_STEPS = 1000000,  /* of a call: some milliseconds */
    MATCH_STEPS_A_BYTE = 16 /* and of its text, for long ones */
};
enum { MATCH_POSITION = -2, MATCH_OPEN = -1 };

struct match {
    lua_State *L;
    const char *text, *text_end, *pattern, *pattern_end;
    uint64_t steps; /* left, of all tries together, until the clock is */
    uint64_t rest;  /* looked at; and after that */
    size_t result;  /* bytes that a gsub has put in */
    int depth;
    int n_captures;
    struct {
        const char *from;
        ptrdiff_t n; /* or MATCH_POSITION, MATCH_OPEN */
    } captures[MATCH_CAPTURES];
};

/* Where the match of p at `at` ends; NULL: none. */
const char *match_at(struct match *m, const char *at, const char *p);
