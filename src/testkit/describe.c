/* A plan as JSON, with the parts that specs look at. */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "testkit/internal.h"

static void add(cJSON *o, const char *key, double v)
{
    (void)cJSON_AddNumberToObject(o, key, v);
}

static void add_text(cJSON *o, const char *key, const char *z)
{
    if (z != NULL) {
        (void)cJSON_AddStringToObject(o, key, z);
    }
}

static cJSON *route_json(const struct plan *p, const struct route *r)
{
    static const char *const on_error[] = {[ON_ERROR_DEAD_LETTER] = "dead_letter",
                                           [ON_ERROR_REJECT] = "reject",
                                           [ON_ERROR_ACCEPT] = "accept"};
    static const char *const bodies[] = {
        [BODY_EVENT] = "event",   [BODY_BATCH] = "batch",
        [BODY_EVENTS] = "events", [BODY_BULK] = "bulk",
        [BODY_QUERY] = "query",   [BODY_FORM] = "form",
        [BODY_ANY] = "any",       [BODY_CLOUDEVENTS] = "cloudevents"};
    cJSON *o = cJSON_CreateObject();

    add_text(o, "method", r->method);
    add_text(o, "path", r->path);
    add_text(o, "body", bodies[r->body]);
    add_text(o, "stream", r->stream < 0 ? NULL : p->streams[r->stream].name);
    add_text(o, "on_error", on_error[r->on_error]);
    (void)cJSON_AddBoolToObject(o, "partial", r->partial);
    (void)cJSON_AddBoolToObject(o, "has_on_event", r->has_on_event);
    (void)cJSON_AddBoolToObject(o, "has_on_request", r->has_on_request);
    if (r->on_refused != NULL) {
        add_text(o, "on_refused",
                 r->on_refused->stream < 0 ? "dead_letter"
                                           : p->streams[r->on_refused->stream].name);
    }
    add_text(o, "file", r->file);
    add(o, "line", r->line);
    return o;
}

static cJSON *stream_json(const struct plan *p, const struct stream_plan *s)
{
    static const char *const ack[] = {[ACK_WRITTEN] = "written",
                                      [ACK_SYNCED] = "synced",
                                      [ACK_DELIVERED] = "delivered"};
    cJSON *o = cJSON_CreateObject();
    cJSON *sinks = cJSON_AddArrayToObject(o, "sinks");

    add_text(o, "name", s->name);
    add_text(o, "ack", ack[s->ack]);
    add(o, "max_bytes", (double)s->max_bytes);
    for (uint32_t i = 0; i < s->n_sinks; i++) {
        (void)cJSON_AddItemToArray(sinks,
                                   cJSON_CreateString(p->sinks[s->sinks[i].sink].name));
    }
    return o;
}

static void breaker_json(cJSON *sink, const struct breaker_plan *b)
{
    cJSON *o = cJSON_AddObjectToObject(sink, "breaker");

    add(o, "max_requests", b->max_requests);
    add(o, "interval_ms", (double)b->interval_ms);
    add(o, "timeout_ms", (double)b->timeout_ms);
}

static cJSON *sink_json(const struct sink_plan *s)
{
    cJSON *o = cJSON_CreateObject();
    cJSON *batch = cJSON_AddObjectToObject(o, "batch");

    add_text(o, "name", s->name);
    add_text(o, "kind", plan_sink_word(s->kind));
    add(batch, "target", s->batch.target);
    add(batch, "min", s->batch.min);
    add(batch, "max", s->batch.max);
    add(batch, "max_bytes", (double)s->batch.max_bytes);
    add(batch, "linger_ms", (double)s->batch.linger_ms);
    if (s->kind == SINK_KIND_CLICKHOUSE || s->kind == SINK_KIND_HTTP) {
        breaker_json(o, &s->upload.breaker);
        add_text(o, "table", s->clickhouse.table);
        add_text(o, "url", s->upload.n_urls > 0 ? s->upload.urls[0] : NULL);
    } else if (s->kind == SINK_KIND_KAFKA) {
        breaker_json(o, &s->kafka.breaker);
        add_text(o, "brokers", s->kafka.brokers);
        add_text(o, "topic", s->kafka.topic);
        add_text(o, "key", s->kafka.key);
    } else if (s->kind == SINK_KIND_FILE) {
        add_text(o, "dir", s->dir);
    }
    return o;
}

const char *sluice_kit_plan(struct sluice_kit *k)
{
    const struct plan *p = policy_plan(k->policy);
    cJSON *o, *server, *list;

    if (k->plan_json != NULL) {
        return k->plan_json;
    }
    o = cJSON_CreateObject();
    add_text(o, "hash", p->hash);
    server = cJSON_AddObjectToObject(o, "server");
    add_text(server, "listen", p->listeners[0].address);
    add(server, "max_body", (double)p->server.max_body);
    add(server, "max_events", p->server.max_events);
    add(server, "max_depth", p->server.max_depth);
    list = cJSON_AddArrayToObject(o, "routes");
    for (uint32_t i = 0; i < p->n_routes; i++) {
        (void)cJSON_AddItemToArray(list, route_json(p, &p->routes[i]));
    }
    list = cJSON_AddArrayToObject(o, "streams");
    for (uint32_t i = 0; i < p->n_streams; i++) {
        (void)cJSON_AddItemToArray(list, stream_json(p, &p->streams[i]));
    }
    list = cJSON_AddArrayToObject(o, "sinks");
    for (uint32_t i = 0; i < p->n_sinks; i++) {
        (void)cJSON_AddItemToArray(list, sink_json(&p->sinks[i]));
    }
    k->plan_json = cJSON_PrintUnformatted(o);
    cJSON_Delete(o);
    return k->plan_json;
}
