/* JSON for specs: package.loadlib(libsluice, "sluice_kit_json"). */
#include "policy/library/json.h"

__attribute__((visibility("default"))) int sluice_kit_json(struct lua_State *L);

int sluice_kit_json(struct lua_State *L)
{
    return policy_json(L);
}
