#include "http/target.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "http/chars.h"

enum { PORT_MAX = 65535 };

static bool is_port(struct str digits)
{
    unsigned port = 0;

    for (size_t i = 0; i < digits.n; i++) {
        if (!char_is(digits.p[i], CHAR_DIGIT)) {
            return false;
        }
        port = port * 10 + (unsigned)(digits.p[i] - '0');
        if (port > PORT_MAX) {
            return false;
        }
    }
    return true;
}

/* A name of reg-name's characters, as most hosts are, or an IPv4 address. */
static bool is_name(struct str name)
{
    size_t i = 0;

    for (;;) {
        while (i < name.n && char_is(name.p[i], CHAR_HOST)) {
            i++;
        }
        if (i == name.n) {
            return i > 0;
        }
        if (name.p[i] != '%' || i + 2 >= name.n || !char_is(name.p[i + 1], CHAR_HEX) ||
            !char_is(name.p[i + 2], CHAR_HEX)) {
            return false;
        }
        i += 3;
    }
}

static bool is_ipv6(struct str text)
{
    char z[INET6_ADDRSTRLEN];
    struct in6_addr addr;

    if (text.n >= sizeof z) {
        return false;
    }
    memcpy(z, text.p, text.n);
    z[text.n] = '\0';
    return strlen(z) == text.n && inet_pton(AF_INET6, z, &addr) == 1;
}

bool target_host(struct str host)
{
    const char *end;

    if (host.n == 0) {
        return true;
    }
    if (host.p[0] == '[') {
        end = memchr(host.p, ']', host.n);
        if (end == NULL ||
            !is_ipv6((struct str){host.p + 1, (size_t)(end - host.p) - 1})) {
            return false;
        }
        end++;
    } else {
        end = memchr(host.p, ':', host.n);
        end = end == NULL ? host.p + host.n : end;
        if (!is_name((struct str){host.p, (size_t)(end - host.p)})) {
            return false;
        }
    }
    host.n -= (size_t)(end - host.p);
    return host.n == 0 || (end[0] == ':' && is_port((struct str){end + 1, host.n - 1}));
}

static void split(struct str target, struct str *path, struct str *query)
{
    const char *mark = target.n == 0 ? NULL : memchr(target.p, '?', target.n);

    *path = target;
    if (mark != NULL) {
        path->n = (size_t)(mark - target.p);
        *query = (struct str){mark + 1, target.n - path->n - 1};
    }
    if (path->n == 0) {
        *path = STR("/");
    }
}

/* "http://host:port/path": the form for proxies, which servers must accept, too. */
static bool split_absolute(struct str target, struct str *path, struct str *query)
{
    static const char *const schemes[] = {"http://", "https://"};
    size_t n = 0, host;

    for (size_t i = 0; i < 2 && n == 0; i++) {
        size_t k = strlen(schemes[i]);

        if (target.n > k && strncasecmp(target.p, schemes[i], k) == 0) {
            n = k;
        }
    }
    for (host = n; host < target.n && target.p[host] != '/' && target.p[host] != '?';
         host++) {
    }
    if (n == 0 || host == n || !target_host((struct str){target.p + n, host - n})) {
        return false;
    }
    split((struct str){target.p + host, target.n - host}, path, query);
    return true;
}

bool target_split(struct str method, struct str target, struct str *path,
                  struct str *query)
{
    *query = (struct str){NULL, 0};
    *path = target;
    if (target.n == 1 && target.p[0] == '*') {
        return str_eq(method, STR("OPTIONS"));
    }
    if (target.n == 0 || str_eq(method, STR("CONNECT"))) {
        return false;
    }
    if (target.p[0] != '/') {
        return split_absolute(target, path, query);
    }
    split(target, path, query);
    return true;
}
