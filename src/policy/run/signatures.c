/* What the loader asks about keys and signatures that a policy names. */
#include <lauxlib.h>

#include "base/err.h"
#include "policy/run/internal.h"
#include "signature/hmac_form.h"
#include "signature/jwks_file.h"
#include "signature/pin.h"

static struct str arg(lua_State *L, int i)
{
    struct str s;

    s.p = luaL_checklstring(L, i, &s.n);
    return s;
}

/* Why a text is no public key, or nil and whether its curve is P-192. */
static int host_why_no_pin(lua_State *L)
{
    struct pin p;
    const char *why;

    if (!pin_read(arg(L, 1), &p, &why)) {
        lua_pushstring(L, why);
        return 1;
    }
    lua_pushnil(L);
    lua_pushboolean(L, p.curve == PIN_P192);
    pin_fini(&p);
    return 2;
}

/* Why texts are no form of a signature: which of them, and why; nil: they are. */
static int host_why_no_hmac(lua_State *L)
{
    const char *of, *why;
    struct hmac_form f;

    if (hmac_form_read(arg(L, 1), arg(L, 2), lua_toboolean(L, 3), &f, &of, &why)) {
        return 0;
    }
    lua_pushstring(L, of);
    lua_pushstring(L, why);
    return 2;
}

/* Why a file is no JWK set; nil: it is one, or the policy was loaded before. */
static int host_why_no_jwks(lua_State *L)
{
    struct jwks set;
    struct err e;

    if (state_here(L)->policy->plan != NULL) {
        return 0;
    }
    if (!jwks_file_read(luaL_checkstring(L, 1), &set, &e)) {
        lua_pushstring(L, e.text);
        return 1;
    }
    jwks_fini(&set);
    return 0;
}

void signatures_push(lua_State *L)
{
    static const luaL_Reg functions[] = {{"why_no_pin", host_why_no_pin},
                                         {"why_no_hmac", host_why_no_hmac},
                                         {"why_no_jwks", host_why_no_jwks},
                                         {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
}
