/*
 * A state's memory: a cap, and what is done when a hook comes to it. Garbage is
 * collected, in steps; when that gives no room, all else of the call fails, the next
 * calls go on collecting, and a state that stays full is worn: the supervisor
 * replaces it.
 */
#include <lauxlib.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "policy/internal.h"

enum {
    RELIEF_MS = 60,  /* of collecting at a time */
    RELIEFS_MAX = 4, /* in a call */
    REST_MS = 5,     /* behind a call */
    STEPS = 16,      /* of the collector between two looks at the clock */
    CYCLES = 2,      /* one may be under way that keeps what has died since */
    RESERVE = 256 << 10
};

void *state_alloc(void *arg, void *p, size_t before, size_t after)
{
    struct policy_state *s = arg;

    if (after == 0) {
        s->bytes -= p == NULL ? 0 : before;
        free(p);
        return NULL;
    }
    before = p == NULL ? 0 : before;
    if (after > before) {
        /* Either is "not enough memory" in Lua. */
        if (s->bytes + after - before > STATE_BYTES_MAX + s->reserve) {
            s->starved = true;
            return NULL;
        }
        if (!state_large(s, after - before)) {
            return NULL;
        }
    }
    s->bytes += after - before;
    s->allocations++;
    return mem_realloc(p, after);
}

struct policy_state *state_here(lua_State *L)
{
    void *s;

    /* A Lua of a test has another one. */
    return lua_getallocf(L, &s) == state_alloc ? s : NULL;
}

struct collecting {
    struct policy_state *s;
    int ms;
};

static int collect(lua_State *L)
{
    const struct collecting *x = lua_touserdata(L, 1);
    struct policy_state *s = x->s;
    uint64_t now = clock_thread_ns(), until = now + (uint64_t)x->ms * 1000000u;

    while (s->cycles < CYCLES && now < until) {
        for (int i = 0; i < STEPS && s->cycles < CYCLES; i++) {
            s->cycles += lua_gc(L, LUA_GCSTEP, 0);
        }
        now = clock_thread_ns();
    }
    return 0;
}

/* Goes on with what was begun, or begins. True: there is room again. */
static bool make_room(struct policy_state *s, int ms)
{
    struct collecting x = {s, ms};

    if (!s->collecting) {
        s->collecting = true;
        s->cycles = 0;
    }
    s->reserve = RESERVE;
    if (lua_cpcall(s->L, collect, &x) != 0) {
        lua_pop(s->L, 1);
    }
    s->reserve = 0;
    s->collecting = s->cycles < CYCLES;
    return s->bytes <= STATE_BYTES_WORN;
}

bool state_relieve(struct policy_state *s)
{
    /* What is collected was made within the call's time: this is not often. */
    return s->reliefs++ < RELIEFS_MAX && make_room(s, RELIEF_MS);
}

void state_look_at_memory(struct policy_state *s)
{
    bool room = s->bytes <= STATE_BYTES_WORN;

    if (!room) {
        room = make_room(s, REST_MS);
    }
    s->reliefs = 0;
    /* Not through yet: the next call goes on. */
    s->starved = !room && s->collecting;
    atomic_store_explicit(&s->worn, !room && !s->collecting, memory_order_relaxed);
}
