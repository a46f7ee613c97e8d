/*
 * A state's memory: a cap, and the steps when a hook comes to it. Garbage is collected,
 * in steps; when that gives no room, all else of the call fails, the next calls go on
 * collecting, and a state that stays full is worn: the supervisor replaces it.
 */
#include <lauxlib.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "policy/run/internal.h"

enum {
    RELIEF_END_MS = 70,  /* of a call: then it is over, through or not, */
    RELIEF_LEAST_MS = 3, /* but for this, the first time */
    RELIEFS_MAX = 4,     /* in a call */
    REST_END_MS = 76,    /* the same for work after a call, */
    REST_MS = 5,         /* which takes at most this */
    REST_LEAST_MS = 1,   /* and at least this, so that it comes to an end */
    STEPS = 16,          /* of the collector between two looks at the clock */
    CYCLES = 2,          /* one under way may keep garbage that has died since */
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
    uint64_t until; /* of the thread's clock */
};

static int collect(lua_State *L)
{
    const struct collecting *x = lua_touserdata(L, 1);
    struct policy_state *s = x->s;

    while (s->cycles < CYCLES && clock_thread_ns() < x->until) {
        for (int i = 0; i < STEPS && s->cycles < CYCLES; i++) {
            s->cycles += lua_gc(L, LUA_GCSTEP, 0);
        }
    }
    return 0;
}

/* Goes on with a collection under way, or begins one. True: there is room again. */
static bool make_room(struct policy_state *s, uint64_t until)
{
    struct collecting x = {s, until};

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
    uint64_t until = state_since_begun(s, RELIEF_END_MS),
             least = clock_thread_ns() + RELIEF_LEAST_MS * 1000000ull;
    bool room;

    if (s->reliefs >= RELIEFS_MAX) {
        return false;
    }
    room = make_room(s, s->reliefs++ == 0 && until < least ? least : until);
    state_relieved(s);
    return room;
}

void state_look_at_memory(struct policy_state *s)
{
    bool room = s->bytes <= STATE_BYTES_WORN;

    if (!room) {
        uint64_t now = clock_thread_ns(), most = now + REST_MS * 1000000ull,
                 until = state_since_begun(s, REST_END_MS),
                 least = now + REST_LEAST_MS * 1000000ull;

        until = until > most ? most : until < least ? least : until;
        room = make_room(s, until);
    }
    s->reliefs = 0;
    /* Not through yet: the next call goes on. */
    s->starved = !room && s->collecting;
    atomic_store_explicit(&s->worn, !room && !s->collecting, memory_order_relaxed);
}
