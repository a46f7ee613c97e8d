#include "decode/query.h"

#include "decode/repeats.h"
#include "decode/vector.h"

/* Of a text whose exact bound is not worth a look. */
enum { SMALL = 16384 };

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The byte that %XX at p stands for; -1: it is no such thing. */
static int percent(const char *p, const char *end)
{
    int high, low;

    if (end - p < 3) {
        return -1;
    }
    high = hex(p[1]);
    low = hex(p[2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static size_t escaped(int c)
{
    return c < 0x20 ? 6 : c == '"' || c == '\\' ? 2 : 1;
}

/* What the members take at most. */
static size_t bound_of(struct str text)
{
    const char *end = text.p + text.n;
    size_t n = 0, members = 1;

    if (LIKELY(text.n <= SMALL)) {
        return params_bound(text.n) + PARAMS_OVERHEAD * (text.n + 1);
    }
    for (const char *p = text.p; p < end; p++) {
        int c = *p == '%' ? percent(p, end) : -1;

        p += c < 0 ? 0 : 2;
        n += escaped(c < 0 ? (unsigned char)*p : c);
        members += *p == '&';
    }
    members = members > PARAMS_MAX ? PARAMS_MAX + 1 : members;
    return n + members * PARAMS_OVERHEAD;
}

/* One byte that vector_form found, or the end's; returns how many were read. */
static size_t take_special(struct params *x, const char *p, const char *end, bool raw)
{
    int c = *p == '%' ? percent(p, end) : -1;
    size_t n = c < 0 ? 1 : 3;

    c = c >= 0 ? c : *p == '+' ? ' ' : (unsigned char)*p;
    x->high |= c >= 0x80;
    if (raw) {
        *x->p++ = (char)c;
    } else {
        x->p = params_put(x->p, (unsigned char)c);
    }
    return n;
}

/* The text up to '&', or to '=' in a name; returns where it ends. */
static const char *take_text(struct params *x, const char *p, const char *end,
                             bool name, bool raw)
{
    while (p < end) {
        unsigned plain = VECTOR_BYTES;

        if (LIKELY(end - p >= VECTOR_BYTES)) {
            unsigned special = vector_form(p);

            memcpy(x->p, p, VECTOR_BYTES);
            plain = special == 0 ? VECTOR_BYTES : (unsigned)__builtin_ctz(special);
            p += plain;
            x->p += plain;
        }
        if (plain == VECTOR_BYTES && end - p >= VECTOR_BYTES) {
            continue;
        }
        if (p == end || *p == '&' || (name && *p == '=')) {
            break;
        }
        p += take_special(x, p, end, raw);
    }
    return p;
}

/* Whether the sequence has a '=', where its name ends. */
static struct str raw_name(const char *p, const char *end)
{
    const char *stop = p;

    while (stop < end && *stop != '=' && *stop != '&') {
        stop++;
    }
    return (struct str){p, (size_t)(stop - p)};
}

static enum params_result take_member(struct params *x, struct str text,
                                      const char **at)
{
    const char *p = *at, *end = text.p + text.n;
    enum params_result r = params_name(x, (struct str){p, 0}, (size_t)(p - text.p));

    if (r != PARAMS_OK) {
        x->error->name = raw_name(p, end);
        return r;
    }
    p = take_text(x, p, end, true, false);
    x->name_n = (size_t)(p - x->name);
    r = params_value(x);
    if (r == PARAMS_OK) {
        bool raw = x->kind == PARAM_JSON || x->kind == PARAM_BASE64;

        if (p < end && *p == '=') {
            p = take_text(x, p + 1, end, false, raw);
        }
        r = params_next(x);
    }
    *at = p;
    return r;
}

static enum params_result take_all(struct params *x, struct str text, struct str *event)
{
    const char *p = text.p, *end = text.p + text.n;

    while (p < end) {
        if (*p == '&') {
            p++;
        } else {
            enum params_result r = take_member(x, text, &p);

            if (r != PARAMS_OK) {
                return r;
            }
        }
    }
    *event = params_end(x);
    return PARAMS_OK;
}

/* In a function of its own, for its stack. */
static NOINLINE enum params_result take_repeats(struct params *x, struct str text,
                                                struct str *event)
{
    struct repeats repeats;

    repeats_start(&repeats);
    x->repeats = &repeats;
    return take_all(x, text, event);
}

enum params_result query_write(const struct params_rules *rules,
                               const struct scan_limits *limits, struct str text,
                               size_t max_bytes, struct params_room *room,
                               struct str *event, struct params_error *e)
{
    struct params x;
    enum params_result r =
        params_start(&x, rules, limits, room, bound_of(text), max_bytes, e);

    if (r != PARAMS_OK) {
        return r;
    }
    return rules->repeated == PARAMS_REFUSE ? take_all(&x, text, event)
                                            : take_repeats(&x, text, event);
}
