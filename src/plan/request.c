#include "plan/request.h"

#include <string.h>
#include <strings.h>

#include "signature/jwt.h"
#include "tables/csv_table.h"

/* The text up to the next `end`, taken off s together with it. */
static struct str take(struct str *s, char end)
{
    const char *stop = s->n == 0 ? NULL : memchr(s->p, end, s->n);
    struct str head = {s->p, stop == NULL ? s->n : (size_t)(stop - s->p)};
    size_t gone = stop == NULL ? s->n : head.n + 1;

    s->p += gone;
    s->n -= gone;
    return head;
}

bool request_matches(const char *pattern, struct str path)
{
    struct str want = str_of(pattern);

    while (want.n > 0 && path.n > 0) {
        struct str w, p;
        bool more = memchr(want.p, '/', want.n) != NULL;

        if (more != (memchr(path.p, '/', path.n) != NULL)) {
            return false;
        }
        w = take(&want, '/');
        p = take(&path, '/');
        if (w.n > 0 && w.p[0] == ':' ? p.n == 0 : !str_eq(w, p)) {
            return false;
        }
    }
    return want.n == 0 && path.n == 0;
}

static struct str param(const char *pattern, struct str path, struct str name)
{
    struct str want = str_of(pattern);

    while (want.n > 0) {
        struct str w = take(&want, '/'), p = take(&path, '/');

        if (w.n == name.n + 1 && w.p[0] == ':' &&
            memcmp(w.p + 1, name.p, name.n) == 0) {
            return p;
        }
    }
    return (struct str){NULL, 0};
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

size_t request_unescape(struct str raw, bool plus, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];

        if (c == '%' && i + 2 < raw.n && hex(raw.p[i + 1]) >= 0 &&
            hex(raw.p[i + 2]) >= 0) {
            c = (char)(hex(raw.p[i + 1]) << 4 | hex(raw.p[i + 2]));
            i += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        out[n++] = c;
    }
    return n;
}

/* Whether a name of the query, which may be encoded, is name. */
static bool is_arg(struct str raw, struct str name)
{
    char plain[256];

    if (raw.n <= sizeof plain) {
        raw = (struct str){plain, request_unescape(raw, true, plain)};
    }
    return str_eq(raw, name);
}

static struct str arg(struct str query, struct str name)
{
    while (query.n > 0) {
        struct str pair = take(&query, '&');
        struct str key = take(&pair, '=');

        if (is_arg(key, name)) {
            /* "?a" is an empty a. */
            return pair.n == 0 ? (struct str){"", 0} : pair;
        }
    }
    return (struct str){NULL, 0};
}

static struct str header(const struct policy_request *q, struct str name)
{
    for (uint32_t i = 0; i < q->n_headers; i++) {
        const struct str_pair *h = &q->headers[i];

        if (h->name.n == name.n && strncasecmp(h->name.p, name.p, name.n) == 0) {
            return h->value.p == NULL ? (struct str){"", 0} : h->value;
        }
    }
    return (struct str){NULL, 0};
}

static struct str basic(const struct policy_request *q)
{
    struct str v = header(q, STR("authorization"));

    if (v.n < 6 || strncasecmp(v.p, "Basic ", 6) != 0) {
        return (struct str){NULL, 0};
    }
    v = (struct str){v.p + 6, v.n - 6};
    while (v.n > 0 && *v.p == ' ') {
        v = (struct str){v.p + 1, v.n - 1};
    }
    return v;
}

/* {NULL, 0}: the file was cut meanwhile, or has no such column. */
static struct str key_cell(const struct policy_request *q, struct str column)
{
    uint32_t n = q->key_rows == NULL ? 0 : csv_table_n_columns(q->key_rows);

    for (uint32_t i = 0; i < n; i++) {
        if (str_eq(csv_table_column(q->key_rows, i), column)) {
            return csv_table_cell(q->key_rows, q->key_row, (int32_t)i);
        }
    }
    return (struct str){NULL, 0};
}

static struct str tls(const struct policy_request *q, struct str name)
{
    const struct tls_peer *t = q->tls;
    const char *text = t == NULL                          ? NULL
                       : str_eq(name, STR("version"))     ? t->version
                       : str_eq(name, STR("cipher"))      ? t->cipher
                       : str_eq(name, STR("host"))        ? t->host
                       : str_eq(name, STR("subject"))     ? t->subject
                       : str_eq(name, STR("fingerprint")) ? t->fingerprint
                       : str_eq(name, STR("ca"))          ? t->authority
                                                          : NULL;

    return text == NULL || text[0] == '\0' ? (struct str){NULL, 0} : str_of(text);
}

static struct str claim(const struct policy_request *q, struct str name)
{
    struct str text = {NULL, 0};

    switch (q->jwt == NULL ? JWT_NOTHING : jwt_claim(q->jwt, q->token, name, &text)) {
    case JWT_TRUE:
        return STR("true");
    case JWT_FALSE:
        return STR("false");
    case JWT_NOTHING:
        return (struct str){NULL, 0};
    case JWT_TEXT:
    case JWT_NUMBER:
        break;
    }
    return text;
}

struct str request_raw(const struct policy_request *q, const char *pattern,
                       enum request_part part, struct str name)
{
    switch (part) {
    case REQUEST_PARAM:
        return param(pattern, q->path, name);
    case REQUEST_ARG:
        return arg(q->query, name);
    case REQUEST_HEADER:
        return header(q, name);
    case REQUEST_BASIC_USER:
    case REQUEST_BASIC_PASSWORD:
        return basic(q);
    case REQUEST_KEY:
        return key_cell(q, name);
    case REQUEST_TLS:
        return tls(q, name);
    case REQUEST_CLAIM:
        return claim(q, name);
    case REQUEST_PEER:
        break;
    }
    return q->peer;
}

static int base64(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

static bool unbase64(struct str raw, char *out, size_t *n)
{
    unsigned bits = 0, held = 0;

    while (raw.n > 0 && raw.p[raw.n - 1] == '=') {
        raw.n--;
    }
    *n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        int v = base64(raw.p[i]);

        if (v < 0) {
            return false;
        }
        bits = bits << 6 | (unsigned)v;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[(*n)++] = (char)(bits >> held & 0xFF);
        }
    }
    return raw.n % 4 != 1;
}

bool request_decode(enum request_part part, struct str raw, char *out, size_t *n)
{
    const char *colon;

    switch (part) {
    case REQUEST_PARAM:
    case REQUEST_ARG:
        *n = request_unescape(raw, part == REQUEST_ARG, out);
        return true;
    case REQUEST_HEADER:
    case REQUEST_TLS:
    case REQUEST_PEER:
    case REQUEST_KEY:
    case REQUEST_CLAIM:
        memcpy(out, raw.p, raw.n);
        *n = raw.n;
        return true;
    case REQUEST_BASIC_USER:
    case REQUEST_BASIC_PASSWORD:
        break;
    }
    if (!unbase64(raw, out, n)) {
        return false;
    }
    colon = *n == 0 ? NULL : memchr(out, ':', *n);
    if (colon == NULL) { /* RFC 7617: a user has no colon, a pair has one */
        return false;
    }
    if (part == REQUEST_BASIC_USER) {
        *n = (size_t)(colon - out);
    } else {
        *n -= (size_t)(colon - out) + 1;
        memmove(out, colon + 1, *n);
    }
    return true;
}
