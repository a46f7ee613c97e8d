#include "plan/media.h"

#include <strings.h>

#include "base/attr.h"

static bool is(struct str s, const char *z)
{
    return s.n == strlen(z) && strncasecmp(s.p, z, s.n) == 0;
}

/* The type without parameters and white space around it. */
static struct str essence(struct str s)
{
    const char *semi = s.n == 0 ? NULL : memchr(s.p, ';', s.n);

    if (semi != NULL) {
        s.n = (size_t)(semi - s.p);
    }
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) {
        s.n--;
    }
    while (s.n > 0 && (*s.p == ' ' || *s.p == '\t')) {
        s.p++;
        s.n--;
    }
    return s;
}

static bool is_application(struct str s, struct str suffix)
{
    return s.n > 12 + suffix.n && strncasecmp(s.p, "application/", 12) == 0 &&
           strncasecmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0;
}

static bool is_json(struct str s)
{
    return is(s, "application/json") || is(s, "text/json") ||
           is_application(s, STR("+json"));
}

static bool is_ndjson(struct str s)
{
    return is(s, "application/x-ndjson") || is(s, "application/ndjson") ||
           is(s, "application/jsonl") || is_application(s, STR("+x-ndjson"));
}

/* The prefix decides (HTTP binding, 1.3): another format than JSON is refused. */
static bool cloudevents_shape(struct str type, enum scan_shape *shape)
{
    static const char prefix[] = "application/cloudevents";

    if (type.n < sizeof prefix - 1 ||
        strncasecmp(type.p, prefix, sizeof prefix - 1) != 0) {
        *shape = SCAN_DATA;
        return true;
    }
    *shape = is(type, "application/cloudevents+json") ? SCAN_EVENT : SCAN_ARRAY;
    return *shape == SCAN_EVENT || is(type, "application/cloudevents-batch+json");
}

static bool form_shape(struct str type, enum scan_shape *shape)
{
    bool multipart = is(type, "multipart/form-data");

    *shape = multipart ? SCAN_MULTIPART : SCAN_FORM;
    return multipart || is(type, "application/x-www-form-urlencoded");
}

/* BODY_QUERY, BODY_FORM and BODY_ANY. Without a type a form route takes a form. */
static bool params_shape(const struct route *r, struct str type, enum scan_shape *shape)
{
    if (r->body == BODY_QUERY || strcmp(r->method, "GET") == 0) {
        *shape = SCAN_QUERY;
        return true;
    }
    if (form_shape(type, shape)) {
        return true;
    }
    *shape = r->body == BODY_FORM ? SCAN_FORM : SCAN_EVENT;
    return type.n == 0 || (r->body == BODY_ANY && is_json(type));
}

enum scan_shape media_json_shape(const struct route *r)
{
    return r->body == BODY_BATCH    ? SCAN_BATCH
           : r->body == BODY_EVENTS ? SCAN_VALUES
           : r->body == BODY_BULK   ? SCAN_BULK
                                    : SCAN_EVENT;
}

/* Of the route's own list. */
static bool listed_shape(const struct route *r, struct str type, enum scan_shape *shape)
{
    for (uint32_t i = 0; i < r->n_types; i++) {
        const struct type_plan *t = &r->types[i];

        /* No type at all is taken as JSON, as everywhere. */
        if (type.n == 0 || t->type.n == 0 ||
            (t->type.n == type.n && strncasecmp(t->type.p, type.p, type.n) == 0)) {
            *shape = t->ndjson && type.n > 0 && r->body != BODY_BULK
                         ? SCAN_NDJSON
                         : media_json_shape(r);
            return true;
        }
    }
    return false;
}

bool media_is_json(struct str content_type)
{
    struct str type = essence(content_type);
    const char *slash = type.n == 0 ? NULL : memchr(type.p, '/', type.n);
    struct str sub = {slash, 0};

    if (slash == NULL) {
        return false;
    }
    sub = (struct str){slash + 1, type.n - (size_t)(slash + 1 - type.p)};
    return is(sub, "json") ||
           (sub.n > 5 && strncasecmp(sub.p + sub.n - 5, "+json", 5) == 0);
}

/* NDJSON, where the route has no types of its own. */
static bool takes_lines(const struct route *r)
{
    return r->body == BODY_BULK ||
           (r->envelope == NULL && (r->body == BODY_EVENTS || r->body == BODY_BATCH));
}

bool media_shape(const struct route *r, struct str content_type, enum scan_shape *shape)
{
    struct str type = essence(content_type);

    if (UNLIKELY(r->body >= BODY_CLOUDEVENTS)) {
        return r->body == BODY_CLOUDEVENTS ? cloudevents_shape(type, shape)
                                           : params_shape(r, type, shape);
    }
    if (UNLIKELY(r->form_body.n > 0) && form_shape(type, shape)) {
        return true;
    }
    if (UNLIKELY(r->n_types > 0)) {
        return listed_shape(r, type, shape);
    }
    if (type.n == 0 || is_json(type)) {
        *shape = media_json_shape(r);
        return true;
    }
    if (takes_lines(r) && is_ndjson(type)) {
        *shape = r->body == BODY_BULK ? SCAN_BULK : SCAN_NDJSON;
        return true;
    }
    return false;
}

const char *media_expected(const struct route *r)
{
    return r->body == BODY_CLOUDEVENTS
               ? "expected application/cloudevents+json, "
                 "application/cloudevents-batch+json, or ce- headers"
           : r->body == BODY_FORM
               ? "expected application/x-www-form-urlencoded or multipart/form-data"
           : r->body == BODY_ANY
               ? "expected application/json, application/x-www-form-urlencoded or "
                 "multipart/form-data"
           : r->n_types > 0 || r->form_body.n > 0 ? r->types_text
           : takes_lines(r) ? "expected application/json or application/x-ndjson"
                            : "expected application/json";
}
