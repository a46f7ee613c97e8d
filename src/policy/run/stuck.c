/*
 * A hook that does not come back: seen by another thread, and stopped if it is
 * interpreted. A call in C that hangs looks at nothing, so that only the process can end
 * it.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "policy/run/internal.h"

/* Whose hook this thread is in, for the signal's handler. */
static _Thread_local struct policy_state *volatile running;

void stuck_enter(struct policy_state *s, const struct route *route, int hook)
{
    /* Plain for Lua, which writes it in one instruction; watched from here. */
    __atomic_store_n(&s->context.at, 0, __ATOMIC_RELAXED);
    atomic_store_explicit(&s->at, route->index * N_HOOKS + (uint32_t)hook,
                          memory_order_relaxed);
    running = s;
    atomic_store_explicit(&s->pass,
                          atomic_load_explicit(&s->pass, memory_order_relaxed) + 1,
                          memory_order_release);
}

void stuck_leave(struct policy_state *s)
{
    running = NULL;
    atomic_store_explicit(&s->pass,
                          atomic_load_explicit(&s->pass, memory_order_relaxed) + 1,
                          memory_order_release);
    if (s->interrupted) {
        s->interrupted = 0;
        state_rehook(s);
    }
    if (UNLIKELY(s->starved)) {
        state_look_at_memory(s);
    }
}

bool policy_state_worn(const struct policy_state *s)
{
    return atomic_load_explicit(&s->worn, memory_order_relaxed);
}

bool policy_state_at(const struct policy_state *s, struct policy_at *out)
{
    static const char *const names[N_HOOKS] = {"on_event", "on_request",
                                               "answer.location"};
    const struct plan *plan = s->policy->plan;
    uint32_t at;

    out->pass = atomic_load_explicit(&s->pass, memory_order_acquire);
    at = atomic_load_explicit(&s->at, memory_order_relaxed);
    if (out->pass % 2 == 0 || at / N_HOOKS >= plan->n_routes) {
        return false;
    }
    out->event = __atomic_load_n(&s->context.at, __ATOMIC_RELAXED);
    out->route = &plan->routes[at / N_HOOKS];
    out->hook = names[at % N_HOOKS];
    out->file = s->hooks[at / N_HOOKS].files[at % N_HOOKS];
    out->line = s->hooks[at / N_HOOKS].lines[at % N_HOOKS];
    return true;
}

/* Each instruction of the policy's raises, until the event is given up. */
static void on_instruction(lua_State *L, lua_Debug *ar)
{
    void *state;
    struct policy_state *s;

    (void)lua_getallocf(L, &state);
    s = state;
    if (s->interrupted != 1) {
        state_rehook(s);
        return;
    }
    if (lua_getinfo(L, "Sl", ar) != 0 && strncmp(ar->source, "@policy:", 8) == 0) {
        (void)lua_pushfstring(L, "%s:%d: the hook ran too long and was stopped",
                              ar->short_src, ar->currentline);
        (void)lua_error(L);
    }
}

/* lua_sethook may be called like this: the lua program does so on SIGINT. */
static void on_signal(int signal_number)
{
    struct policy_state *s = running;

    (void)signal_number;
    if (s != NULL) {
        s->interrupted = 1;
        (void)lua_sethook(s->L, on_instruction, LUA_MASKCOUNT, 1);
    }
}

void policy_interrupts(void)
{
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};

    (void)sigemptyset(&a.sa_mask);
    (void)sigaction(POLICY_SIGNAL, &a, NULL);
}
