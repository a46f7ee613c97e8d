/* The description's routes to those of a plan. */
#include "base/err.h"
#include "base/text.h"
#include "decode/envelope.h"
#include "decode/quote.h"
#include "decode/rows.h"
#include "plan/enrich.h"
#include "policy/build/internal.h"

static int16_t slot_of_key(const struct schema *s, const char *key)
{
    for (uint32_t i = 0; s != NULL && key != NULL && i < s->n_fields; i++) {
        if (str_eq(s->fields[i].path, str_of(key))) {
            return (int16_t)i;
        }
    }
    return -1;
}

static const char *message_key(const struct stream_plan *s)
{
    return s->key;
}

static const char *index_field(const struct stream_plan *s)
{
    return s->index_field;
}

/* Where the schema has that field of each stream; NULL: no stream has one. */
static const int16_t *stream_slots(struct build *b, const struct route *r,
                                   const char *(*field)(const struct stream_plan *s))
{
    const struct plan *p = b->plan;
    int16_t *slots = NULL;

    for (uint32_t i = 0; i < p->n_streams; i++) {
        if (field(&p->streams[i]) == NULL) {
            continue;
        }
        slots = build_room(b, p->n_streams * sizeof *slots);
        for (uint32_t k = 0; k < p->n_streams; k++) {
            slots[k] = slot_of_key(r->schema, field(&p->streams[k]));
        }
        break;
    }
    return slots;
}

/* ---- values that a route copies into events ---- */

static enum request_part part_of(struct build *b)
{
    return field_is(b, "from", "path")     ? REQUEST_PARAM
           : field_is(b, "from", "query")  ? REQUEST_ARG
           : field_is(b, "from", "header") ? REQUEST_HEADER
           : field_is(b, "from", "basic")  ? REQUEST_BASIC_USER
           : field_is(b, "from", "key")    ? REQUEST_KEY
           : field_is(b, "from", "jwt")    ? REQUEST_CLAIM
                                           : REQUEST_PEER;
}

/* The schema's fields at and below the key; the key's own first. */
static void find_slots(struct build *b, const struct schema *s, struct str key,
                       struct addition *c)
{
    struct enrich_slot *list = build_room(b, s->n_fields * sizeof *list);

    for (int below = 0; below <= 1; below++) {
        for (uint32_t i = 0; i < s->n_fields; i++) {
            struct str path = s->fields[i].path;

            if (below ? path.n > key.n + 1 && path.p[key.n] == '.' &&
                            memcmp(path.p, key.p, key.n) == 0
                      : str_eq(path, key)) {
                list[c->n_slots++] = (struct enrich_slot){
                    i, below ? (struct str){path.p + key.n + 1, path.n - key.n - 1}
                             : (struct str){"", 0}};
            }
        }
    }
    c->slots = list;
}

/* The rules of a key that the request sets are checked once, on its value: the
 * route's own copy of the schema asks nothing of it. */
static void take_over(struct build *b, struct route *r, struct str key,
                      struct addition *c)
{
    for (uint32_t i = 0; i < r->schema->n_fields; i++) {
        struct schema *own;

        if (!str_eq(r->schema->fields[i].path, key)) {
            continue;
        }
        own = build_room(b, sizeof *own);
        *own = *r->schema;
        own->fields = build_room(b, own->n_fields * sizeof *own->fields);
        memcpy(own->fields, r->schema->fields, own->n_fields * sizeof *own->fields);
        c->field = &r->schema->fields[i];
        own->fields[i].type = FIELD_ANY;
        own->fields[i].required = false;
        own->fields[i].rewrites = false;
        r->schema = own;
    }
}

static void build_addition(struct build *b, struct route *r, struct addition *c)
{
    struct str key = field_text(b, "key");

    c->key = build_quoted(b, key);
    c->name = field_text(b, "name");
    c->part = part_of(b);
    c->from = field_is(b, "from", "envelope") ? ENRICH_ENVELOPE
              : field_is(b, "from", "time")   ? ENRICH_TIME
                                              : ENRICH_REQUEST;
    if (r->schema == NULL) {
        return;
    }
    if (c->from == ENRICH_ENVELOPE) {
        find_slots(b, r->schema, key, c);
    } else {
        take_over(b, r, key, c);
    }
}

static void build_enrichment(struct build *b, struct route *r)
{
    struct str events = field_text(b, "events"), paths[ENRICH_MAX];
    struct enrichment *enrichment = build_room(b, sizeof *enrichment);
    struct envelope *v;
    unsigned n_paths = 0;
    struct err e;

    enrichment->n = field_open(b, "enrichment");
    if (enrichment->n > ENRICH_MAX) {
        (void)luaL_error(b->L, "more than %d fields", ENRICH_MAX);
    }
    for (uint32_t i = 0; i < enrichment->n; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        build_addition(b, r, &enrichment->list[i]);
        if (enrichment->list[i].from == ENRICH_ENVELOPE) {
            paths[n_paths++] = field_text(b, "path");
        }
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
    r->enrichment = enrichment->n > 0 ? enrichment : NULL;
    if (events.p == NULL && r->body != BODY_BULK) {
        return;
    }
    v = events.p == NULL ? envelope_bulk_new(paths, n_paths, &e)
                         : envelope_new(events, paths, n_paths, &e);
    if (v == NULL) {
        (void)luaL_error(b->L, "%s: %s", r->path, e.text);
    }
    b->plan->envelopes[b->plan->n_envelopes++] = v;
    r->envelope = v;
}

static void build_columns(struct build *b, struct route *r)
{
    struct row_columns *c;

    (void)field_open(b, "columns");
    if (lua_istable(b->L, -1)) {
        c = build_room(b, sizeof *c);
        c->n = (uint32_t)lua_objlen(b->L, -1);
        c->keys = build_room(b, c->n * sizeof *c->keys);
        for (uint32_t i = 0; i < c->n; i++) {
            struct str name;

            lua_rawgeti(b->L, -1, (int)i + 1);
            name.p = lua_tolstring(b->L, -1, &name.n);
            c->keys[i] = build_quoted(b, name);
            lua_pop(b->L, 1);
        }
        r->columns = c;
    }
    lua_pop(b->L, 1);
}

/* ---- its types and answers ---- */

static void build_types(struct build *b, struct route *r)
{
    struct type_plan *list;

    r->n_types = field_open(b, "types");
    list = build_room(b, r->n_types * sizeof *list);
    for (uint32_t i = 0; i < r->n_types; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        list[i] = (struct type_plan){field_text(b, "type"), field_flag(b, "ndjson")};
        lua_pop(b->L, 1);
    }
    r->types = list;
    lua_pop(b->L, 1);
    r->types_text = field_text(b, "types_text").p;
}

/* The list at "origins"; *n its length. */
static const char *const *origins(struct build *b, uint32_t *n)
{
    const char **list;

    *n = field_open(b, "origins");
    list = build_room(b, *n * sizeof *list);
    for (uint32_t i = 0; i < *n; i++) {
        struct str origin;

        lua_rawgeti(b->L, -1, (int)i + 1);
        origin.p = lua_tolstring(b->L, -1, &origin.n);
        list[i] = build_copy(b, origin).p;
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
    return list;
}

static void build_cors(struct build *b, struct route *r)
{
    struct cors_plan *c;

    (void)field_open(b, "cors");
    if (lua_istable(b->L, -1)) {
        c = build_room(b, sizeof *c);
        *c = (struct cors_plan){.any = field_flag(b, "any"),
                                .credentials = field_flag(b, "credentials"),
                                .headers = field_text(b, "headers").p,
                                .max_age_s = (int64_t)field_whole(b, "max_age") / 1000};
        c->origins = origins(b, &c->n_origins);
        r->cors = c;
    }
    lua_pop(b->L, 1);
}

static void build_webhook(struct build *b, struct route *r)
{
    struct webhook_plan *w;

    (void)field_open(b, "webhook");
    if (lua_istable(b->L, -1)) {
        w = build_room(b, sizeof *w);
        *w = (struct webhook_plan){.any = field_flag(b, "any"),
                                   .rate = (uint32_t)field_whole(b, "rate")};
        w->origins = origins(b, &w->n_origins);
        r->webhook = w;
    }
    lua_pop(b->L, 1);
}

enum { BURST_S = 10 };

/* The largest record passes, and the unused rate of some seconds. */
static void build_refused(struct build *b, struct route *r)
{
    struct refusal_plan *p;

    (void)field_open(b, "on_refused");
    if (lua_istable(b->L, -1)) {
        p = build_room(b, sizeof *p);
        *p = (struct refusal_plan){.stream = (int32_t)field_number(b, "stream", -1),
                                   .max_record = field_whole(b, "max_record"),
                                   .rate = field_number(b, "rate", 1)};
        p->burst = (uint32_t)(BURST_S * p->rate) +
                   (uint32_t)(text_bound(p->max_record) / 1024) + BURST_S;
        r->on_refused = p;
    }
    lua_pop(b->L, 1);
}

static enum body_kind body_of(struct build *b)
{
    static const char *const words[] = {
        [BODY_EVENT] = "event",   [BODY_BATCH] = "batch",
        [BODY_EVENTS] = "events", [BODY_BULK] = "bulk",
        [BODY_QUERY] = "query",   [BODY_FORM] = "form",
        [BODY_ANY] = "any",       [BODY_CLOUDEVENTS] = "cloudevents"};
    uint32_t i = 0;

    while (i < BODY_ANY && !field_is(b, "body", words[i])) {
        i++;
    }
    return (enum body_kind)i;
}

static void build_route(struct build *b, struct route *r, uint32_t i)
{
    int schema = (int)field_number(b, "schema", -1);

    r->method = field_text(b, "method").p;
    r->path = field_text(b, "path").p;
    r->pattern = field_flag(b, "pattern");
    r->body = body_of(b);
    r->schema = schema < 0 ? NULL : b->plan->schemas[schema];
    r->stream = (int32_t)field_number(b, "stream", -1);
    r->key_slots = stream_slots(b, r, message_key);
    r->id_slots = stream_slots(b, r, index_field);
    r->max_event = field_whole(b, "max_event");
    r->encoding_arg = field_text(b, "encoding_arg");
    r->encoding = r->encoding_arg.p != NULL           ? ENCODING_BY_QUERY
                  : field_is(b, "encoding", "detect") ? ENCODING_BY_CONTENT
                                                      : ENCODING_BY_HEADER;
    r->partial = field_flag(b, "partial");
    r->on_error = field_is(b, "on_error", "reject")   ? ON_ERROR_REJECT
                  : field_is(b, "on_error", "accept") ? ON_ERROR_ACCEPT
                                                      : ON_ERROR_DEAD_LETTER;
    r->has_on_event = field_has(b, "on_event");
    r->has_on_request = field_has(b, "on_request");
    r->index = i;
    r->line = (uint32_t)field_whole(b, "line");
    r->file = field_text(b, "file").p;
    r->on_event_at = build_code_place(b, "on_event_at");
    r->on_request_at = build_code_place(b, "on_request_at");
    build_types(b, r);
    build_params(b, r);
    build_enrichment(b, r);
    build_columns(b, r);
    build_answer(b, r);
    build_cors(b, r);
    build_webhook(b, r);
    build_refused(b, r);
    build_postback(b, r);
    build_auth(b, r);
    build_route_limits(b, r);
    r->access = build_networks(b);
}

void build_routes(struct build *b)
{
    uint32_t n = field_open(b, "routes");

    b->plan->n_routes = n;
    b->plan->routes = build_room(b, n * sizeof *b->plan->routes);
    for (uint32_t i = 0; i < n; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        build_route(b, &b->plan->routes[i], i);
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
}
