#include "server/page/data.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "server/admin/guard.h"
#include "server/internal.h"
#include "server/page/asset.h"
#include "server/page/history.h"
#include "shared/samples.h"

struct text {
    char *p;
    size_t n, room;
};

static void put(void *arg, const char *p, size_t n)
{
    struct text *t = arg;

    if (n > t->room - t->n) {
        t->room = 2 * t->room + n;
        t->p = mem_realloc(t->p, t->room);
    }
    memcpy(t->p + t->n, p, n);
    t->n += n;
}

static void put_z(struct text *t, const char *z)
{
    put(t, z, strlen(z));
}

/* cJSON takes any bytes: what leaves is valid UTF-8. */
static void put_json(struct text *t, cJSON *o)
{
    char *json = cJSON_PrintBuffered(o, 4096, 0);
    char *clean = text_new(TEXT_PLAIN, str_of(json));

    put_z(t, clean);
    free(clean);
    free(json);
    cJSON_Delete(o);
}

static void answer(struct http_request *r, int status, struct text *t)
{
    char lines[2048];

    (void)snprintf(lines, sizeof lines, "%sCache-Control: no-store\r\n%s",
                   asset_headers, status == 401 ? "WWW-Authenticate: Bearer\r\n" : "");
    http_answer(r, status, lines, (struct str){t->p, t->n});
    free(t->p);
}

static void add_sample(void *arg, const struct sample *x)
{
    cJSON *o = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(o, "route", x->route);
    (void)cJSON_AddStringToObject(o, "code", x->code);
    (void)cJSON_AddNumberToObject(o, "status", x->status);
    (void)cJSON_AddNumberToObject(o, "at_ms", (double)x->at_ms);
    (void)cJSON_AddNumberToObject(o, "generation", (double)x->generation);
    (void)cJSON_AddStringToObject(o, "field", x->field);
    (void)cJSON_AddStringToObject(o, "message", x->message);
    (void)cJSON_AddStringToObject(o, "path", x->path);
    (void)cJSON_AddStringToObject(o, "raw", x->raw);
    (void)cJSON_AddNumberToObject(o, "bytes", (double)x->bytes);
    (void)cJSON_AddNumberToObject(o, "index", x->index);
    (void)cJSON_AddItemToArray(arg, o);
}

static cJSON *samples(struct server *s)
{
    cJSON *list = cJSON_CreateArray();

    samples_each(s->samples, add_sample, list);
    return list;
}

static cJSON *place(const struct code_place *at)
{
    cJSON *o = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(o, "file", at->file);
    (void)cJSON_AddNumberToObject(o, "line", at->line);
    (void)cJSON_AddNumberToObject(o, "end", at->end);
    return o;
}

static void add_hooks(cJSON *to, const struct route *route)
{
    const struct code_place *const at[] = {&route->on_event_at, &route->on_request_at};
    cJSON *list = cJSON_AddArrayToObject(to, "hooks");

    for (size_t i = 0; i < N_ELEMS(at); i++) {
        if (at[i]->file != NULL) {
            (void)cJSON_AddItemToArray(list, place(at[i]));
        }
    }
}

static void add_fields(cJSON *to, const struct schema *schema)
{
    cJSON *list = cJSON_AddArrayToObject(to, "fields");

    (void)cJSON_AddStringToObject(to, "schema", schema->name);
    for (uint32_t i = 0; i < schema->n_fields; i++) {
        if (schema->places[i].file != NULL) {
            cJSON *one = place(&schema->places[i]);

            (void)cJSON_AddStringToObject(one, "field", schema->fields[i].path.p);
            (void)cJSON_AddItemToArray(list, one);
        }
    }
}

/* Where the routes, their hooks and their schemas' fields stand in that policy. */
static cJSON *routes(const struct plan *plan)
{
    cJSON *list = cJSON_CreateArray();

    for (uint32_t i = 0; i < plan->n_routes; i++) {
        const struct route *route = &plan->routes[i];
        cJSON *o = cJSON_CreateObject();
        char name[1200];

        (void)snprintf(name, sizeof name, "%s %s", route->method, route->path);
        (void)cJSON_AddStringToObject(o, "route", name);
        (void)cJSON_AddStringToObject(o, "file", route->file);
        (void)cJSON_AddNumberToObject(o, "line", route->line);
        add_hooks(o, route);
        if (route->schema != NULL) {
            add_fields(o, route->schema);
        }
        (void)cJSON_AddItemToArray(list, o);
    }
    return list;
}

/* N of "name=N", at the beginning of a query; 0: it has none. */
static uint64_t number_of(struct str query, const char *name)
{
    size_t n = strlen(name);
    char text[40];

    if (query.n >= sizeof text || query.n < n || memcmp(query.p, name, n) != 0) {
        return 0;
    }
    memcpy(text, query.p, query.n);
    text[query.n] = '\0';
    return strtoull(text + n, NULL, 10);
}

static bool wants_samples(struct str query)
{
    return memmem(query.p, query.n, "samples=1", 9) != NULL;
}

/* ---- the parts that all pages share ---- */

struct page_data {
    struct text text;
    uint64_t seq; /* 1 + that of the last row then */
};

struct page_data *page_data_new(void)
{
    return mem_zalloc(sizeof(struct page_data));
}

void page_data_free(struct page_data *d)
{
    if (d != NULL) {
        free(d->text.p);
        free(d);
    }
}

static const struct text *shared(struct server *s)
{
    struct text *t = &s->page_data->text;
    uint64_t *seq = &s->page_data->seq;

    if (*seq == history_seq(s->history) + 1) {
        return t;
    }
    *seq = history_seq(s->history) + 1;
    t->n = 0;
    put_z(t, "\"status\":");
    put_json(t, status_object(s));
    put_z(t, ",");
    history_stages(s->history, put, t);
    return t;
}

void data_answer(struct server *s, struct http_request *r, const struct http_view *v)
{
    bool trusted = guard_trusts(s->admin_plan, r, v);
    struct text t = {mem_alloc(1 << 14), 0, 1 << 14};
    const struct text *all = shared(s);
    char head[96];

    (void)snprintf(head, sizeof head, "{\"now_ms\":%lld,\"trusted\":%s,\"token\":%s,",
                   (long long)clock_wall_ms(), trusted ? "true" : "false",
                   s->admin_plan->token.n > 0 ? "true" : "false");
    put_z(&t, head);
    put(&t, all->p, all->n);
    put_z(&t, ",");
    history_write(s->history, number_of(v->query, "since="), put, &t);
    if (trusted && wants_samples(v->query)) {
        put_z(&t, ",\"samples\":");
        put_json(&t, samples(s));
    }
    put_z(&t, "}");
    answer(r, 200, &t);
}

/* A policy that has not ended, such as a canary; otherwise the live one. */
static const struct policy *policy_of(const struct server *s, uint64_t generation)
{
    for (uint32_t i = 0; i < s->generations.n; i++) {
        const struct generation *g = s->generations.list[i];

        if (g->number == generation && g->policy != NULL) {
            return g->policy;
        }
    }
    return s->policy;
}

static void add_file(cJSON *to, const char *path, struct str text)
{
    char *z = mem_strndup(text.p, text.n);
    cJSON *o = cJSON_CreateObject();

    /* Lua takes a NUL in a string or a comment, but cJSON for the end: what is no character
     * shows as U+FFFD. */
    for (size_t i = 0; i < text.n; i++) {
        z[i] = z[i] == '\0' ? '\xff' : z[i];
    }
    (void)cJSON_AddStringToObject(o, "file", path);
    (void)cJSON_AddStringToObject(o, "text", z);
    (void)cJSON_AddItemToArray(to, o);
    free(z);
}

void data_policy(struct server *s, struct http_request *r, const struct http_view *v)
{
    const struct policy *policy = policy_of(s, number_of(v->query, "generation="));
    struct text t = {mem_alloc(1 << 14), 0, 1 << 14};
    cJSON *o, *list;

    if (!guard_trusts(s->admin_plan, r, v)) {
        put_z(&t, "{\"error\":\"Unauthorized\",\"code\":\"token\",\"detail\":\"from "
                  "another machine the policy needs the token: Authorization: Bearer "
                  "TOKEN\"}");
        answer(r, 401, &t);
        return;
    }
    o = cJSON_CreateObject();
    (void)cJSON_AddNumberToObject(o, "generation",
                                  (double)policy_plan(policy)->generation);
    list = cJSON_AddArrayToObject(o, "files");
    for (uint32_t i = 0; policy_file(policy, i) != NULL; i++) {
        struct str text = policy_file_text(policy, i);

        if (text.p != NULL) {
            add_file(list, policy_file(policy, i), text);
        }
    }
    (void)cJSON_AddItemToObject(o, "routes", routes(policy_plan(policy)));
    put_json(&t, o);
    answer(r, 200, &t);
}
