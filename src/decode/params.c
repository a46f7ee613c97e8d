#include "decode/params.h"

#include <stdio.h>

#include "base/mem.h"
#include "decode/number.h"
#include "decode/quote.h"
#include "decode/repeats.h"
#include "decode/vector.h"

enum params_result params_fail(struct params *x, const char *detail)
{
    x->error->at = x->name_at;
    x->error->name = (struct str){x->name, x->name_n};
    x->error->detail = detail;
    return PARAMS_INVALID;
}

enum params_result params_start(struct params *x, const struct params_rules *rules,
                                const struct scan_limits *limits,
                                struct params_room *room, size_t bound,
                                size_t max_bytes, struct params_error *e)
{
    *e = (struct params_error){0};
    *x = (struct params){.rules = rules, .limits = limits, .room = room, .error = e};
    if (bound > max_bytes) {
        return PARAMS_TOO_LARGE;
    }
    bound += PARAMS_OVERHEAD + SCAN_PAD;
    if (bound > room->n) {
        room->p = mem_realloc(room->p, bound);
        room->n = bound;
    }
    x->p = room->p;
    *x->p++ = '{';
    return PARAMS_OK;
}

enum params_result params_name(struct params *x, struct str raw, size_t at)
{
    x->name = raw.p;
    x->name_n = raw.n;
    x->name_at = at;
    if (UNLIKELY(x->n == PARAMS_MAX)) {
        (void)params_fail(x, NULL);
        return PARAMS_TOO_MANY;
    }
    x->at = (size_t)(x->p - x->room->p);
    x->high = false;
    *x->p++ = '"';
    return PARAMS_OK;
}

static const struct param_rule *rule_of(const struct params_rules *r, const char *name,
                                        size_t n)
{
    static const struct param_rule usual = {.kind = PARAM_TEXT};

    for (uint32_t i = 0; i < r->n_rules; i++) {
        if (r->rules[i].name.n == n && memcmp(r->rules[i].name.p, name, n) == 0) {
            return &r->rules[i];
        }
    }
    return &usual;
}

/* Whether the text that was written from `from` on is UTF-8. */
static bool is_utf8(const struct params *x, const char *from)
{
    return LIKELY(!x->high) || quote_is_utf8((struct str){from, (size_t)(x->p - from)});
}

enum params_result params_value(struct params *x)
{
    const char *name = x->room->p + x->at + 1;
    const struct param_rule *rule;

    if (!is_utf8(x, name)) {
        return params_fail(x, "its name is not UTF-8");
    }
    rule = rule_of(x->rules, name, (size_t)(x->p - name));
    x->kind = rule->kind;
    x->list = rule->list;
    x->high = false;
    *x->p++ = '"';
    *x->p++ = ':';
    x->value = (size_t)(x->p - x->room->p);
    *x->p++ = '"'; /* of a text; the other kinds begin in its place */
    return PARAMS_OK;
}

static void write_bool(struct params *x, struct str text)
{
    char *out = x->room->p + x->value;
    bool is_true;

    if (!bool_of_text(text, &is_true)) {
        *x->p++ = '"';
        return;
    }
    x->p = out + (is_true ? 4 : 5);
    memcpy(out, is_true ? "true" : "false", is_true ? 4 : 5);
}

static int base64_digit(unsigned char c)
{
    return c >= 'A' && c <= 'Z'               ? c - 'A'
           : c >= 'a' && c <= 'z'             ? c - 'a' + 26
           : c >= '0' && c <= '9'             ? c - '0' + 52
           : c == '+' || c == '-' || c == ' ' ? 62
           : c == '/' || c == '_'             ? 63
                                              : -1;
}

/* In place: what it stands for is shorter. A space is a + that was not encoded.
 * Returns the length; false: it is no base64. */
static bool base64(char *p, size_t n, size_t *out_n)
{
    unsigned bits = 0, held = 0;
    char *out = p;

    for (int i = 0; i < 2 && n > 0 && p[n - 1] == '='; i++) {
        n--;
    }
    for (size_t i = 0; i < n; i++) {
        int v = base64_digit((unsigned char)p[i]);

        if (v < 0) {
            return false;
        }
        bits = bits << 6 | (unsigned)v;
        held += 6;
        if (held >= 8) {
            held -= 8;
            *out++ = (char)(bits >> held & 0xFF);
        }
    }
    *out_n = (size_t)(out - p);
    return n % 4 != 1;
}

/* One JSON value and nothing after it, because it will stand in the object. */
static enum params_result write_json(struct params *x, char *from, size_t n)
{
    struct scan_error se;

    if (x->kind == PARAM_BASE64 && !base64(from, n, &n)) {
        return params_fail(x, "its value is not base64");
    }
    memset(from + n, 0, SCAN_PAD);
    if (scan_value(x->limits, from, n, &se) != SCAN_OK) {
        (void)snprintf(x->error->text, sizeof x->error->text,
                       "its value is not JSON: %s (at byte %zu)", se.detail, se.at);
        return params_fail(x, x->error->text);
    }
    memmove(from - 1, from, n);
    x->p = from - 1 + n;
    return PARAMS_OK;
}

/* The value of a kind that is no text. */
static NOINLINE enum params_result typed_value(struct params *x)
{
    char *from = x->room->p + x->value + 1, *end;
    struct str text = {from, (size_t)(x->p - from)};

    if (text.n == 0) {
        /* An item that is absent: the list has one less. */
        bool item = x->list && x->rules->repeated == PARAMS_ARRAY;

        memcpy(from - 1, "null", 4);
        x->p = item ? from - 1 : from + 3;
        return PARAMS_OK;
    }
    switch (x->kind) {
    case PARAM_JSON:
    case PARAM_BASE64:
        return write_json(x, from, text.n);
    case PARAM_BOOL:
        write_bool(x, text);
        return PARAMS_OK;
    case PARAM_NUMBER:
        end = number_of_text(text, from - 1);
        if (end != NULL) {
            x->p = end;
            return PARAMS_OK;
        }
        break;
    case PARAM_TEXT:
        break;
    }
    *x->p++ = '"';
    return PARAMS_OK;
}

enum params_result params_next(struct params *x)
{
    bool raw = x->kind == PARAM_JSON || x->kind == PARAM_BASE64;
    enum params_result r = PARAMS_OK;

    if (UNLIKELY(!raw && !is_utf8(x, x->room->p + x->value))) {
        return params_fail(x, "its value is not UTF-8");
    }
    if (LIKELY(x->kind == PARAM_TEXT)) {
        *x->p++ = '"';
    } else {
        r = typed_value(x);
    }
    if (r == PARAMS_OK) {
        *x->p++ = ',';
        if (x->repeats != NULL) {
            repeats_add(x);
        }
        x->n++;
    }
    return r;
}

struct str params_end(struct params *x)
{
    struct str event;

    if (x->repeats != NULL) {
        event = repeats_end(x);
    } else {
        x->p -= x->n > 0; /* the comma after the last */
        *x->p++ = '}';
        event = (struct str){x->room->p, (size_t)(x->p - x->room->p)};
    }
    memset(x->p, 0, SCAN_PAD);
    return event;
}
