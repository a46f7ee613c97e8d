#include "sink/http/clickhouse/names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* One part of table at *at, without its backticks, to out. */
static bool take_part(const char **at, char *out)
{
    const char *p = *at;
    bool quoted = *p == '`';
    size_t n = 0;

    p += quoted;
    while (*p != '\0' && *p != (quoted ? '`' : '.')) {
        if (quoted && *p == '\\' && p[1] != '\0') {
            p++;
        } else if (!quoted && strchr("()'\"`", *p) != NULL) {
            return false;
        }
        if (n + 1 == NAME_BYTES) {
            return false;
        }
        out[n++] = *p++;
    }
    if (quoted && *p++ != '`') {
        return false;
    }
    out[n] = '\0';
    *at = p;
    return n > 0;
}

bool names_split(const char *table, char *base, char *name)
{
    base[0] = '\0';
    if (!take_part(&table, name)) {
        return false;
    }
    if (*table == '.') {
        table++;
        memcpy(base, name, NAME_BYTES);
        if (!take_part(&table, name)) {
            return false;
        }
    }
    return *table == '\0';
}

static bool plain(struct str name)
{
    bool first = true; /* of an identifier */

    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];

        if (c == '.' && !first) {
            first = true;
            continue;
        }
        if (!(isalpha(c) || c == '_' || (!first && isdigit(c))) || c >= 0x80) {
            return false;
        }
        first = false;
    }
    return !first;
}

size_t names_bound(size_t n)
{
    return 2 * n + 3;
}

static size_t quote(struct str name, char mark, char *out)
{
    size_t n = 0;

    out[n++] = mark;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == mark || name.p[i] == '\\') {
            out[n++] = '\\';
        }
        out[n++] = name.p[i];
    }
    out[n++] = mark;
    out[n] = '\0';
    return n;
}

size_t names_quote(struct str name, char *out)
{
    if (plain(name)) {
        memcpy(out, name.p, name.n);
        out[name.n] = '\0';
        return name.n;
    }
    return quote(name, '`', out);
}

size_t names_literal(struct str text, char *out)
{
    return quote(text, '\'', out);
}

void names_quote_table(const char *table, char *out)
{
    char base[NAME_BYTES], name[NAME_BYTES];
    size_t n = 0;

    if (!names_split(table, base, name)) {
        memcpy(out, table, strlen(table) + 1);
        return;
    }
    if (base[0] != '\0') {
        n = strchr(base, '.') != NULL ? quote(str_of(base), '`', out)
                                      : names_quote(str_of(base), out);
        out[n++] = '.';
    }
    if (strchr(name, '.') != NULL) {
        (void)quote(str_of(name), '`', out + n);
    } else {
        (void)names_quote(str_of(name), out + n);
    }
}
