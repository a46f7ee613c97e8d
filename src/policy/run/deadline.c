/*
 * How much a state may work: a look at its thread's clock after some instructions of
 * the interpreter, after some work in C, and at large allocations. Compiled code has no
 * loop and no cycle of calls (lua/sluice/calls.lua), so that it comes by here, too.
 */
#include <lauxlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/clock.h"
#include "policy/run/internal.h"

enum {
    COUNT_FIRST = 5000, /* instructions until the first look of a call, */
    COUNT_MOST = 10000, /* then more, while they are quick */
    COUNT_LEAST = 16,
    LOOK_NS = 1000000, /* between two looks: about */
    SMALL_BODY = 64 << 10,
    STACK_BYTES = 192 << 10, /* of the C stack, for calls from C into Lua */
    LARGE = 64 << 10         /* an allocation that is work */
};

static void on_count(lua_State *L, lua_Debug *ar);

static void arm(struct policy_state *s, int count)
{
    s->count = count;
    (void)lua_sethook(s->L, on_count, LUA_MASKCOUNT, count);
}

/* Only long work looks at the clock for the first time: most calls don't. */
static bool is_late(struct policy_state *s, uint64_t now)
{
    if (s->allowed_ns == 0) {
        return false;
    }
    if (s->deadline_ns == 0) {
        s->begun_ns = now;
        s->deadline_ns = now + s->allowed_ns;
    }
    s->late = now > s->deadline_ns;
    return s->late;
}

uint64_t state_since_begun(struct policy_state *s, unsigned ms)
{
    if (s->deadline_ns == 0) {
        (void)is_late(s, clock_thread_ns());
    }
    return s->begun_ns + ms * 1000000ull;
}

/* So much from now on, but not after the end of the call's time: only the first
 * event after one that took long has a little in any case. */
static void allow(struct policy_state *s, uint64_t now)
{
    const bool first = s->overruns == 0;
    uint64_t end = state_since_begun(s, HOOK_END_MS),
             until = now + (first ? FIRST_NEXT_MS : NEXT_MS) * 1000000ull,
             least = now + (first ? FIRST_LEAST_MS * 1000000ull : 0);

    s->deadline_ns = until < end ? until : end > least ? end : least;
    s->late = false;
}

void state_relieved(struct policy_state *s)
{
    uint64_t now = clock_thread_ns();

    /* The collector's time is not the event's. */
    if (s->overruns == 0 && s->deadline_ns < now + FIRST_NEXT_MS * 1000000ull) {
        allow(s, now);
    }
}

/* Instructions may be slow: each can touch a text as long as a body. */
static int next_count(struct policy_state *s, uint64_t now)
{
    uint64_t took = now - s->looked_ns, n = (uint64_t)s->count;

    if (s->looked_ns != 0) {
        n = took > LOOK_NS ? n * LOOK_NS / took : 2 * n;
    }
    s->looked_ns = now;
    return n < COUNT_LEAST ? COUNT_LEAST : n > COUNT_MOST ? COUNT_MOST : (int)n;
}

/* After the deadline each instruction of the policy's raises, so that a pcall of
 * its own is no way to go on. */
static void on_count(lua_State *L, lua_Debug *ar)
{
    struct policy_state *s = state_here(L);
    uint64_t now;

    if (s->allowed_ns == 0) {
        arm(s, COUNT_MOST);
        return;
    }
    /* Once it is late it stays so: the clock is a system call, and this comes at each
     * instruction from then on. */
    if (!s->late) {
        now = clock_thread_ns();
        if (!is_late(s, now)) {
            arm(s, next_count(s, now));
            return;
        }
    }
    arm(s, 1);
    (void)lua_getinfo(L, "Sl", ar);
    /* Our own loop goes on: the events after this one are no part of it. */
    if (strncmp(ar->source, "@policy:", 8) == 0) {
        (void)lua_pushfstring(L, "%s:%d: %s ran too long and was stopped",
                              ar->short_src, ar->currentline, s->bounded);
        (void)lua_error(L);
    }
}

void state_rehook(struct policy_state *s)
{
    arm(s, COUNT_FIRST);
}

void state_bound(struct policy_state *s, const char *what, int ms)
{
    s->bounded = what;
    s->allowed_ns = what == NULL ? 0 : (uint64_t)ms * 1000000u;
    s->deadline_ns = 0;
    s->late = false;
    s->looked_ns = 0;
    s->overruns = 0;
    s->context.left = STATE_SLICE;
    s->stack = __builtin_frame_address(0);
    arm(s, COUNT_FIRST);
}

void state_bound_request(struct policy_state *s, int ms, size_t body)
{
    state_bound(s, "the hook", ms);
    if (UNLIKELY(body > SMALL_BODY)) {
        size_t n = (size_t)COUNT_FIRST * SMALL_BODY / body;

        arm(s, n < COUNT_LEAST ? COUNT_LEAST : (int)n);
    }
}

/* An event does not pay for those before it: it has its own time from its start on. */
static void refresh(struct policy_state *s, uint64_t now)
{
    uint64_t end = state_since_begun(s, HOOK_FRESH_MS),
             until = now + NEXT_MS * 1000000ull;

    until = until < end ? until : end;
    s->deadline_ns = until > s->deadline_ns ? until : s->deadline_ns;
}

void state_next_event(struct policy_state *s)
{
    uint64_t now;

    if (s->interrupted) {
        s->interrupted = 2;
    }
    if (s->deadline_ns == 0 || s->overruns >= OVERRUNS_MAX) {
        return; /* the others of a long batch end at once */
    }
    now = clock_thread_ns();
    if (now > s->deadline_ns) {
        s->n_stopped++;
        allow(s, now);
        s->overruns++;
    } else if (s->overruns > 0) {
        refresh(s, now);
    }
}

/* ---- work in C ---- */

bool state_spend(struct policy_state *s, double n)
{
    s->context.left -= n;
    if (s->context.left >= 0) {
        return true;
    }
    if (s->late || is_late(s, clock_thread_ns())) {
        return false; /* and so says each that comes */
    }
    s->context.left = STATE_SLICE;
    return true;
}

int sluice_spend(struct sluice_context *c, double n)
{
    return state_spend(OUTER(c, struct policy_state, context), n);
}

int sluice_starved(const struct sluice_context *c)
{
    return OUTER(c, struct policy_state, context)->starved;
}

void state_work(lua_State *L, double n)
{
    struct policy_state *s = state_here(L);

    if (s != NULL && !state_spend(s, n)) {
        (void)luaL_error(L, "%s ran too long and was stopped", s->bounded);
    }
}

/* LuaJIT counts no calls of C: each gsub in a gsub's function takes some KiB. */
void state_nest(lua_State *L)
{
    const char *here = __builtin_frame_address(0);
    const struct policy_state *s = state_here(L);
    const char *base = s == NULL ? NULL : s->stack;

    if (base != NULL && (here > base || base - here > STACK_BYTES)) {
        (void)luaL_error(L, "stack overflow");
    }
}

bool state_large(struct policy_state *s, size_t bytes)
{
    return bytes < LARGE || s->allowed_ns == 0 || state_spend(s, (double)bytes / 2);
}
