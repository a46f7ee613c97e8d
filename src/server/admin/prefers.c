#include "server/admin/prefers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/http.h"

static struct str trimmed(struct str s)
{
    while (s.n > 0 && (*s.p == ' ' || *s.p == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) {
        s.n--;
    }
    return s;
}

/* The part of *s before the next c; *s is the rest. */
static struct str next(struct str *s, char c)
{
    const char *end = memchr(s->p, c, s->n);
    struct str part = {s->p, end == NULL ? s->n : (size_t)(end - s->p)};

    s->p += part.n + (end != NULL);
    s->n -= part.n + (end != NULL);
    return trimmed(part);
}

static bool equals(struct str a, struct str b)
{
    return a.n == b.n && strncasecmp(a.p, b.p, b.n) == 0;
}

static bool begins(struct str s, const char *z)
{
    return s.n >= strlen(z) && strncasecmp(s.p, z, strlen(z)) == 0;
}

static struct str unquoted(struct str s)
{
    bool quoted = s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"';

    return quoted ? (struct str){s.p + 1, s.n - 2} : s;
}

/* Whether a parameter is a weight; *q is it then, 0 to 1; 0: no number. Digits beyond those
 * that a weight may have decide nothing. */
static bool is_weight(struct str p, double *q)
{
    char number[24] = "";

    if (!begins(p, "q=")) {
        return false;
    }
    memcpy(number, p.p + 2, p.n - 2 < sizeof number ? p.n - 2 : sizeof number - 1);
    *q = atof(number);
    *q = *q > 0 ? fmin(*q, 1) : 0; /* also "nan" */
    return true;
}

/* A parameter that a range must have. */
struct need {
    const char *name, *value; /* "version=" */
    bool given;               /* false: it may be missing */
};

static struct str type_of(struct str range)
{
    return next(&range, ';');
}

/* The weight of one range, 0 to 1, if it is the type; otherwise, or with another value of a
 * parameter, 0. */
static double weight(struct str range, struct str type, const struct need *needs,
                     size_t n)
{
    unsigned has = 0;
    double q = 1;

    if (!equals(next(&range, ';'), type)) {
        return 0;
    }
    while (range.n > 0) {
        struct str p = next(&range, ';');

        for (size_t i = 0; i < n; i++) {
            size_t k = strlen(needs[i].name);

            if (!begins(p, needs[i].name)) {
                continue;
            }
            if (!equals(unquoted((struct str){p.p + k, p.n - k}),
                        str_of(needs[i].value))) {
                return 0;
            }
            has |= 1u << i;
        }
        (void)is_weight(p, &q);
    }
    for (size_t i = 0; i < n; i++) {
        q = needs[i].given && (has >> i & 1) == 0 ? 0 : q;
    }
    return q;
}

/* The highest weights of the three forms. Plain text is also what a client gets that takes
 * any. */
struct forms {
    double protobuf, open, plain;
};

static struct forms forms_of(const struct http_view *v)
{
    static const struct need messages[] = {
        {"proto=", "io.prometheus.client.MetricFamily", true},
        {"encoding=", "delimited", true}};
    static const struct need version = {"version=", "1.0.0", false};
    struct forms f = {0, 0, 0};
    double any = 0;
    bool named = false;

    for (uint32_t i = 0; i < v->n_headers; i++) {
        struct str rest = v->headers[i].value;

        if (!equals(v->headers[i].name, STR("accept"))) {
            continue;
        }
        while (rest.n > 0) {
            struct str range = next(&rest, ',');

            f.protobuf =
                fmax(f.protobuf, weight(range, STR("application/vnd.google.protobuf"),
                                        messages, 2));
            f.open = fmax(f.open, weight(range, STR("application/openmetrics-text"),
                                         &version, 1));
            named |= equals(type_of(range), STR("text/plain"));
            f.plain = fmax(f.plain, weight(range, STR("text/plain"), NULL, 0));
            any = fmax(any, weight(range, STR("text/*"), NULL, 0));
            any = fmax(any, weight(range, STR("*/*"), NULL, 0));
        }
    }
    f.plain = named ? f.plain : any;
    return f;
}

bool prefers_protobuf(const struct http_view *v)
{
    struct forms f = forms_of(v);

    return f.protobuf > 0 && f.protobuf >= f.open && f.protobuf >= f.plain;
}

bool prefers_openmetrics(const struct http_view *v)
{
    struct forms f = forms_of(v);

    return f.open > 0 && f.open >= f.plain;
}

/* Weights of Accept-Encoding; -1: not named. */
struct codings {
    double gzip, identity, any;
};

static void take_coding(struct codings *c, struct str item)
{
    struct str name = next(&item, ';');
    double q = 1;

    while (item.n > 0) {
        (void)is_weight(next(&item, ';'), &q);
    }
    if (equals(name, STR("gzip")) || equals(name, STR("x-gzip"))) {
        c->gzip = q;
    } else if (equals(name, STR("identity"))) {
        c->identity = q;
    } else if (equals(name, STR("*"))) {
        c->any = q;
    }
}

/* RFC 9110, 12.5.3: identity is taken unless it, or "*", has the weight 0. */
enum prefers_coding prefers_coding(const struct http_view *v)
{
    struct codings c = {-1, -1, -1};

    for (uint32_t i = 0; i < v->n_headers; i++) {
        struct str rest = v->headers[i].value;

        if (!equals(v->headers[i].name, STR("accept-encoding"))) {
            continue;
        }
        while (rest.n > 0) {
            take_coding(&c, next(&rest, ','));
        }
    }
    c.gzip = c.gzip < 0 ? c.any : c.gzip;
    if (c.gzip > 0 && c.gzip >= c.identity) {
        return PREFERS_GZIP;
    }
    if (c.identity < 0) {
        return c.any == 0 ? PREFERS_NONE : PREFERS_IDENTITY;
    }
    return c.identity > 0 ? PREFERS_IDENTITY : PREFERS_NONE;
}
