/* What a route asks of the postbacks that it accepts, and the keys that it trusts. */
#include "signature/postback.h"

#include "policy/build/internal.h"
#include "signature/apple.h"

static void add_pin(struct build *b, struct postback_rules *p, struct str name,
                    struct str text)
{
    const char *why = "is one too many";

    if (p->n_pins == PINS_MAX || !pin_read(text, &p->pins[p->n_pins], &why)) {
        (void)luaL_error(b->L, "the key %s %s", name.p, why);
    }
    p->pins[p->n_pins++].name = name;
}

static void add_apple(struct build *b, struct postback_rules *p)
{
    bool development = field_is(b, "apple", "development");
    const struct apple_key *list;
    unsigned n;

    if (field_is(b, "apple", "none")) {
        return;
    }
    list = apple_keys(p->kind, &n);
    for (unsigned i = 0; i < n; i++) {
        if (development || !list[i].development) {
            add_pin(b, p, str_of(list[i].name), str_of(list[i].text));
        }
    }
}

static unsigned versions(struct build *b)
{
    uint32_t n = field_open(b, "versions");
    unsigned mask = 0;

    for (uint32_t i = 0; i < n; i++) {
        enum skad_version v;
        struct str word;

        lua_rawgeti(b->L, -1, (int)i + 1);
        word.p = lua_tolstring(b->L, -1, &word.n);
        if (skad_version_of(word, &v)) {
            mask |= 1u << v;
        }
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
    return mask;
}

void build_postback(struct build *b, struct route *r)
{
    struct postback_rules *p;
    struct str payload;
    uint32_t n;

    (void)field_open(b, "postback");
    if (!lua_istable(b->L, -1)) {
        lua_pop(b->L, 1);
        return;
    }
    p = build_room(b, sizeof *p);
    b->plan->postbacks[b->plan->n_postbacks++] = p;
    p->kind = field_is(b, "by", "skadnetwork") ? POSTBACK_SKADNETWORK
                                               : POSTBACK_ADATTRIBUTIONKIT;
    p->versions = versions(b);
    payload = field_text(b, "payload");
    p->payload_key = payload.p == NULL ? payload : build_quoted(b, payload);
    add_apple(b, p);
    n = field_open(b, "keys");
    for (uint32_t i = 0; i < n; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        add_pin(b, p, field_text(b, "name"), field_text(b, "value"));
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 2);
    r->postback = p;
}
