#include "plan/auth.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "plan/key_table.h"

const char *auth_reason_word(enum auth_reason r)
{
    static const char *const words[AUTH_REASONS] = {[AUTH_OK] = "ok",
                                                    [AUTH_MISSING] = "missing",
                                                    [AUTH_MALFORMED] = "malformed",
                                                    [AUTH_UNKNOWN] = "unknown",
                                                    [AUTH_EXPIRED] = "expired",
                                                    [AUTH_DISABLED] = "disabled",
                                                    [AUTH_SIGNATURE] = "signature",
                                                    [AUTH_CLAIMS] = "claims",
                                                    [AUTH_UNREADABLE] = "unreadable"};

    return words[r];
}

/* ---- headers ---- */

static struct str trimmed(struct str s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s = (struct str){s.p + 1, s.n - 1};
    }
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) {
        s.n--;
    }
    return s;
}

/* Whether a text has no space, comma or control character: two headers of one name
 * arrive as one list, which must not be taken for a key. */
static bool is_one_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] <= ' ' || s.p[i] == ',' || s.p[i] == 0x7F) {
            return false;
        }
    }
    return s.n > 0;
}

/* What stands after the scheme of Authorization. AUTH_MISSING: it has another one. */
static enum auth_reason after_scheme(const struct policy_request *q, struct str scheme,
                                     struct str *rest)
{
    struct str v = trimmed(request_raw(q, "", REQUEST_HEADER, STR("authorization")));

    if (v.n < scheme.n || strncasecmp(v.p, scheme.p, scheme.n) != 0) {
        return AUTH_MISSING;
    }
    if (v.n > scheme.n && v.p[scheme.n] != ' ') {
        return v.p[scheme.n] == '\t' ? AUTH_MALFORMED : AUTH_MISSING;
    }
    *rest = trimmed((struct str){v.p + scheme.n, v.n - scheme.n});
    return is_one_token(*rest) ? AUTH_OK : AUTH_MALFORMED;
}

/* Padding is right, or left out. */
static bool is_padded(struct str s)
{
    size_t n = s.n;

    while (n > 0 && s.p[n - 1] == '=') {
        n--;
    }
    return s.n == n || (s.n % 4 == 0 && s.n - n <= 2);
}

static enum auth_reason basic(const struct policy_request *q, char *room,
                              size_t room_bytes, struct str *key)
{
    struct str raw;
    enum auth_reason r = after_scheme(q, STR("Basic"), &raw);
    size_t n;

    if (r != AUTH_OK) {
        return r;
    }
    if (raw.n > room_bytes || !is_padded(raw) ||
        !request_decode(REQUEST_BASIC_PASSWORD, raw, room, &n)) {
        return AUTH_MALFORMED;
    }
    if (n == 0 && !request_decode(REQUEST_BASIC_USER, raw, room, &n)) {
        return AUTH_MALFORMED;
    }
    *key = (struct str){room, n};
    return n == 0 ? AUTH_MISSING : AUTH_OK;
}

static enum auth_reason own_header(const struct policy_request *q, struct str name,
                                   struct str *key)
{
    *key = trimmed(request_raw(q, "", REQUEST_HEADER, name));
    if (key->n == 0) {
        return AUTH_MISSING;
    }
    return is_one_token(*key) ? AUTH_OK : AUTH_MALFORMED;
}

/* ---- the query ---- */

/* The next parameter: its name and value as sent. False: there is none. */
static bool next_parameter(struct str *query, struct str *name, struct str *value)
{
    const char *and, *equals;

    if (query->n == 0) {
        return false;
    }
    and = memchr(query->p, '&', query->n);
    *value = (struct str){query->p, and == NULL ? query->n : (size_t)(and-query->p)};
    query->n -= value->n + (and != NULL);
    query->p += value->n + (and != NULL);
    equals = value->n == 0 ? NULL : memchr(value->p, '=', value->n);
    *name =
        (struct str){value->p, equals == NULL ? value->n : (size_t)(equals - value->p)};
    value->p += name->n + (equals != NULL);
    value->n -= name->n + (equals != NULL);
    return true;
}

static bool is_named(struct str raw, struct str name)
{
    char plain[256];

    if (raw.n <= sizeof plain) {
        raw = (struct str){plain, request_unescape(raw, true, plain)};
    }
    return str_eq(raw, name);
}

/* A parameter that comes twice is refused: a proxy may have looked at the other one. */
static enum auth_reason parameter(const struct policy_request *q, struct str wanted,
                                  char *room, size_t room_bytes, struct str *key)
{
    struct str rest = q->query, name, value, found = {NULL, 0};
    uint32_t n = 0;

    while (next_parameter(&rest, &name, &value)) {
        if (is_named(name, wanted)) {
            found = value;
            n++;
        }
    }
    if (n > 1 || found.n > room_bytes) {
        return AUTH_MALFORMED;
    }
    if (n == 0 || found.n == 0) {
        return AUTH_MISSING;
    }
    *key = (struct str){room, request_unescape(found, true, room)};
    return AUTH_OK;
}

enum auth_reason auth_credential(const struct auth_method *m,
                                 const struct policy_request *q, char *room,
                                 size_t room_bytes, struct str *key)
{
    switch (m->kind) {
    case AUTH_BEARER:
    case AUTH_JWT:
        return after_scheme(q, STR("Bearer"), key);
    case AUTH_BASIC:
        return basic(q, room, room_bytes, key);
    case AUTH_HEADER:
        return own_header(q, m->name, key);
    case AUTH_QUERY:
        return parameter(q, m->name, room, room_bytes, key);
    case AUTH_HMAC:
        *key = request_raw(q, "", REQUEST_HEADER, m->name);
        return key->p == NULL ? AUTH_MISSING : AUTH_OK;
    case AUTH_CERT:
        break; /* it is no text of the request */
    }
    return AUTH_MALFORMED;
}

/* ---- what the client is told ---- */

/* The schemes that browsers and clients know, each once. */
void auth_challenges(const struct auth_method *methods, uint32_t n, char *missing,
                     char *wrong)
{
    bool bearer = false, basic_too = false, cert = false;
    const struct auth_method *hmac = NULL;
    char signature[AUTH_CHALLENGE_BYTES / 2] = "";

    for (uint32_t i = 0; i < n; i++) {
        bearer |= methods[i].kind == AUTH_BEARER || methods[i].kind == AUTH_JWT;
        basic_too |= methods[i].kind == AUTH_BASIC;
        cert |= methods[i].kind == AUTH_CERT;
        hmac = hmac == NULL && methods[i].kind == AUTH_HMAC ? &methods[i] : hmac;
    }
    if (hmac != NULL) {
        (void)snprintf(signature, sizeof signature,
                       "WWW-Authenticate: HMAC-SHA256 header=\"%.*s\"\r\n",
                       (int)hmac->name.n, hmac->name.p);
    }
    for (int k = 0; k < 2; k++) {
        (void)snprintf(
            k == 0 ? missing : wrong, AUTH_CHALLENGE_BYTES, "%s%s%s%s%s%s",
            bearer ? "WWW-Authenticate: Bearer realm=\"sluice\"" : "",
            bearer && k == 1 ? ", error=\"invalid_token\"\r\n"
            : bearer         ? "\r\n"
                             : "",
            basic_too
                ? "WWW-Authenticate: Basic realm=\"sluice\", charset=\"UTF-8\"\r\n"
                : "",
            signature,
            cert ? "WWW-Authenticate: ClientCertificate realm=\"sluice\"\r\n" : "",
            bearer || basic_too || cert || hmac != NULL
                ? ""
                : "WWW-Authenticate: ApiKey realm=\"sluice\"\r\n");
    }
}

/* ---- what is kept of the request ---- */

static bool is_key(const struct auth_plan *a, struct str name)
{
    for (uint32_t i = 0; i < a->n; i++) {
        if (a->methods[i].kind == AUTH_QUERY && is_named(name, a->methods[i].name)) {
            return true;
        }
    }
    return false;
}

bool auth_in_query(const struct auth_plan *a)
{
    for (uint32_t i = 0; a != NULL && i < a->n; i++) {
        if (a->methods[i].kind == AUTH_QUERY) {
            return true;
        }
    }
    return false;
}

struct str auth_without_keys(const struct auth_plan *a, struct str query, char *out)
{
    struct str name, value;
    size_t n = 0;

    while (query.n > 0) {
        const char *from = query.p;

        (void)next_parameter(&query, &name, &value);
        if (value.p + value.n == from || is_key(a, name)) {
            continue; /* "&&" has no parameter */
        }
        if (n > 0) {
            out[n++] = '&';
        }
        memcpy(out + n, from, (size_t)(value.p + value.n - from));
        n += (size_t)(value.p + value.n - from);
    }
    return (struct str){n == 0 ? "" : out, n};
}
