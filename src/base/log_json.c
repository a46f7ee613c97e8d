#include "base/log_json.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"
#include "base/utf8.h"

struct text {
    const char *p, *end; /* of the line */
    char *out;
};

static void put(struct text *t, char c)
{
    *t->out++ = c;
}

/* One byte or character of a text, escaped where JSON wants that. */
static void put_char(struct text *t)
{
    unsigned n = (unsigned char)*t->p < 0x80 ? 1 : utf8_char(t->p, t->end);

    n = n == 0 ? 1 : n;
    t->out += text_write(TEXT_JSON, (struct str){t->p, n}, t->out, 6);
    t->p += n;
}

/* After the opening quote. The escapes of log_quote are JSON's; a cut line may end
 * anywhere. */
static void put_quoted(struct text *t)
{
    put(t, '"');
    while (t->p < t->end && *t->p != '"') {
        if (*t->p == '\\' && t->p + 1 < t->end &&
            (t->p[1] == '"' || t->p[1] == '\\' || t->p[1] == 'n')) {
            put(t, *t->p++);
            put(t, *t->p++);
        } else {
            put_char(t);
        }
    }
    t->p += t->p < t->end;
    put(t, '"');
}

static bool number(const char *p, const char *end)
{
    bool negative = p < end && *p == '-';
    const char *digits = p + negative;

    /* Longer ones are no longer exact in most readers. */
    if (digits == end || end - digits > 15 || (*digits == '0' && end - digits > 1)) {
        return false;
    }
    for (p = digits; p < end; p++) {
        if (*p < '0' || *p > '9') {
            return false;
        }
    }
    return true;
}

static void put_word(struct text *t, const char *stop, bool quoted)
{
    if (quoted) {
        put(t, '"');
    }
    while (t->p < stop) {
        put_char(t);
    }
    if (quoted) {
        put(t, '"');
    }
}

static const char *until(const struct text *t, char c)
{
    const char *p = t->p;

    while (p < t->end && *p != c && *p != ' ') {
        p++;
    }
    return p;
}

static void put_pair(struct text *t)
{
    const char *stop = until(t, '=');

    put_word(t, stop, true);
    put(t, ':');
    if (t->p == t->end || *t->p != '=') {
        memcpy(t->out, "true", 4); /* a word alone */
        t->out += 4;
        return;
    }
    t->p++;
    if (t->p < t->end && *t->p == '"') {
        t->p++;
        put_quoted(t);
    } else {
        stop = until(t, ' ');
        put_word(t, stop, !number(t->p, stop));
    }
}

size_t log_json(struct str line, char *out)
{
    struct text t = {line.p, line.p + line.n, out};
    bool first = true;

    put(&t, '{');
    for (;;) {
        while (t.p < t.end && *t.p == ' ') {
            t.p++;
        }
        if (t.p >= t.end) {
            break;
        }
        if (!first) {
            put(&t, ',');
        }
        first = false;
        put_pair(&t);
    }
    put(&t, '}');
    return (size_t)(t.out - out);
}
