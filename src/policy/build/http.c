/* The description of a sink over HTTP to its plan. */
#include "policy/build/internal.h"

static void build_urls(struct build *b, struct upload_plan *r)
{
    const char **urls;

    r->n_urls = field_open(b, "urls");
    urls = build_room(b, r->n_urls * sizeof *urls);
    for (uint32_t i = 0; i < r->n_urls; i++) {
        struct str url;

        lua_rawgeti(b->L, -1, (int)i + 1);
        url.p = lua_tolstring(b->L, -1, &url.n);
        urls[i] = build_copy(b, url).p;
        lua_pop(b->L, 1);
    }
    r->urls = urls;
    lua_pop(b->L, 1);
}

void build_breaker(struct build *b, struct breaker_plan *p)
{
    (void)field_open(b, "breaker");
    *p = (struct breaker_plan){.max_requests = (uint32_t)field_whole(b, "max_requests"),
                               .interval_ms = (int64_t)field_whole(b, "interval"),
                               .timeout_ms = (int64_t)field_whole(b, "timeout"),
                               .slow_ms = (int64_t)field_whole(b, "slow"),
                               .has_trip = field_has(b, "ready_to_trip")};
    lua_pop(b->L, 1);
}

void build_hedge(struct build *b, struct hedge_plan *h)
{
    *h = (struct hedge_plan){.after_ms = HEDGE_OFF};
    if (field_has(b, "hedge")) {
        (void)field_open(b, "hedge");
        *h = (struct hedge_plan){.after_ms =
                                     (int64_t)field_number(b, "after", HEDGE_OFF),
                                 .max_ratio = field_number(b, "max_ratio", 0),
                                 .may_duplicate = field_flag(b, "may_duplicate")};
        lua_pop(b->L, 1);
    }
}

static void build_upload(struct build *b, struct upload_plan *r)
{
    build_urls(b, r);
    r->timeout_ms = (int64_t)field_whole(b, "timeout");
    r->proxy = field_text(b, "proxy").p;
    r->max_in_flight = (uint32_t)field_whole(b, "max_in_flight");
    (void)field_open(b, "tls");
    r->ca = field_text(b, "ca").p;
    r->cert = field_text(b, "cert").p;
    r->key = field_text(b, "key").p;
    r->verify = field_flag(b, "verify");
    lua_pop(b->L, 1);
    (void)field_open(b, "pool");
    r->pool = (struct pool_plan){
        .max_open = (uint32_t)field_whole(b, "max_open"),
        .max_idle = (uint32_t)field_whole(b, "max_idle"),
        .max_lifetime_ms = (int64_t)field_whole(b, "max_lifetime"),
        .max_idle_time_ms = (int64_t)field_whole(b, "max_idle_time")};
    lua_pop(b->L, 1);
    build_breaker(b, &r->breaker);
    build_hedge(b, &r->hedge);
}

void build_clickhouse(struct build *b, struct sink_plan *s)
{
    struct clickhouse_plan *c = &s->clickhouse;

    build_upload(b, &s->upload);
    c->table = field_text(b, "table").p;
    c->user = field_text(b, "user").p;
    c->password = field_text(b, "password").p;
    c->settings = field_pairs(b, "settings", &c->n_settings);
    c->columns = field_pairs(b, "columns", &c->n_columns);
    c->zstd = field_is(b, "compression", "zstd");
    c->gzip = field_is(b, "compression", "gzip");
    c->check = field_flag(b, "check");
}

/* Whether some route of schema i feeds sink k. */
static bool feeds(const struct plan *plan, uint32_t i, uint32_t k)
{
    for (uint32_t r = 0; r < plan->n_routes; r++) {
        const struct route *route = &plan->routes[r];
        const struct stream_plan *st;

        if (route->stream < 0 || route->schema != plan->schemas[i]) {
            continue;
        }
        st = &plan->streams[route->stream];
        for (uint32_t s = 0; s < st->n_sinks; s++) {
            if (st->sinks[s].sink == k) {
                return true;
            }
        }
    }
    return false;
}

void build_tables(struct build *b)
{
    struct plan *plan = b->plan;

    for (uint32_t k = 0; k < plan->n_sinks; k++) {
        struct clickhouse_plan *c = &plan->sinks[k].clickhouse;
        const struct schema **list;

        if (plan->sinks[k].kind != SINK_KIND_CLICKHOUSE) {
            continue;
        }
        list = build_room(b, plan->n_schemas * sizeof *list);
        for (uint32_t i = 0; i < plan->n_schemas; i++) {
            if (feeds(plan, i, k)) {
                list[c->n_schemas++] = plan->schemas[i];
            }
        }
        c->schemas = list;
    }
}

static void build_taken(struct build *b, struct http_plan *h)
{
    uint16_t *taken;

    if (!field_has(b, "taken")) {
        return;
    }
    h->n_taken = field_open(b, "taken");
    taken = build_room(b, h->n_taken * sizeof *taken);
    for (uint32_t i = 0; i < h->n_taken; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        taken[i] = (uint16_t)lua_tointeger(b->L, -1);
        lua_pop(b->L, 1);
    }
    h->taken = taken;
    lua_pop(b->L, 1);
}

void build_http(struct build *b, struct sink_plan *s)
{
    struct http_plan *h = &s->http;

    build_upload(b, &s->upload);
    h->method = field_text(b, "method").p;
    h->type = field_text(b, "content_type").p;
    h->id_header = field_text(b, "id_header").p;
    build_taken(b, h);
    h->headers = field_pairs(b, "headers", &h->n_headers);
    h->array = field_is(b, "format", "json_array");
    h->compress = field_is(b, "compression", "zstd")   ? COMPRESS_ZSTD
                  : field_is(b, "compression", "gzip") ? COMPRESS_GZIP
                                                       : COMPRESS_NONE;
}
