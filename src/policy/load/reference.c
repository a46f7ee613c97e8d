/* The words of a policy, as text: lua/sluice/reference.lua makes it. */
#include <lauxlib.h>
#include <lualib.h>

#include "base/err.h"
#include "base/mem.h"
#include "policy/load/embed.h"
#include "policy/load/internal.h"
#include "policy/run/state.h"

static bool make(lua_State *L, const char *form, struct err *e)
{
    struct str text = embed_find("lua/sluice/reference.lua");

    luaL_openlibs(L);
    if (!state_preload(L, e)) {
        return false;
    }
    if (luaL_loadbuffer(L, text.p, text.n, "sluice.reference") != 0 ||
        lua_pcall(L, 0, 1, 0) != 0) {
        return err_set(e, "%s", lua_tostring(L, -1));
    }
    lua_getfield(L, -1, form);
    return lua_pcall(L, 0, 1, 0) == 0 || err_set(e, "%s", lua_tostring(L, -1));
}

char *policy_reference(const char *form, struct err *e)
{
    lua_State *L = luaL_newstate();
    char *text = NULL;

    if (L == NULL) {
        (void)err_set(e, "can't make a Lua state");
    } else if (make(L, form, e)) {
        text = mem_strdup(lua_tostring(L, -1));
    }
    if (L != NULL) {
        lua_close(L);
    }
    return text;
}
