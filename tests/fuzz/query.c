/* Any bytes as a query or an urlencoded form: no crash; the object scans; a second, slow
 * reader finds the same names and values; of repeated names the first, the last or all are
 * kept; and the same parameters sent as multipart/form-data make the same object. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "decode/multipart.h"
#include "decode/query.h"
#include "decode/quote.h"
#include "decode/walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { PARAMS = PARAMS_MAX + 1, BYTES_MAX = 1 << 16 };

/* A parameter as the slow reader sees it. */
struct param {
    char *name, *value;
    size_t name_n, value_n;
};

static struct arena arena;
static struct event_batch batch;
static struct params_room room, other;
static const struct scan_limits limits = {1, 64};
static struct param params[PARAMS];
static size_t n_params;

static const struct param_rule typed[] = {{STR("n"), PARAM_NUMBER, false},
                                          {STR("b"), PARAM_BOOL, false},
                                          {STR("j"), PARAM_JSON, false},
                                          {STR("e"), PARAM_BASE64, false}};

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

static int hex(uint8_t c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = c == '\0' ? NULL : strchr(digits, c);

    return at == NULL ? -1 : (int)(at - digits) & 15;
}

static char *decoded(const uint8_t *p, size_t n, size_t *out_n)
{
    char *out = malloc(n + 1);

    *out_n = 0;
    for (size_t i = 0; i < n; i++) {
        int c = p[i] == '+' ? ' ' : p[i];

        if (c == '%' && i + 2 < n && hex(p[i + 1]) >= 0 && hex(p[i + 2]) >= 0) {
            c = hex(p[i + 1]) * 16 + hex(p[i + 2]);
            i += 2;
        }
        out[(*out_n)++] = (char)c;
    }
    return out;
}

static size_t up_to(const uint8_t *p, size_t n, uint8_t end)
{
    size_t i = 0;

    while (i < n && p[i] != end) {
        i++;
    }
    return i;
}

/* The URL standard's steps (5.1), one after the other. False: more than PARAMS. */
static bool read_slowly(const uint8_t *p, size_t n)
{
    n_params = 0;
    for (size_t i = 0; i < n;) {
        size_t k = up_to(p + i, n - i, '&'), name = up_to(p + i, k, '=');

        if (k > 0) {
            struct param *q = &params[n_params];
            size_t from = name < k ? name + 1 : k;

            if (n_params == PARAMS) {
                return false;
            }
            q->name = decoded(p + i, name, &q->name_n);
            q->value = decoded(p + i + from, k - from, &q->value_n);
            n_params++;
        }
        i += k + 1;
    }
    return true;
}

static bool is_utf8(void)
{
    for (size_t i = 0; i < n_params; i++) {
        if (!quote_is_utf8((struct str){params[i].name, params[i].name_n}) ||
            !quote_is_utf8((struct str){params[i].value, params[i].value_n})) {
            return false;
        }
    }
    return true;
}

static bool is_text(struct str raw, const char *text, size_t n)
{
    char *plain = malloc(raw.n + 1);
    bool same = scan_unescape(raw.p, raw.n, plain) == n && memcmp(plain, text, n) == 0;

    free(plain);
    return same;
}

static bool is_value(const struct member *m, const struct param *q)
{
    return (m->kind == SLOT_STRING || m->kind == SLOT_ESCAPED) &&
           is_text((struct str){m->value.p + 1, m->value.n - 2}, q->value, q->value_n);
}

static bool same_name(const struct param *a, const struct param *b)
{
    return a->name_n == b->name_n && memcmp(a->name, b->name, a->name_n) == 0;
}

/* The next parameter of the name of q, from i on; n_params: none. */
static size_t next_of(const struct param *q, size_t i)
{
    while (i < n_params && !same_name(q, &params[i])) {
        i++;
    }
    return i;
}

static void compare_repeated(const struct member *m, size_t i, enum params_repeated how)
{
    size_t last = i, next;
    enum slot_kind kind;
    const char *p = m->value.p + 1;

    for (next = next_of(&params[i], i + 1); next < n_params;
         next = next_of(&params[i], next + 1)) {
        last = next;
    }
    if (how != PARAMS_ARRAY || last == i) {
        check(is_value(m, &params[how == PARAMS_LAST ? last : i]));
        return;
    }
    check(m->kind == SLOT_ARRAY);
    for (next = i; next < n_params; next = next_of(&params[i], next + 1)) {
        struct member x = {.value = walk_value(p, m->value.p + m->value.n, &kind)};

        x.kind = kind;
        check(is_value(&x, &params[next]));
        p = x.value.p + x.value.n + 1;
    }
    check(p == m->value.p + m->value.n);
}

/* The object has what the slow reader found. */
static void compare(struct str event, enum params_repeated how)
{
    struct walk w;
    struct member m;
    size_t i = 0;

    walk_start(&w, event);
    for (; i < n_params; i++) {
        if (how != PARAMS_REFUSE && next_of(&params[i], 0) < i) {
            continue; /* it went with the first of its name */
        }
        check(walk_next(&w, &m) && is_text(m.key, params[i].name, params[i].name_n));
        if (how == PARAMS_REFUSE) {
            check(is_value(&m, &params[i]));
        } else {
            compare_repeated(&m, i, how);
        }
    }
    check(!walk_next(&w, &m));
}

static void scan(struct str event, enum params_repeated how)
{
    struct scan_error se;
    enum scan_result r =
        scan_body(&batch, NULL, SCAN_EVENT, &limits, event.p, event.n, &se);

    check(r == SCAN_OK || r == SCAN_TOO_DEEP);
    check(r != SCAN_OK || batch.events[0].fate == EVENT_ACCEPT ||
          (how == PARAMS_REFUSE && strcmp(batch.events[0].code, "duplicate_key") == 0));
}

static size_t put(char *out, size_t at, const char *p, size_t n)
{
    memcpy(out + at, p, n);
    return at + n;
}

/* As multipart, where no name needs an escape and no value has the delimiter. */
static void send_as_multipart(struct str event, const struct params_rules *rules)
{
    static const char head[] = "--BoUnDaRy\r\nContent-Disposition: form-data; name=\"";
    char *body = malloc(4 * BYTES_MAX + n_params * (sizeof head + 16) + 64);
    struct params_error e;
    struct str again;
    size_t n = 0;

    for (size_t i = 0; i < n_params; i++) {
        const struct param *q = &params[i];

        for (size_t k = 0; k < q->name_n; k++) {
            if (strchr("\"\\%\r\n", q->name[k]) != NULL) { /* also a NUL */
                free(body);
                return;
            }
        }
        if (memmem(q->value, q->value_n, "BoUnDaRy", 8) != NULL) {
            free(body);
            return;
        }
        n = put(body, n, head, sizeof head - 1);
        n = put(body, n, q->name, q->name_n);
        n = put(body, n, "\"\r\n\r\n", 5);
        n = put(body, n, q->value, q->value_n);
        n = put(body, n, "\r\n", 2);
    }
    n = put(body, n, "--BoUnDaRy--\r\n", 14);
    check(multipart_write(rules, &limits, STR("BoUnDaRy"), (struct str){body, n},
                          1 << 24, &other, &again, &e) == PARAMS_OK);
    check(str_eq(event, again));
    free(body);
}

static void run(const char *text, size_t n, enum params_repeated how)
{
    struct params_rules rules = {.repeated = how, .key = {1, 2}};
    struct params_error e;
    struct str event;
    enum params_result r =
        query_write(&rules, &limits, (struct str){text, n}, 1 << 24, &room, &event, &e);

    check((r == PARAMS_OK) == (n_params <= PARAMS_MAX && is_utf8()));
    if (r == PARAMS_OK) {
        scan(event, how);
        compare(event, how);
        send_as_multipart(event, &rules);
    } else {
        check(e.at < n);
    }
    rules.rules = typed;
    rules.n_rules = N_ELEMS(typed);
    r = query_write(&rules, &limits, (struct str){text, n}, 1 << 24, &room, &event, &e);
    if (r == PARAMS_OK) {
        scan(event, how);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (batch.events == NULL) {
        arena_init(&arena, 16 << 20);
        event_batch_init(&batch, &arena);
    }
    if (n == 0 || n > BYTES_MAX) {
        return 0;
    }
    if (read_slowly(data + 1, n - 1)) {
        char *text = malloc(n); /* of its own, so that a read behind it is seen */

        memcpy(text, data + 1, n - 1);
        run(text, n - 1, (enum params_repeated)(data[0] % 4));
        free(text);
    }
    for (size_t i = 0; i < n_params; i++) {
        free(params[i].name);
        free(params[i].value);
    }
    return 0;
}
