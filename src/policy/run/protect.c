/* From C into Lua: whatever may raise, also for want of memory, runs protected, since
 * an error outside ends the process. */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "policy/run/internal.h"

/* A chunk's name without what tells Lua that it is a policy's. */
static const char *without_mark(const char *text)
{
    static const char mark[] = "policy:";

    return strncmp(text, mark, sizeof mark - 1) == 0 ? text + sizeof mark - 1 : text;
}

void state_why(lua_State *L, char *out, size_t room)
{
    switch (lua_type(L, -1)) {
    case LUA_TSTRING: /* of a number Lua would make a text, for which there may be no
                         memory */
        (void)snprintf(out, room, "%s", without_mark(lua_tostring(L, -1)));
        break;
    case LUA_TNUMBER:
        (void)snprintf(out, room, "%.14g", lua_tonumber(L, -1));
        break;
    default:
        (void)snprintf(out, room, "error with a %s", luaL_typename(L, -1));
    }
}

bool state_protect(struct policy_state *s, lua_CFunction f, void *arg, struct err *e)
{
    char why[256];

    s->stack = __builtin_frame_address(0);
    if (lua_cpcall(s->L, f, arg) == 0) {
        return true;
    }
    state_why(s->L, why, sizeof why);
    lua_pop(s->L, 1);
    return err_set(e, "%s", why);
}

int state_panic(lua_State *L)
{
    char why[256], quoted[300];

    state_why(L, why, sizeof why);
    log_write(LOG_ERROR, "panic", "why=%s exit=%d",
              log_quote(quoted, sizeof quoted, why), POLICY_PANIC_EXIT);
    _exit(POLICY_PANIC_EXIT); /* exit() would take down what other threads use */
}
