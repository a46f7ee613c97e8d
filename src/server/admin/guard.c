#include "server/admin/guard.h"

#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "plan/plan.h"

static bool is(struct str a, struct str b)
{
    return a.n == b.n && strncasecmp(a.p, b.p, a.n) == 0;
}

static struct str header(const struct http_view *v, struct str name)
{
    for (uint32_t i = 0; i < v->n_headers; i++) {
        if (is(v->headers[i].name, name)) {
            return v->headers[i].value;
        }
    }
    return (struct str){NULL, 0};
}

static bool is_get(const struct http_view *v)
{
    return str_eq(v->method, STR("GET")) || str_eq(v->method, STR("HEAD"));
}

static bool is_probe(const struct http_view *v)
{
    return is_get(v) &&
           (str_eq(v->path, STR("/healthz")) || str_eq(v->path, STR("/readyz")));
}

/* What clients sent is for those alone who may change things. */
static bool shows_events(const struct http_view *v)
{
    return str_eq(v->path, STR("/tap"));
}

/* In a time that does not tell how much of it is right. */
static bool is_token(struct str token, struct str given)
{
    unsigned differs = 0;

    if (token.n == 0 || given.n != token.n) {
        return false;
    }
    for (size_t i = 0; i < token.n; i++) {
        differs |= (unsigned char)given.p[i] ^ (unsigned char)token.p[i];
    }
    return differs == 0;
}

/* A proxy with a password of its own needs Authorization for that: the token may have a
 * header of its own. */
static bool has_token(const struct admin_plan *a, const struct http_view *v)
{
    static const char scheme[] = "bearer ";
    struct str given = header(v, STR("authorization"));
    size_t n = sizeof scheme - 1;
    bool bearer = given.n >= n && strncasecmp(given.p, scheme, n) == 0 &&
                  is_token(a->token, (struct str){given.p + n, given.n - n});

    return is_token(a->token, header(v, STR("sluice-token"))) || bearer;
}

/* A Host without its port. */
static struct str name_of(struct str host)
{
    const char *end;

    if (host.n > 0 && host.p[0] == '[') {
        end = memchr(host.p, ']', host.n);
        return end == NULL ? host
                           : (struct str){host.p + 1, (size_t)(end - host.p) - 1};
    }
    end = memchr(host.p, ':', host.n);
    return end == NULL ? host : (struct str){host.p, (size_t)(end - host.p)};
}

static bool ends_with(struct str s, struct str end)
{
    return s.n >= end.n && is((struct str){s.p + s.n - end.n, end.n}, end);
}

/* Names that no stranger can make lead to this machine: addresses, those without a dot,
 * and the policy's. */
static bool is_own_host(const struct admin_plan *a, struct str host)
{
    struct str name = name_of(host);
    struct address address;

    if (host.p == NULL || memchr(name.p, '.', name.n) == NULL ||
        address_read(name, &address) || ends_with(name, STR(".localhost"))) {
        return true;
    }
    for (uint32_t i = 0; i < a->n_hosts; i++) {
        if (is(name, str_of(a->hosts[i]))) {
            return true;
        }
    }
    return false;
}

/* Of the page that was loaded from this very listener. Behind a proxy that sends a Host
 * of its own only the browser knows: no page can set this header. */
static bool is_own_origin(const struct http_view *v, struct str origin, struct str host)
{
    const char *at = memmem(origin.p, origin.n, "://", 3);

    if (is(header(v, STR("sec-fetch-site")), STR("same-origin"))) {
        return true;
    }
    return at != NULL && host.n > 0 &&
           is((struct str){at + 3, origin.n - (size_t)(at - origin.p) - 3}, host);
}

static bool refuse(struct http_request *r, int status, const char *lines,
                   struct str body)
{
    http_answer(r, status, lines, body);
    return false;
}

static bool may_change(const struct admin_plan *a, struct http_request *r,
                       const struct http_view *v, bool token)
{
    if (header(v, STR("origin")).p != NULL) {
        return refuse(r, 403, "",
                      STR("{\"error\":\"Forbidden\",\"code\":\"origin\","
                          "\"detail\":\"requests of web pages (they have an "
                          "Origin header) may neither change anything here nor see "
                          "events\"}"));
    }
    if (token || http_is_local(r, v)) {
        return true;
    }
    if (a->token.n == 0) {
        return refuse(r, 403, "",
                      STR("{\"error\":\"Forbidden\",\"code\":\"not_local\","
                          "\"detail\":\"from another machine this needs a token: set "
                          "admin.token in the policy\"}"));
    }
    return refuse(r, 401, "WWW-Authenticate: Bearer\r\n",
                  STR("{\"error\":\"Unauthorized\",\"code\":\"token\","
                      "\"detail\":\"from another machine this needs the token: "
                      "Authorization: Bearer TOKEN\"}"));
}

bool guard_passes(const struct admin_plan *a, struct http_request *r,
                  const struct http_view *v)
{
    struct str host = header(v, STR("host")), origin = header(v, STR("origin"));
    bool token = has_token(a, v);

    if (is_probe(v)) {
        return true;
    }
    if (!token && !is_own_host(a, host)) {
        return refuse(r, 403, "",
                      STR("{\"error\":\"Forbidden\",\"code\":\"host\","
                          "\"detail\":\"expected an address or a name of admin.hosts "
                          "in the Host header\"}"));
    }
    if (!is_get(v) || shows_events(v)) {
        return may_change(a, r, v, token);
    }
    if (origin.p != NULL && !token && !is_own_origin(v, origin, host)) {
        return refuse(r, 403, "",
                      STR("{\"error\":\"Forbidden\",\"code\":\"origin\","
                          "\"detail\":\"web pages of other servers may not read "
                          "this\"}"));
    }
    return true;
}

bool guard_trusts(const struct admin_plan *a, const struct http_request *r,
                  const struct http_view *v)
{
    struct str site = header(v, STR("sec-fetch-site"));

    return (site.p == NULL || is(site, STR("same-origin")) || is(site, STR("none"))) &&
           (has_token(a, v) || http_is_local(r, v));
}
