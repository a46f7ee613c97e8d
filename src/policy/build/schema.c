/* The description's schemas to those of a plan. */
#include <string.h>

#include "base/err.h"
#include "decode/quote.h"
#include "plan/text_pattern.h"
#include "policy/build/internal.h"

static void build_field(struct build *b, struct field *f);

struct str build_quoted(struct build *b, struct str key)
{
    char *text = build_room(b, quote_bound(key.n));

    return (struct str){text, quote_mended(key, text)};
}

static enum field_type type_of(struct build *b)
{
    static const char *const names[] = {
        [FIELD_STR] = "str",   [FIELD_NUM] = "num",   [FIELD_INT] = "int",
        [FIELD_BOOL] = "bool", [FIELD_ENUM] = "enum", [FIELD_TIME] = "time",
        [FIELD_ANY] = "any",   [FIELD_LIST] = "list"};
    struct str s = field_text(b, "type");

    for (size_t i = 0; i < N_ELEMS(names); i++) {
        if (strcmp(names[i], s.p) == 0) {
            return (enum field_type)i;
        }
    }
    return FIELD_ANY;
}

/* The list of texts at key. */
static const struct str *texts(struct build *b, const char *key, uint32_t *n)
{
    struct str *list;

    *n = field_open(b, key);
    list = build_room(b, *n * sizeof *list);
    for (uint32_t i = 0; i < *n; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        list[i].p = lua_tolstring(b->L, -1, &list[i].n);
        list[i] = build_copy(b, list[i]);
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
    return list;
}

static void build_text(struct build *b, struct field *f)
{
    struct str pattern = field_text(b, "pattern");
    struct text_pattern *p;

    f->format = text_format_of(field_text(b, "format"));
    f->cut = (uint32_t)field_number(b, "cut", 0);
    if (pattern.p != NULL) {
        p = build_room(b, sizeof *p);
        f->pattern = text_pattern_read(pattern, p) == NULL ? p : NULL;
    }
    f->has_form = f->format != TEXT_ANY || f->pattern != NULL;
    f->rewrites = f->cut > 0;
}

static void build_converts(struct build *b, struct field *f)
{
    f->converts = f->rewrites = field_flag(b, "convert");
}

static void build_int(struct build *b, struct field *f)
{
    f->converts = field_flag(b, "convert");
    if (f->converts || field_has(b, "bits") || field_flag(b, "unsigned")) {
        f->range = (struct whole_range){(uint8_t)field_number(b, "bits", 64),
                                        field_flag(b, "unsigned")};
        f->rewrites = true;
    }
}

static void build_time(struct build *b, struct field *f)
{
    const struct str *list;
    uint32_t n;

    f->max_age_ms = (int64_t)field_number(b, "max_age", -1);
    f->max_skew_ms = (int64_t)field_number(b, "max_skew", -1);
    list = texts(b, "formats", &n);
    for (uint32_t i = 0; i < n; i++) {
        f->formats |= instant_format(list[i]);
    }
    f->unit = instant_unit(field_text(b, "unit"));
    if (n > 0 || f->unit != INSTANT_SENT) {
        f->formats = n > 0 ? f->formats : INSTANT_RFC3339;
        f->unit = f->unit != INSTANT_SENT ? f->unit : INSTANT_MS;
        f->rewrites = true;
    }
}

/* Where a value stands that is stored in another form. */
static void build_place(struct build *b, struct field *f)
{
    struct path *path = build_room(b, sizeof *path);

    if (!path_parse(f->path, path)) {
        (void)luaL_error(b->L, "%s: no path", f->path.p);
    }
    f->path_parts = path;
    f->key = build_quoted(b, path->parts->key);
}

static void build_item(struct build *b, struct field *f)
{
    struct field *item = build_room(b, sizeof *item);

    lua_getfield(b->L, -1, "item");
    if (lua_istable(b->L, -1)) {
        build_field(b, item);
        item->path = f->path;
        f->item = item;
    }
    lua_pop(b->L, 1);
}

static void build_field(struct build *b, struct field *f)
{
    f->path = field_text(b, "path");
    f->type = type_of(b);
    f->required = field_flag(b, "required");
    f->has_min = field_has(b, "min");
    f->has_max = field_has(b, "max");
    f->min = field_number(b, "min", 0);
    f->max = field_number(b, "max", 0);
    f->values = texts(b, "values", &f->n_values);
    f->max_age_ms = f->max_skew_ms = -1;
    switch (f->type) {
    case FIELD_STR:
        build_text(b, f);
        break;
    case FIELD_INT:
        build_int(b, f);
        break;
    case FIELD_NUM:
    case FIELD_BOOL:
        build_converts(b, f);
        break;
    case FIELD_TIME:
        build_time(b, f);
        break;
    case FIELD_LIST:
        build_item(b, f);
        break;
    default:
        break;
    }
    if (f->rewrites || f->type == FIELD_INT) {
        build_place(b, f);
    }
}

static struct code_place take_place(struct build *b)
{
    return (struct code_place){field_text(b, "file").p,
                               (uint32_t)field_number(b, "line", 0),
                               (uint32_t)field_number(b, "end", 0)};
}

struct code_place build_code_place(struct build *b, const char *key)
{
    struct code_place at = {0};

    lua_getfield(b->L, -1, key);
    if (lua_istable(b->L, -1)) {
        at = take_place(b);
    }
    lua_pop(b->L, 1);
    return at;
}

static void build_schema(struct build *b, struct schema *s)
{
    struct code_place *places;
    struct str paths[SCHEMA_FIELDS_MAX];
    struct err e;

    s->name = field_text(b, "name").p;
    s->others = field_is(b, "others", "drop")     ? OTHERS_DROP
                : field_is(b, "others", "refuse") ? OTHERS_REFUSE
                                                  : OTHERS_KEEP;
    s->n_fields = field_open(b, "fields");
    s->fields = build_room(b, s->n_fields * sizeof *s->fields);
    s->places = places = build_room(b, s->n_fields * sizeof *places);
    for (uint32_t i = 0; i < s->n_fields; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        build_field(b, &s->fields[i]);
        places[i] = take_place(b);
        s->rewrites |= s->fields[i].rewrites;
        paths[i] = s->fields[i].path;
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
    s->keys = scan_keys_new(paths, s->n_fields, &e);
    if (s->keys == NULL) {
        (void)luaL_error(b->L, "%s: %s", s->name, e.text);
    }
}

void build_schemas(struct build *b)
{
    uint32_t n = field_open(b, "schemas");

    b->plan->schemas = build_room(b, n * sizeof(struct schema *));
    for (uint32_t i = 0; i < n; i++) {
        struct schema *s = build_room(b, sizeof *s);

        lua_rawgeti(b->L, -1, (int)i + 1);
        b->plan->schemas[i] = s;
        b->plan->n_schemas = i + 1;
        build_schema(b, s);
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
}
