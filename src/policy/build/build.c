/* The loader's description, already checked, to a plan. */
#include "policy/build/internal.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "plan/access.h"
#include "policy/build/build.h"

static void build_server(struct build *b)
{
    struct server_plan *s = &b->plan->server;

    (void)field_open(b, "server");
    s->workers = (uint32_t)field_whole(b, "workers");
    s->max_body = field_whole(b, "max_body");
    s->max_events = (uint32_t)field_whole(b, "max_events");
    s->max_depth = (uint32_t)field_whole(b, "max_depth");
    s->max_headers_bytes = (uint32_t)field_whole(b, "max_headers");
    s->max_connections = (uint32_t)field_whole(b, "max_connections");
    s->share_port = field_flag(b, "share_port");
    s->core_dumps = field_flag(b, "core_dumps");
    s->user = field_text(b, "user").p;
    s->sandbox = field_is(b, "sandbox", "auto")       ? SANDBOX_AUTO
                 : field_is(b, "sandbox", "required") ? SANDBOX_REQUIRED
                                                      : SANDBOX_OFF;
    s->max_per_address = (uint32_t)field_whole(b, "max_connections_per_address");
    s->header_timeout_ms = (int64_t)field_whole(b, "header_timeout");
    s->body_timeout_ms = (int64_t)field_whole(b, "body_timeout");
    s->idle_timeout_ms = (int64_t)field_whole(b, "idle_timeout");
    s->drain_ms = (int64_t)field_whole(b, "drain");
    s->drain_delay_ms = (int64_t)field_whole(b, "drain_delay");
    lua_pop(b->L, 1);
    (void)field_open(b, "spool");
    b->plan->spool = (struct spool_plan){.dir = field_text(b, "dir").p,
                                         .segment_bytes = field_whole(b, "segment"),
                                         .max_bytes = field_whole(b, "max_bytes")};
    lua_pop(b->L, 1);
}

static void build_access_log(struct build *b)
{
    struct access_plan *a;

    lua_getfield(b->L, -1, "access_log");
    if (lua_istable(b->L, -1)) {
        a = build_room(b, sizeof *a);
        *a = (struct access_plan){.path = field_text(b, "path").p,
                                  .json = field_is(b, "format", "json"),
                                  .sample = field_number(b, "sample", 1),
                                  .always_refused = field_is(b, "always", "refused"),
                                  .max_bytes = field_whole(b, "max_size"),
                                  .keep = (uint32_t)field_whole(b, "keep")};
        b->plan->access = a;
    }
    lua_pop(b->L, 1);
}

static void build_batch(struct build *b, struct sink_plan *s)
{
    (void)field_open(b, "batch");
    s->batch = (struct batch_plan){.target = (uint32_t)field_whole(b, "target"),
                                   .min = (uint32_t)field_whole(b, "min"),
                                   .max = (uint32_t)field_whole(b, "max"),
                                   .max_bytes = field_whole(b, "max_bytes"),
                                   .linger_ms = (int64_t)field_whole(b, "linger")};
    s->adapt_latency = field_is(b, "adapt", "latency");
    s->has_adapt = field_has(b, "adapt") && !s->adapt_latency;
    lua_pop(b->L, 1);
    (void)field_open(b, "dead");
    s->dead_max_bytes = field_whole(b, "max_bytes");
    s->dead_searches = field_number(b, "searches", 0);
    lua_pop(b->L, 1);
}

static enum sink_kind kind_of(struct build *b)
{
    enum sink_kind kind = SINK_KIND_NULL;
    bool known = plan_sink_kind(field_text(b, "kind"), &kind);

    assert(known); /* the loader lets no other word pass */
    return kind;
}

static void build_sink(struct build *b, struct sink_plan *s)
{
    s->name = field_text(b, "name").p;
    s->kind = kind_of(b);
    s->from_oldest = field_is(b, "from", "oldest");
    s->was = field_text(b, "was").p;
    s->batch = (struct batch_plan){.target = 10000,
                                   .min = 10000,
                                   .max = 20000,
                                   .max_bytes = 4 << 20,
                                   .linger_ms = 100};
    if (s->kind == SINK_KIND_FILE) {
        /* A frame: 1 MiB of input, or linger. */
        s->batch = (struct batch_plan){.target = 1000000,
                                       .min = 1000000,
                                       .max = 1000000,
                                       .max_bytes = 1 << 20,
                                       .linger_ms = (int64_t)field_whole(b, "linger")};
        s->dir = field_text(b, "dir").p;
        s->compress = field_is(b, "compress", "zstd")   ? COMPRESS_ZSTD
                      : field_is(b, "compress", "gzip") ? COMPRESS_GZIP
                                                        : COMPRESS_NONE;
        (void)field_open(b, "rotate");
        s->rotate_bytes = field_whole(b, "bytes");
        s->rotate_age_ms = (int64_t)field_whole(b, "age");
        lua_pop(b->L, 1);
    }
    if (s->kind == SINK_KIND_CLICKHOUSE || s->kind == SINK_KIND_KAFKA ||
        s->kind == SINK_KIND_HTTP) {
        build_batch(b, s);
    }
    if (s->kind == SINK_KIND_CLICKHOUSE) {
        build_clickhouse(b, s);
    } else if (s->kind == SINK_KIND_HTTP) {
        build_http(b, s);
    } else if (s->kind == SINK_KIND_KAFKA) {
        build_kafka(b, s);
    }
}

static void build_sinks(struct build *b)
{
    uint32_t n = field_open(b, "sinks");

    if (n > PLAN_SINKS_MAX) {
        (void)luaL_error(b->L, "more than %d sinks", PLAN_SINKS_MAX);
    }
    b->plan->n_sinks = n;
    b->plan->sinks = build_room(b, n * sizeof *b->plan->sinks);
    for (uint32_t i = 0; i < n; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        build_sink(b, &b->plan->sinks[i]);
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
}

/* The spool notes the places of one key: the first sink's. */
static const char *key_of(const struct plan *plan, const struct stream_plan *s)
{
    for (uint32_t i = 0; i < s->n_sinks; i++) {
        const struct sink_plan *sink = &plan->sinks[s->sinks[i].sink];

        if (sink->kind == SINK_KIND_KAFKA && sink->kafka.key != NULL &&
            sink->kafka.framing == KAFKA_EVENT) {
            return sink->kafka.key;
        }
    }
    return NULL;
}

static void build_stream(struct build *b, struct stream_plan *s)
{
    s->name = field_text(b, "name").p;
    s->ack = field_is(b, "ack", "synced")      ? ACK_SYNCED
             : field_is(b, "ack", "delivered") ? ACK_DELIVERED
                                               : ACK_WRITTEN;
    s->delivered_ms = (int64_t)field_whole(b, "timeout");
    s->max_bytes = field_whole(b, "max_bytes");
    s->n_sinks = field_open(b, "sinks");
    s->sinks = build_room(b, s->n_sinks * sizeof *s->sinks);
    for (uint32_t i = 0; i < s->n_sinks; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        s->sinks[i] = (struct stream_sink){
            .sink = (uint32_t)field_whole(b, "sink"),
            .when_full = field_flag(b, "skip") ? FULL_SKIP : FULL_REFUSE,
            .max_lag_bytes = field_whole(b, "max_lag")};
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
    lua_getfield(b->L, -1, "index");
    if (lua_istable(b->L, -1)) {
        s->index_field = field_text(b, "field").p;
        s->index_keep_ms = (int64_t)field_whole(b, "keep");
        s->index_max_bytes = field_whole(b, "max_bytes");
    }
    lua_pop(b->L, 1);
    s->key = key_of(b->plan, s);
    s->key_hash = plan_key_hash(s->key);
}

static void build_streams(struct build *b)
{
    uint32_t n = field_open(b, "streams");

    b->plan->n_streams = n;
    b->plan->streams = build_room(b, n * sizeof *b->plan->streams);
    for (uint32_t i = 0; i < n; i++) {
        lua_rawgeti(b->L, -1, (int)i + 1);
        build_stream(b, &b->plan->streams[i]);
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
}

static void build_rollout(struct build *b)
{
    struct rollout_plan *t = &b->plan->rollout;

    lua_getfield(b->L, -1, "trial");
    if (lua_istable(b->L, -1)) {
        t->kind = field_is(b, "kind", "canary") ? ROLLOUT_CANARY : ROLLOUT_SHADOW;
        t->share = field_number(b, "share", 0);
        t->during_ms = (int64_t)field_whole(b, "during");
        t->header = field_text(b, "header").p;
        t->by = t->header != NULL                 ? SHARE_BY_HEADER
                : field_is(b, "by", "connection") ? SHARE_BY_CONNECTION
                : field_is(b, "by", "peer")       ? SHARE_BY_PEER
                                                  : SHARE_BY_REQUEST;
        t->min_requests = field_whole(b, "min_requests");
        t->has_roll_back_if = field_has(b, "roll_back_if");
        t->sample = (uint32_t)field_whole(b, "sample");
    }
    lua_pop(b->L, 1);
}

static int build(lua_State *L)
{
    struct build b = *(const struct build *)lua_touserdata(L, 1);

    lua_settop(L, 2);
    lua_getfield(L, 2, "desc");
    build_server(&b);
    build_listeners(&b);
    build_admin(&b);
    build_access_log(&b);
    build_sinks(&b);
    build_streams(&b);
    build_schemas(&b);
    build_rollout(&b);
    build_counters(&b);
    build_keys(&b);
    build_tokens(&b);
    build_routes(&b);
    build_tables(&b);
    return 0;
}

bool plan_build(struct policy_state *s, struct plan *plan, struct err *e)
{
    lua_State *L = s->L;
    struct build b = {L, plan, s->policy};

    lua_pushcfunction(L, build);
    lua_pushlightuserdata(L, &b);
    lua_pushvalue(L, -3);
    if (lua_pcall(L, 2, 0, 0) != 0) {
        (void)err_set(e, "%s", lua_tostring(L, -1));
        lua_pop(L, 1);
        return false;
    }
    return true;
}
