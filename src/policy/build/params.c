/* What a route makes of the parameters of a query or of a form. */
#include "decode/params.h"

#include "policy/build/internal.h"

static struct str escaped(struct build *b, struct str name)
{
    char *text = build_room(b, params_bound(name.n) + 1), *end = text;

    for (size_t i = 0; i < name.n; i++) {
        end = params_put(end, (unsigned char)name.p[i]);
    }
    return (struct str){text, (size_t)(end - text)};
}

static enum param_kind kind_of(struct build *b)
{
    return field_is(b, "kind", "number")   ? PARAM_NUMBER
           : field_is(b, "kind", "bool")   ? PARAM_BOOL
           : field_is(b, "kind", "json")   ? PARAM_JSON
           : field_is(b, "kind", "base64") ? PARAM_BASE64
                                           : PARAM_TEXT;
}

void build_params(struct build *b, struct route *r)
{
    struct params_rules *p;
    struct param_rule *list;

    r->form_body = field_text(b, "form_body");
    if (r->body != BODY_QUERY && r->body != BODY_FORM && r->body != BODY_ANY &&
        r->form_body.n == 0) {
        return;
    }
    p = build_room(b, sizeof *p);
    p->repeated = field_is(b, "repeated", "first")   ? PARAMS_FIRST
                  : field_is(b, "repeated", "last")  ? PARAMS_LAST
                  : field_is(b, "repeated", "array") ? PARAMS_ARRAY
                                                     : PARAMS_REFUSE;
    siphash_key_random(&p->key);
    p->n_rules = field_open(b, "params");
    list = build_room(b, p->n_rules * sizeof *list);
    for (uint32_t i = 0; i < p->n_rules; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        list[i] = (struct param_rule){escaped(b, field_text(b, "name")), kind_of(b),
                                      field_flag(b, "list")};
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
    p->rules = list;
    r->params = p;
}
