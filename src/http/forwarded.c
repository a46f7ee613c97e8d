#include "http/forwarded.h"

#include <string.h>
#include <strings.h>

#include "base/attr.h"

enum { NODE_MAX = 64 };

static struct str trim(struct str s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) {
        s.n--;
    }
    return s;
}

/* ":" and a port, or nothing. A port may be hidden: "_x". */
static bool is_port(struct str s)
{
    if (s.n == 0) {
        return true;
    }
    if (s.p[0] != ':' || s.n < 2) {
        return false;
    }
    for (size_t i = 1; i < s.n; i++) {
        char c = s.p[i];

        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') &&
            !(c >= 'A' && c <= 'Z') && c != '.' && c != '_' && c != '-') {
            return false;
        }
    }
    return s.p[1] == '_' || (s.n <= 6 && s.p[1] >= '0' && s.p[1] <= '9');
}

bool forwarded_address(struct str node, struct address *out)
{
    const char *end, *colon;
    struct str host = node;

    if (node.n == 0 || node.n > NODE_MAX) {
        return false;
    }
    if (node.p[0] == '[') {
        end = memchr(node.p, ']', node.n);
        if (end == NULL) {
            return false;
        }
        host = (struct str){node.p + 1, (size_t)(end - node.p) - 1};
        return memchr(host.p, ':', host.n) != NULL &&
               is_port((struct str){end + 1, node.n - host.n - 2}) &&
               address_read(host, out);
    }
    colon = memchr(node.p, ':', node.n);
    if (colon != NULL && memchr(node.p, '.', (size_t)(colon - node.p)) != NULL) {
        host.n = (size_t)(colon - node.p);
        if (!is_port((struct str){colon, node.n - host.n})) {
            return false;
        }
    }
    return address_read(host, out);
}

/* ---- X-Forwarded-For ---- */

/* The last part of *rest behind a comma; false: there is none left. */
static bool last_part(struct str *rest, struct str *part)
{
    const char *comma;

    if (rest->p == NULL) {
        return false;
    }
    comma = memrchr(rest->p, ',', rest->n);
    if (comma == NULL) {
        *part = *rest;
        *rest = (struct str){NULL, 0};
    } else {
        *part = (struct str){comma + 1, rest->n - (size_t)(comma - rest->p) - 1};
        rest->n = (size_t)(comma - rest->p);
    }
    *part = trim(*part);
    return true;
}

/* ---- Forwarded ---- */

/* Whether the quote at s.p[i] has a backslash before it, which is no quoted one itself. */
static bool is_escaped(struct str s, size_t i)
{
    size_t n = 0;

    while (n < i && s.p[i - 1 - n] == '\\') {
        n++;
    }
    return n % 2 == 1;
}

/* As last_part, but a comma within quotes does not part. From the right too: a client may
 * have left a quote open, left of what the trusted proxy wrote. */
static bool last_element(struct str *rest, struct str *part)
{
    bool quoted = false;
    size_t i;

    if (rest->p == NULL) {
        return false;
    }
    for (i = rest->n; i > 0; i--) {
        char c = rest->p[i - 1];

        if (c == '"' && !(quoted && is_escaped(*rest, i - 1))) {
            quoted = !quoted;
        } else if (c == ',' && !quoted) {
            break;
        }
    }
    *part = trim((struct str){rest->p + i, rest->n - i});
    if (i == 0) {
        *rest = (struct str){NULL, 0};
    } else {
        rest->n = i - 1;
    }
    return true;
}

static bool is_token(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

/* A token or a quoted string at the start of *s, which then begins after it. text has
 * room for NODE_MAX and one more; longer ones do not fit, and are no address. */
static bool take_value(struct str *s, char text[NODE_MAX + 1], size_t *n)
{
    bool quoted = s->n > 0 && s->p[0] == '"';
    size_t i = quoted;

    *n = 0;
    for (;; i++) {
        if (i == s->n) {
            break;
        }
        if (quoted ? s->p[i] == '"' : !is_token(s->p[i])) {
            break;
        }
        i += quoted && s->p[i] == '\\';
        if (i == s->n) {
            return false;
        }
        if (*n <= NODE_MAX) {
            text[(*n)++] = s->p[i];
        }
    }
    if (quoted && i == s->n) {
        return false;
    }
    i += quoted;
    s->p += i;
    s->n -= i;
    return i > 0;
}

/* One ";name=value". False: it is not well formed. */
static bool take_pair(struct str *s, struct str *name, char text[NODE_MAX + 1],
                      size_t *n)
{
    size_t i = 0;

    *s = trim(*s);
    while (i < s->n && is_token(s->p[i])) {
        i++;
    }
    *name = (struct str){s->p, i};
    if (i == 0 || i == s->n || s->p[i] != '=') {
        return false;
    }
    s->p += i + 1;
    s->n -= i + 1;
    return take_value(s, text, n);
}

/* The "for" of an element, which has it once. */
static bool element_address(struct str s, struct address *out)
{
    char text[NODE_MAX + 1], value[NODE_MAX + 1];
    size_t n = 0, value_n = 0;
    struct str name;
    bool has = false;

    for (;;) {
        if (!take_pair(&s, &name, text, &n)) {
            return false;
        }
        if (name.n == 3 && strncasecmp(name.p, "for", 3) == 0) {
            if (has) {
                return false;
            }
            has = true;
            memcpy(value, text, n);
            value_n = n;
        }
        s = trim(s);
        if (s.n == 0) {
            break;
        }
        if (s.p[0] != ';') {
            return false;
        }
        s.p++;
        s.n--;
    }
    return has && forwarded_address((struct str){value, value_n}, out);
}

/* ---- both ---- */

bool forwarded_client(bool list, struct str value, const struct subnet *trusted,
                      uint32_t n_trusted, struct address *out)
{
    struct str rest = value, part;
    struct address a;
    bool found = false;

    while (list ? last_element(&rest, &part) : last_part(&rest, &part)) {
        if (!(list ? element_address(part, &a) : forwarded_address(part, &a))) {
            break;
        }
        *out = a;
        found = true;
        if (!address_in_any(&a, trusted, n_trusted)) {
            break;
        }
    }
    return found;
}
