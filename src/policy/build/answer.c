/* A route's own answer in the description to that of a plan. */
#include "plan/refused_body.h"
#include "policy/build/internal.h"

static enum fill_kind fill_kind_of(struct build *b)
{
    static const char *const words[] = {
        [FILL_STATUS] = "status",     [FILL_CODE] = "code",
        [FILL_INDEX] = "index",       [FILL_ACCEPTED] = "accepted",
        [FILL_REJECTED] = "rejected", [FILL_ERRORS] = "errors",
        [FILL_ITEMS] = "items",       [FILL_MESSAGE] = "message"};

    for (uint32_t i = FILL_STATUS; i <= FILL_MESSAGE; i++) {
        if (field_is(b, "kind", words[i])) {
            return (enum fill_kind)i;
        }
    }
    return FILL_FIELD;
}

static void build_fill(struct build *b, const char *key, struct fill_plan *f)
{
    struct fill_part *parts;

    f->n = field_open(b, key);
    parts = build_room(b, f->n * sizeof *parts);
    for (uint32_t i = 0; i < f->n; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        parts[i] = (struct fill_part){field_text(b, "text"), field_text(b, "path"),
                                      fill_kind_of(b)};
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
    f->parts = parts;
}

static void build_hosts(struct build *b, struct location_hosts *h)
{
    struct str *list;

    h->n = field_open(b, "hosts");
    list = build_room(b, h->n * sizeof *list);
    for (uint32_t i = 0; i < h->n; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        list[i].p = lua_tolstring(b->L, -1, &list[i].n);
        list[i] = build_copy(b, list[i]);
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
    h->list = list;
}

static const struct location_plan *build_location(struct build *b)
{
    struct location_plan *l = NULL;

    (void)field_open(b, "location");
    if (lua_istable(b->L, -1)) {
        l = build_room(b, sizeof *l);
        l->field = field_text(b, "field");
        l->has_function = field_flag(b, "has_function");
        l->fallback = field_text(b, "fallback");
        build_fill(b, "fill", &l->fill);
        build_hosts(b, &l->hosts);
    }
    lua_pop(b->L, 1);
    return l;
}

static void build_codes(struct build *b, struct refused_body *f)
{
    struct refused_code *list;

    f->n_codes = field_open(b, "codes");
    list = build_room(b, f->n_codes * sizeof *list);
    for (uint32_t i = 0; i < f->n_codes; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        list[i] =
            (struct refused_code){field_text(b, "name"), (int)field_whole(b, "status"),
                                  field_text(b, "word")};
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
    f->codes = list;
}

static const struct refused_body *build_refused_body(struct build *b)
{
    struct refused_body *f = NULL;

    (void)field_open(b, "refused_body");
    if (lua_istable(b->L, -1)) {
        f = build_room(b, sizeof *f);
        build_fill(b, "fill", &f->fill);
        build_codes(b, f);
        f->other = field_text(b, "other");
        f->plain = field_flag(b, "plain");
        f->type_line = field_text(b, "type_line").p;
    }
    lua_pop(b->L, 1);
    return f;
}

void build_answer(struct build *b, struct route *r)
{
    struct answer_plan *a;

    (void)field_open(b, "answer");
    if (lua_istable(b->L, -1)) {
        a = build_room(b, sizeof *a);
        *a = (struct answer_plan){.status = (int)field_whole(b, "status"),
                                  .body = field_text(b, "body"),
                                  .accepted = field_text(b, "accepted"),
                                  .type = field_text(b, "type").p,
                                  .lines = field_text(b, "lines").p,
                                  .refused = (int)field_whole(b, "refused"),
                                  .same_refused = field_flag(b, "same_refused"),
                                  .same_unstored = field_flag(b, "same_unstored")};
        build_fill(b, "fill", &a->fill);
        build_fill(b, "summary", &a->summary);
        build_fill(b, "item", &a->item);
        build_fill(b, "item_refused", &a->item_refused);
        a->location = build_location(b);
        a->refused_body = build_refused_body(b);
        r->answer = a;
    }
    lua_pop(b->L, 1);
}
