/*
 * fields - what a value of a schema costs: nanoseconds an event of one such field more
 * than an event whose field is any { }, scanned, checked and stored. The least of
 * several rounds.
 *
 *   fields
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "decode/edit.h"
#include "plan/check.h"
#include "plan/text_pattern.h"

enum { EVENTS = 200, ROUNDS = 300 };

static const struct {
    const char *what, *value;
    struct field field;
    const char *pattern;
} rows[] = {
    {"any { }", "1763900000123", {.type = FIELD_ANY}, NULL},
    {"int { }", "1763900000123", {.type = FIELD_INT}, NULL},
    {"int { bits = 64 }",
     "1763900000123",
     {.type = FIELD_INT, .range = {64, false}, .rewrites = true},
     NULL},
    {"int { convert }, \"007\"",
     "\"007\"",
     {.type = FIELD_INT, .range = {64, false}, .converts = true, .rewrites = true},
     NULL},
    {"time { }, a number", "1763900000123", {.type = FIELD_TIME}, NULL},
    {"time { }, a text", "\"2025-11-23T12:13:20Z\"", {.type = FIELD_TIME}, NULL},
    {"time { unit = \"ms\" }, stored as sent",
     "1763900000123",
     {.type = FIELD_TIME, .unit = INSTANT_MS, .rewrites = true},
     NULL},
    {"time { unit = \"auto\" }, seconds",
     "1763900000.5",
     {.type = FIELD_TIME, .unit = INSTANT_AUTO, .rewrites = true},
     NULL},
    {"time { formats }, RFC 3339",
     "\"2025-11-23T12:13:20Z\"",
     {.type = FIELD_TIME, .unit = INSTANT_MS, .formats = 63, .rewrites = true},
     NULL},
    {"time { formats }, ISO 8601",
     "\"2025-11-23 13:13:20,123 +0100\"",
     {.type = FIELD_TIME, .unit = INSTANT_MS, .formats = 63, .rewrites = true},
     NULL},
    {"str { max = 64 }",
     "\"a text of some 30 characters ..\"",
     {.type = FIELD_STR, .has_max = true, .max = 64},
     NULL},
    {"str { cut = 64 }, not cut",
     "\"a text of some 30 characters ..\"",
     {.type = FIELD_STR, .cut = 64, .rewrites = true},
     NULL},
    {"str { cut = 20 }, cut",
     "\"a text of some 30 characters ..\"",
     {.type = FIELD_STR, .cut = 20, .rewrites = true},
     NULL},
    {"str { format = \"uuid\" }",
     "\"123e4567-e89b-12d3-a456-426614174000\"",
     {.type = FIELD_STR, .has_form = true, .format = TEXT_UUID},
     NULL},
    {"str { format = \"url\" }",
     "\"https://shop.example/item/7?a=1\"",
     {.type = FIELD_STR, .has_form = true, .format = TEXT_URL},
     NULL},
    {"str { pattern }, 31 characters",
     "\"https://shop.example/item/7?a=1\"",
     {.type = FIELD_STR, .has_form = true},
     "^https?://[%w.]+/"},
};

static const struct field item = {.path = {"f", 1}, .type = FIELD_STR};

/* Nanoseconds an event. */
static double measure(const struct field *f, const char *value)
{
    static const struct scan_limits limits = {10000, 64};
    static char out[4096];
    const struct str path = STR("f");
    struct field own = *f;
    struct schema s = {.fields = &own, .n_fields = 1, .rewrites = f->rewrites};
    char *body = calloc(1, EVENTS * 256 + SCAN_PAD), *p = body;
    struct scan_error se;
    struct event_batch batch;
    struct arena arena;
    struct path parts;
    struct err e;
    double best = 1e9;

    own.path = path;
    own.max_age_ms = own.max_skew_ms = -1;
    own.key = STR("\"f\"");
    own.path_parts = path_parse(path, &parts) ? &parts : NULL;
    s.keys = scan_keys_new(&path, 1, &e);
    arena_init(&arena, 64 << 20);
    event_batch_init(&batch, &arena);
    for (int i = 0; i < EVENTS; i++) {
        p += sprintf(p,
                     "%c{\"event_id\":\"e-%06d\",\"event_type\":\"click\",\"f\":%s,"
                     "\"user_id\":\"user-%06d\",\"properties\":{\"page\":\"/home\"}}",
                     i == 0 ? '[' : ',', i, value, i);
    }
    *p++ = ']';
    for (int r = 0; r < ROUNDS; r++) {
        uint64_t t = clock_mono_ns();
        double ns;

        if (scan_body(&batch, s.keys, SCAN_BATCH, &limits, body, (size_t)(p - body),
                      &se) != SCAN_OK) {
            abort();
        }
        check_events(&s, &batch, 1763900000000);
        for (uint32_t i = 0; i < batch.n; i++) {
            if (batch.events[i].fate != EVENT_ACCEPT ||
                edit_bound(&batch, &batch.events[i]) > sizeof out) {
                abort();
            }
            (void)edit_splice(&batch, &batch.events[i], out);
        }
        ns = (double)(clock_mono_ns() - t) / EVENTS;
        best = ns < best ? ns : best;
    }
    event_batch_fini(&batch);
    arena_fini(&arena);
    scan_keys_free(s.keys);
    free(body);
    return best;
}

int main(void)
{
    static const struct field list = {.type = FIELD_LIST, .item = &item};
    struct text_pattern p;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct field f = rows[i].field;
        double any = measure(&rows[0].field, rows[i].value);

        if (rows[i].pattern != NULL) {
            if (text_pattern_read(str_of(rows[i].pattern), &p) != NULL) {
                return 1;
            }
            f.pattern = &p;
        }
        (void)printf("%-40s %6.1f ns\n", rows[i].what,
                     measure(&f, rows[i].value) - any);
    }
    (void)printf("%-40s %6.1f ns\n", "list { str { } } of 5",
                 measure(&list, "[\"a\",\"bc\",\"def\",\"g\",\"h\"]") -
                     measure(&rows[0].field, "[\"a\",\"bc\",\"def\",\"g\",\"h\"]"));
    return 0;
}
