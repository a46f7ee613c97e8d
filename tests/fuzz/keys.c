/* Any text as a file of keys: refused by messages that have nothing of it, or each row is
 * found by its digest and is good, over or disabled as it says. And any text as the parts of
 * a request that a key may stand in: what is read is not longer than what was sent, and no
 * key stays in a query from which keys were taken. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plan/auth.h"
#include "plan/instant.h"
#include "plan/key_table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char PLANTED[] = "S3CR3T";

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

static void note(void *arg, uint32_t line, const char *text)
{
    check(line <= 5000 && text[0] != '\0' && strstr(text, PLANTED) == NULL);
    for (const char *p = text; *p != '\0'; p++) {
        check(*p >= ' ' && *p < 0x7F);
    }
    ++*(unsigned *)arg;
}

/* ---- a file ---- */

static enum key_state slow_state(const struct csv_table *t, const struct key_plan *k,
                                 int32_t row, int64_t now)
{
    struct str off = csv_table_cell(t, row, k->disabled);
    struct str until = csv_table_cell(t, row, k->expires);
    int64_t ms;

    if (str_eq(off, STR("1")) || str_eq(off, STR("true")) || str_eq(off, STR("yes"))) {
        return KEY_DISABLED;
    }
    check(until.n == 0 ||
          instant_text(until, INSTANT_RFC3339 | INSTANT_DATE, INSTANT_MS, &ms));
    return until.n > 0 && ms <= now ? KEY_EXPIRED : KEY_GOOD;
}

static void look_at_rows(const struct csv_table *t)
{
    struct key_plan k = {.expires = -1, .disabled = -1, .label = -1};
    int32_t row;

    for (uint32_t i = 0; i < csv_table_n_columns(t); i++) {
        struct str name = csv_table_column(t, i);

        k.expires = str_eq(name, STR("until")) ? (int32_t)i : k.expires;
        k.disabled = str_eq(name, STR("off")) ? (int32_t)i : k.disabled;
    }
    check(k.expires >= 0 && k.disabled >= 0);
    for (uint32_t i = 0; i < csv_table_n_rows(t); i++) {
        int32_t at = csv_table_nth(t, i);
        struct str key = csv_table_cell(t, at, (int32_t)csv_table_key_column(t));
        enum key_state state;

        check(key.n == KEY_DIGEST_BYTES && csv_table_secret_row(t, key) == at);
        /* The corpus has the digest of this one. */
        state = key_table_find(&k, t, STR("key"), 1000000, &row);
        check(state == KEY_UNKNOWN || (row >= 0 && state != KEY_UNREADABLE));
        if (row == at) {
            check(state == slow_state(t, &k, at, 1000000));
        }
    }
}

static void read_file(struct str text)
{
    struct key_rules keys = {
        .key = STR("sha256"), .expires = STR("until"), .disabled = STR("off")};
    struct csv_rules rules = key_rules(&keys);
    unsigned told = 0;
    struct csv_table *t =
        csv_table_new_ruled(text, STR("sha256"), ',', &rules, note, &told);

    check((t == NULL) == (told > 0));
    if (t != NULL) {
        look_at_rows(t);
    }
    csv_table_unref(t);
}

/* ---- a request ---- */

static void strip(const struct auth_method *m, struct policy_request *q)
{
    const struct auth_plan a = {.methods = m, .n = 1};
    char *out = malloc(q->query.n + 1), *again = malloc(q->query.n + 1);
    char room[KEY_TEXT_MAX];
    struct str key, rest = auth_without_keys(&a, q->query, out), twice;

    check(rest.n <= q->query.n);
    twice = auth_without_keys(&a, rest, again);
    check(str_eq(rest, twice));
    q->query = rest;
    check(auth_credential(m, q, room, sizeof room, &key) == AUTH_MISSING);
    free(out);
    free(again);
}

static void read_request(struct str text)
{
    static const struct auth_method methods[] = {
        {.kind = AUTH_BEARER},
        {.kind = AUTH_BASIC},
        {.kind = AUTH_HEADER, .name = {"authorization", 13}},
        {.kind = AUTH_QUERY, .name = {"key", 3}}};
    struct str_pair header = {STR("Authorization"), text};
    struct policy_request q = {.headers = &header, .n_headers = 1, .query = text};
    char room[KEY_TEXT_MAX];

    for (size_t i = 0; i < 4; i++) {
        struct str key = {NULL, 0};

        if (auth_credential(&methods[i], &q, room, sizeof room, &key) == AUTH_OK) {
            check(key.n > 0 && key.n <= text.n);
            check(methods[i].kind == AUTH_BASIC || methods[i].kind == AUTH_QUERY ||
                  memchr(key.p, ' ', key.n) == NULL);
        }
    }
    strip(&methods[3], &q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text;

    if (n == 0) {
        return 0;
    }
    text = malloc(n); /* so that one byte too many is seen */
    memcpy(text, data + 1, n - 1);
    if ((data[0] & 1) == 0) {
        read_file((struct str){text, n - 1});
    } else {
        read_request((struct str){text, n - 1});
    }
    free(text);
    return 0;
}
