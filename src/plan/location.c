#include "plan/location.h"

#include <string.h>
#include <strings.h>

enum { PORT_DIGITS = 5, PORT_MAX = 65535 };

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

static bool same(struct str a, struct str b)
{
    return a.n == b.n && strncasecmp(a.p, b.p, a.n) == 0;
}

/* Names with dots between them: no empty one, so no dot at the end. */
static bool is_host(struct str host)
{
    char before = '.';

    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];

        if (!is_alnum(c) && c != '-' && c != '_' && (c != '.' || before == '.')) {
            return false;
        }
        before = c;
    }
    return before != '.';
}

/* "" or digits up to 65535; port.n 0: none. */
static bool is_port(struct str port)
{
    unsigned v = 0;

    for (size_t i = 0; i < port.n; i++) {
        if ((unsigned)(port.p[i] - '0') > 9 || i == PORT_DIGITS) {
            return false;
        }
        v = v * 10 + (unsigned)(port.p[i] - '0');
    }
    return v > 0 && v <= PORT_MAX;
}

static bool matches(struct str entry, struct str host, struct str port)
{
    const char *colon = memchr(entry.p, ':', entry.n);
    struct str want = {colon, 0};

    if (colon != NULL) {
        want = (struct str){colon + 1, entry.n - (size_t)(colon + 1 - entry.p)};
        entry.n = (size_t)(colon - entry.p);
    }
    if (!str_eq(want, port)) {
        return false;
    }
    if (entry.n > 2 && entry.p[0] == '*') {
        struct str below = {entry.p + 1, entry.n - 1};

        return host.n > below.n &&
               same((struct str){host.p + host.n - below.n, below.n}, below);
    }
    return same(entry, host);
}

static bool is_allowed(struct location_hosts hosts, struct str host, struct str port)
{
    for (uint32_t i = 0; i < hosts.n; i++) {
        if (matches(hosts.list[i], host, port)) {
            return true;
        }
    }
    return hosts.n == 0;
}

/* The text up to the path; *rest begins with it. NULL: all is well. */
static const char *check_host(struct location_hosts hosts, struct str url,
                              struct str *rest)
{
    bool secure = url.n > 8 && strncasecmp(url.p, "https://", 8) == 0;
    size_t from = secure ? 8 : 7, n = 0;
    struct str host, port = {NULL, 0};
    const char *colon;

    if (!secure && (url.n <= 7 || strncasecmp(url.p, "http://", 7) != 0)) {
        return "it is not an absolute http or https url";
    }
    while (from + n < url.n && strchr("/?#", url.p[from + n]) == NULL) {
        n++; /* a NUL is one of them, and refused below */
    }
    *rest = (struct str){url.p + from + n, url.n - from - n};
    host = (struct str){url.p + from, n};
    colon = n == 0 ? NULL : memchr(host.p, ':', n);
    if (colon != NULL) {
        host.n = (size_t)(colon - host.p);
        port = (struct str){colon + 1, n - host.n - 1};
        if (!is_port(port)) {
            return "its port is not a number from 1 to 65535";
        }
        if (str_eq(port, secure ? STR("443") : STR("80"))) {
            port = (struct str){NULL, 0};
        }
    }
    if (!is_host(host)) {
        return "its host is not a plain name";
    }
    return is_allowed(hosts, host, port) ? NULL : "its host is not one of hosts";
}

static bool is_escaped(unsigned char c)
{
    return c <= ' ' || c >= 0x7F || strchr("\"<>\\^`{|}", c) != NULL;
}

static char *put_percent(char *out, unsigned char c)
{
    static const char hex[] = "0123456789ABCDEF";

    out[0] = '%';
    out[1] = hex[c >> 4];
    out[2] = hex[c & 15];
    return out + 3;
}

/* The path and what follows it. NULL: it is too long, or has a control byte. */
static char *write_rest(struct str rest, char *out, const char *end)
{
    for (size_t i = 0; i < rest.n; i++) {
        unsigned char c = (unsigned char)rest.p[i];

        if (c < ' ' || c == 0x7F || end - out < (is_escaped(c) ? 3 : 1)) {
            return NULL;
        }
        if (is_escaped(c)) {
            out = put_percent(out, c);
        } else {
            *out++ = (char)c;
        }
    }
    return out;
}

bool location_write(struct location_hosts hosts, struct str url,
                    char out[LOCATION_MAX + 1], const char **why)
{
    struct str rest;
    size_t n;
    char *end;

    if (url.n > LOCATION_MAX) {
        *why = "it is longer than 2048 bytes";
        return false;
    }
    *why = check_host(hosts, url, &rest);
    if (*why != NULL) {
        return false;
    }
    n = url.n - rest.n;
    for (size_t i = 0; i < n; i++) {
        out[i] = lower(url.p[i]);
    }
    end = write_rest(rest, out + n, out + LOCATION_MAX);
    if (end == NULL) {
        *why = "it has a control character, or is longer than 2048 bytes";
        return false;
    }
    *end = '\0';
    return true;
}

size_t location_escape(struct str text, char *out)
{
    char *at = out;

    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];

        if (is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~') {
            *at++ = c;
        } else {
            at = put_percent(at, (unsigned char)c);
        }
    }
    return (size_t)(at - out);
}
