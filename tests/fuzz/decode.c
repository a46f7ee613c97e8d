/* Any bytes as a body of each shape: no crash; cJSON takes what we take; simdjson
 * takes and refuses the same, and finds the same values; every event spliced with
 * an edit scans again; a faulty element of a list is alone in being refused. */
#include <cjson/cJSON.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "decode/edit.h"
#include "decode/envelope.h"
#include "decode/scan.h"
#include "oracle/oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct arena arena, again_arena;
static struct event_batch batch, again;
static struct scan_keys *keys;
static const struct scan_limits limits = {1000, 64};

/* Batches in an envelope, at "batch" and at "d.list". */
static const char *const wanted[2][3][2] = {
    {{"sent", NULL}, {"ctx", "app"}, {"ctx", NULL}},
    {{"d", "k"}, {"sent", NULL}, {"e", "f"}}};
static const struct str wanted_paths[2][3] = {{STR("sent"), STR("ctx.app"), STR("ctx")},
                                              {STR("d.k"), STR("sent"), STR("e.f")}};
static const char *const events_at[2][2] = {{"batch", NULL}, {"d", "list"}};
static struct envelope *envelopes[2];

static void start(void)
{
    const struct str paths[] = {STR("id"), STR("a"), STR("p.q"), STR("p"), STR("v")};
    struct err e;

    arena_init(&arena, 16 << 20);
    arena_init(&again_arena, 16 << 20);
    event_batch_init(&batch, &arena);
    event_batch_init(&again, &again_arena);
    keys = scan_keys_new(paths, 5, &e);
    envelopes[0] = envelope_new(STR("batch"), wanted_paths[0], 3, &e);
    envelopes[1] = envelope_new(STR("d.list"), wanted_paths[1], 3, &e);
    if (envelopes[0] == NULL || envelopes[1] == NULL) {
        abort();
    }
}

/* A default is taken only by an event without the key. */
static bool kept_or_given(const struct slot *after, const struct slot *before)
{
    return (before->tag & 15) == SLOT_ABSENT ? (after->tag & 15) == SLOT_TRUE
                                             : after->tag == before->tag;
}

static void edit_and_rescan(struct event *ev)
{
    struct scan_error se;
    char *out;
    size_t n;

    if (!edit_set(&batch, ev, STR("a"), STR("\"edited\""), EDIT_SET) ||
        !edit_set(&batch, ev, STR("new"), STR("1"), EDIT_SET) ||
        !edit_set(&batch, ev, STR("v"), STR(""), EDIT_REMOVE) ||
        !edit_set(&batch, ev, STR("id"), STR("true"), EDIT_DEFAULT)) {
        abort();
    }
    out = calloc(1, edit_bound(&batch, ev) + SCAN_PAD);
    n = edit_splice(&batch, ev, out);
    if (memchr(out, '\n', n) != NULL ||
        scan_body(&again, keys, SCAN_EVENT, &limits, out, n, &se) != SCAN_OK ||
        (again.events[0].slots[1].tag & 15) != SLOT_STRING ||
        (again.events[0].slots[4].tag & 15) != SLOT_ABSENT ||
        !kept_or_given(&again.events[0].slots[0], &ev->slots[0]) ||
        edit_has_key(&batch, ev, STR("\"id\"")) !=
            ((ev->slots[0].tag & 15) != SLOT_ABSENT)) {
        abort();
    }
    free(out);
}

static bool same(const struct slot *s, const struct oracle_value *v)
{
    const char *raw = batch.body + s->off;
    size_t n = s->tag >> 4;
    char *text;
    bool ok;

    switch (s->tag & 15) {
    case SLOT_ABSENT:
        return v->kind == ORACLE_NONE;
    case SLOT_NULL:
        return v->kind == ORACLE_NULL;
    case SLOT_FALSE:
    case SLOT_TRUE:
        return v->kind == ORACLE_BOOL && v->truth == ((s->tag & 15) == SLOT_TRUE);
    case SLOT_NUMBER:
        return v->kind == ORACLE_NUM && v->num == s->num;
    case SLOT_STRING:
        return v->kind == ORACLE_TEXT && v->n == n && memcmp(raw, v->text, n) == 0;
    case SLOT_ESCAPED:
        text = malloc(n + 1);
        ok = v->kind == ORACLE_TEXT && scan_unescape(raw, n, text) == v->n &&
             memcmp(text, v->text, v->n) == 0;
        free(text);
        return ok;
    default:
        return v->kind == ORACLE_OTHER;
    }
}

static void compare_events(void)
{
    static const char *const names[][2] = {
        {"id", NULL}, {"a", NULL}, {"p", "q"}, {"p", NULL}, {"v", NULL}};

    for (uint32_t i = 0; i < batch.n; i++) {
        for (unsigned k = 0; k < 5 && batch.events[i].fate == EVENT_ACCEPT; k++) {
            struct oracle_value v = oracle_find(i, names[k][0], names[k][1]);

            if (!same(&batch.events[i].slots[k], &v)) {
                abort();
            }
        }
    }
}

/* The root is an object, its events and the wanted values are where they are
 * looked for. A key given twice is refused by us alone. */
static void compare_envelope(unsigned which, enum scan_result result,
                             const struct scan_error *se)
{
    const char *const *at = events_at[which];

    for (unsigned i = 0; result == SCAN_OK && i < 3; i++) {
        struct oracle_value v =
            oracle_find(0, wanted[which][i][0], wanted[which][i][1]);

        if (!same(&batch.envelope[i], &v)) {
            abort();
        }
    }
    if (oracle_enter(at[0], at[1])) {
        if (result != SCAN_OK && strstr(se->detail, "twice") == NULL) {
            abort();
        }
        if (result == SCAN_OK) {
            compare_events();
        }
    } else if (result == SCAN_OK) {
        abort();
    }
}

/* The usual envelope is our own rule: roots that are events or arrays of them. */
static void ask_simdjson(unsigned way, const char *body, size_t n,
                         enum scan_result result, const struct scan_error *se)
{
    bool object, array;
    enum oracle_answer a = oracle_parse(body, n, &object, &array);
    bool ours = way == SCAN_EVENT ? object : way == SCAN_BATCH && array;

    if (a == ORACLE_NUMBER || a == ORACLE_DEEP || result == SCAN_TOO_DEEP ||
        result == SCAN_TOO_MANY || way == SCAN_NDJSON) {
        return;
    }
    if ((result == SCAN_OK && a != ORACLE_ACCEPTS) ||
        (result != SCAN_OK && a == ORACLE_ACCEPTS && ours)) {
        abort();
    }
    if (result == SCAN_OK && ours) {
        compare_events();
    } else if (way > SCAN_NDJSON && a == ORACLE_ACCEPTS && object) {
        compare_envelope(way - SCAN_NDJSON - 1, result, se);
    }
}

/* A list whose faulty elements were passed over: each is no JSON when it stands alone,
 * and with a number in their places the oracles see the others as we do. */
static void replace_faults(char *body)
{
    struct scan_error se;

    for (uint32_t i = 0; i < batch.n; i++) {
        const struct event *ev = &batch.events[i];
        char *alone;

        if (ev->error_at == 0) {
            continue;
        }
        if (ev->fate != EVENT_REJECT || ev->len == 0 || ev->error_at - 1 < ev->off ||
            ev->error_at - 1 > ev->off + ev->len) {
            abort();
        }
        alone = calloc(1, ev->len + SCAN_PAD);
        memcpy(alone, body + ev->off, ev->len);
        if (scan_value(&limits, alone, ev->len, &se) == SCAN_OK) {
            abort();
        }
        free(alone);
        memset(body + ev->off, ' ', ev->len);
        body[ev->off] = '0';
    }
}

/* Events with or without their envelope: read as by one of the two other ways. */
static void either(const struct envelope *v, const char *body, size_t n)
{
    struct scan_error se;
    enum scan_result whole = scan_enveloped(&batch, keys, v, &limits, body, n, &se);
    uint32_t n_whole = batch.n, n_values;
    enum scan_result values =
        scan_body(&batch, keys, SCAN_VALUES, &limits, body, n, &se);
    enum scan_result result;

    n_values = batch.n;
    result = scan_maybe_enveloped(&batch, keys, v, &limits, body, n, &se);
    if (whole == SCAN_OK
            ? result != SCAN_OK || batch.n != n_whole
            : result == SCAN_OK && (values != SCAN_OK || batch.n != n_values)) {
        abort();
    }
    for (uint32_t i = 0; i < batch.n; i++) {
        if (batch.events[i].off + (size_t)batch.events[i].len > n) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct scan_error se;
    char *body, *mended;

    if (keys == NULL) {
        start();
    }
    if (n == 0) {
        return 0;
    }
    body = calloc(1, n + SCAN_PAD);
    mended = calloc(1, n + SCAN_PAD);
    memcpy(body, data + 1, n - 1);
    if (data[0] % 5 > SCAN_NDJSON) {
        either(envelopes[data[0] % 5 - SCAN_NDJSON - 1], body, n - 1);
    }
    for (int round = 0; round < 2; round++) {
        unsigned way = data[0] % 5;
        enum scan_result result =
            way > SCAN_NDJSON
                ? scan_enveloped(&batch, keys, envelopes[way - SCAN_NDJSON - 1],
                                 &limits, body, n - 1, &se)
                : scan_body(&batch, keys, (enum scan_shape)way, &limits, body, n - 1,
                            &se);

        memcpy(mended, body, n - 1);
        if (result == SCAN_OK && way != SCAN_NDJSON) {
            replace_faults(mended);
        }
        ask_simdjson(way, mended, n - 1, result, &se);
        if (result != SCAN_OK) {
            if (se.at > n) {
                abort();
            }
            continue;
        }
        if (way != SCAN_NDJSON) {
            cJSON *o = cJSON_ParseWithLength(mended, n - 1);

            if (o == NULL) {
                abort();
            }
            cJSON_Delete(o);
        }
        for (uint32_t i = 0; i < batch.n; i++) {
            if (batch.events[i].fate == EVENT_ACCEPT) {
                edit_and_rescan(&batch.events[i]);
            }
        }
    }
    free(body);
    free(mended);
    return 0;
}
