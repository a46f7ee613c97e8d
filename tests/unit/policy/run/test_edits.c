/* Edits by path: a hook writes, removes and reads one and the same value at a path,
 * also in the stored text. Random events and edits against a model in cJSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "decode/edit.h"
#include "decode/path.h"
#include "decode/scan.h"
#include "policy/internal.h"
#include "policy/library/library.h"
#include "tools/edit_model.h"

enum { TEXT_MAX = 64 << 10 };

static struct arena arena;
static struct event_batch batch;
static struct scan_keys *keys;
static struct policy_state owner; /* helpers look for the state around a context */
static char *body;
static char stored[TEXT_MAX];

static int setup(void **state)
{
    struct err e;

    (void)state;
    arena_init(&arena, 64 << 20);
    event_batch_init(&batch, &arena);
    keys = scan_keys_new(NULL, 0, &e);
    return keys == NULL;
}

static int teardown(void **state)
{
    (void)state;
    free(body);
    scan_keys_free(keys);
    event_batch_fini(&batch);
    arena_fini(&arena);
    return 0;
}

static struct sluice_event *event(void)
{
    return (struct sluice_event *)(void *)batch.events;
}

static void take(const char *text)
{
    static const struct scan_limits limits = {1, 64};
    struct scan_error se;
    size_t n = strlen(text);

    free(body);
    body = calloc(1, n + SCAN_PAD);
    memcpy(body, text, n);
    arena_reset(&arena);
    assert_int_equal(SCAN_OK,
                     scan_body(&batch, keys, SCAN_EVENT, &limits, body, n, &se));
    owner.context = (struct sluice_context){.batch = &batch,
                                            .events = batch.events,
                                            .body = body,
                                            .n = 1,
                                            .epoch = batch.epoch};
}

/* value is JSON; NULL: removes. */
static int put(const char *path, const char *value)
{
    return value == NULL ? sluice_remove(&owner.context, event(), path, strlen(path))
                         : sluice_set_json(&owner.context, event(), path, strlen(path),
                                           value, strlen(value));
}

static const char *store(void)
{
    size_t n = edit_bound(&batch, batch.events);

    assert_true(n < sizeof stored);
    n = edit_splice(&batch, batch.events, stored);
    assert_true(n <= edit_bound(&batch, batch.events));
    stored[n] = '\0';
    return stored;
}

static void an_edit_changes_what_its_path_names_and_nothing_else(void **state)
{
    static const struct {
        const char *event, *path, *value, *want;
    } rows[] = {
        {"{\"user\":{\"ip\":\"1.2.3.4\",\"id\":1.50}}", "user.ip", "\"x\"",
         "{\"user\":{\"ip\":\"x\",\"id\":1.50}}"},
        {"{\"user\":{\"ip\":1},\"user.ip\":2}", "user.ip", "3",
         "{\"user\":{\"ip\":3},\"user.ip\":2}"},
        {"{\"user\":{\"ip\":1},\"user.ip\":2}", "user\\.ip", "3",
         "{\"user\":{\"ip\":1},\"user.ip\":3}"},
        {"{\"user\":{\"ip\":1},\"user.ip\":2}", "user\\.ip", NULL,
         "{\"user\":{\"ip\":1}}"},
        {"{\"user\":{\"email\":1,\"a\":2}}", "user.email", NULL,
         "{\"user\":{\"a\":2}}"},
        {"{\"user\":{\"a\":2,\"email\":1}}", "user.email", NULL,
         "{\"user\":{\"a\":2}}"},
        {"{\"user\":{\"a\":2,\"email\":1,\"b\":3}}", "user.email", NULL,
         "{\"user\":{\"a\":2,\"b\":3}}"},
        {"{\"user\":{\"email\":1}}", "user.email", NULL, "{\"user\":{}}"},
        {"{\"user\":{\"\\u0065mail\":1}}", "user.email", NULL, "{\"user\":{}}"},
        {"{\"\\u0075ser\":{\"\\u0065mail\":1}}", "user.email", "0",
         "{\"user\":{\"\\u0065mail\":0}}"},
        {"{\"u\":{\"x\":{\"e\":1,\"e\":2}}}", "u.x.e", NULL, "{\"u\":{\"x\":{}}}"},
        {"{\"u\":{\"x\":{\"e\":1,\"\\u0065\":2}}}", "u.x.e", "0",
         "{\"u\":{\"x\":{\"e\":0}}}"},
        {"{\"u\":{\"x\":{\"e\":1},\"x\":{\"e\":2}}}", "u.x.e", NULL,
         "{\"u\":{\"x\":{},\"x\":{}}}"},
        {"{\"u\":{\"x\":{\"y\":1},\"x\":{\"e\":2}}}", "u.x.e", "0",
         "{\"u\":{\"x\":{\"y\":1,\"e\":0},\"x\":{\"e\":0}}}"},
        {"{}", "a.b.c", "1", "{\"a\":{\"b\":{\"c\":1}}}"},
        {"{\"a\":null}", "a.b", "1", "{\"a\":{\"b\":1}}"},
        {"{\"a\":{}}", "a.b", "1", "{\"a\":{\"b\":1}}"},
        {"{\"a\":{\"c\":1}}", "a.b", "1", "{\"a\":{\"c\":1,\"b\":1}}"},
        {"{\"a\":1}", "a.b", NULL, "{\"a\":1}"},
        {"{\"b\":1}", "a.b", NULL, "{\"b\":1}"},
        {"{\"a\":[{\"e\":1},{\"e\":2}]}", "a.e", NULL, "{\"a\":[{\"e\":1},{\"e\":2}]}"},
        {"{\"a\":[{\"e\":1},{\"e\":2}]}", "a[2].e", "0",
         "{\"a\":[{\"e\":1},{\"e\":0}]}"},
        {"{\"a\":[{\"e\":1},{\"e\":2}]}", "a[1]", NULL, "{\"a\":[{\"e\":2}]}"},
        {"{\"a\":[1,2,3]}", "a[3]", NULL, "{\"a\":[1,2]}"},
        {"{\"a\":[1]}", "a[1]", NULL, "{\"a\":[]}"},
        {"{\"a[1]\":1}", "a\\[1]", "2", "{\"a[1]\":2}"},
        {"{\"a\":{\"x.y\":1}}", "a.x\\.y", "2", "{\"a\":{\"x.y\":2}}"},
        {"{\"a\\\\b\":1}", "a\\\\b", NULL, "{}"},
        {"{\"a\" : { \"b\" : [ 1 , 2 ] , \"c\" : 1 } }", "a.c", "2",
         "{\"a\":{\"b\":[ 1 , 2 ],\"c\":2}}"},
        {"{\"a\":{\"b\":1}}", "a.", "2", "{\"a\":{\"b\":1,\"\":2}}"}};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        take(rows[i].event);
        assert_int_equal(0, put(rows[i].path, rows[i].value));
        if (strcmp(rows[i].want, store()) != 0) {
            fail_msg("%s, %s: %s, not %s", rows[i].event, rows[i].path, stored,
                     rows[i].want);
        }
    }
}

static void an_edit_that_can_not_be_is_refused_and_changes_nothing(void **state)
{
    static const struct {
        const char *event, *path;
        int want;
    } rows[] = {{"{\"a\":1}", "a.b", FFI_BLOCKED},
                {"{\"a\":\"x\"}", "a.b.c", FFI_BLOCKED},
                {"{\"a\":[1]}", "a.b", FFI_BLOCKED},
                {"{\"a\":[1]}", "a[2]", FFI_BLOCKED},
                {"{\"a\":{}}", "a[1]", FFI_BLOCKED},
                {"{}", "a[1]", FFI_BLOCKED},
                {"{\"u\":{\"x\":{},\"x\":1}}", "u.x.e", FFI_BLOCKED},
                {"{}", "a[", FFI_NO_PATH},
                {"{}", "a[0]", FFI_NO_PATH},
                {"{}", "a[x]", FFI_NO_PATH},
                {"{}", "a\\", FFI_NO_PATH},
                {"{}", "\xFF.a", FFI_NOT_UTF8},
                {"{}", "a[1]b", FFI_NO_PATH}};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        take(rows[i].event);
        assert_int_equal(rows[i].want, put(rows[i].path, "1"));
        assert_string_equal(rows[i].event, store());
    }
}

static void an_escaped_key_of_any_length_is_found(void **state)
{
    char text[8000] = "{\"u\":{\"", path[1100] = "u.";
    size_t n = strlen(text);

    (void)state;
    for (int i = 0; i < 1000; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "\\u0061");
        path[2 + i] = 'a';
    }
    (void)snprintf(text + n, sizeof text - n, "\":1}}");
    take(text);
    assert_int_equal(0, put(path, NULL));
    assert_string_equal("{\"u\":{}}", store());
}

static void more_than_32_top_level_keys_are_refused(void **state)
{
    char path[32];

    (void)state;
    take("{}");
    for (int i = 0; i < 40; i++) {
        (void)snprintf(path, sizeof path, "k%d.x", i);
        assert_int_equal(i < 32 ? 0 : FFI_TOO_MANY, put(path, "1"));
    }
    assert_int_equal(0, put("k1.y", "2"));
    assert_non_null(strstr(store(), "\"k1\":{\"x\":1,\"y\":2}"));
}

/* ---- the model ---- */

static uint64_t seed = 1;

static unsigned dice(unsigned n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % n;
}

static const char *const spelled[][2] = {{"a", "\\u0061"},       {"b", "\\u0062"},
                                         {"a.b", "a\\u002eb"},   {"ip", "\\u0069p"},
                                         {"x[1]", "x\\u005b1]"}, {"\\\\", "\\u005c"}};
static const char *const as_path[] = {"a", "b", "a\\.b", "ip", "x\\[1]", "\\\\"};

static size_t random_value(char *out, int depth, bool top);

static size_t random_object(char *out, int depth, bool top)
{
    size_t n = 0;
    unsigned count = dice(5), used = 0;

    out[n++] = '{';
    for (unsigned i = 0; i < count; i++) {
        unsigned k = dice(N_ELEMS(as_path));

        /* The scanner refuses events with a top-level key twice. */
        if (top && (used & 1u << k) != 0) {
            continue;
        }
        n += (size_t)sprintf(out + n, "%s\"%s\":%s", used == 0 ? "" : ",",
                             spelled[k][dice(4) == 0], dice(3) == 0 ? " " : "");
        used |= 1u << k;
        n += random_value(out + n, depth + 1, false);
    }
    out[n++] = '}';
    return n;
}

static size_t random_value(char *out, int depth, bool top)
{
    static const char *const plain[] = {"1",    "-2",         "null", "true",
                                        "\"\"", "\"a\\\"b\"", "{}",   "[]"};
    size_t n = 0;

    if (top || (depth < 4 && dice(2) == 0)) {
        return random_object(out, depth, top);
    }
    if (depth < 4 && dice(4) == 0) {
        unsigned count = dice(4);

        out[n++] = '[';
        for (unsigned i = 0; i < count; i++) {
            n += (size_t)sprintf(out + n, "%s", i == 0 ? "" : ", ");
            n += random_value(out + n, depth + 1, false);
        }
        out[n++] = ']';
        return n;
    }
    return (size_t)sprintf(out, "%s", plain[dice(N_ELEMS(plain))]);
}

static unsigned random_path(char *text, struct step *steps)
{
    unsigned count = 1 + dice(4), n = 0;

    for (unsigned i = 0; i < count; i++) {
        steps[i] = (struct step){(int)dice(N_ELEMS(as_path)), 0};
        if (i > 0 && dice(4) == 0) {
            steps[i].at = 1 + (int)dice(3);
            n += (unsigned)sprintf(text + n, "[%d]", steps[i].at);
        } else {
            n += (unsigned)sprintf(text + n, "%s%s", i == 0 ? "" : ".",
                                   as_path[steps[i].key]);
        }
    }
    return count;
}

static void assert_same(const cJSON *model, const char *text, size_t n,
                        const char *from, const char *path)
{
    cJSON *v = cJSON_ParseWithLength(text, n);
    char *a = sorted(model), *b;

    if (v == NULL) {
        fail_msg("%s, %s: no JSON: %.*s", from, path, (int)n, text);
        return;
    }
    b = sorted(v);
    if (strcmp(a, b) != 0) {
        fail_msg("%s, %s: %s, not %s", from, path, b, a);
    }
    cJSON_Delete(v);
    free(a);
    free(b);
}

static void random_edits_do_what_the_model_does(void **state)
{
    static char text[TEXT_MAX], value[TEXT_MAX];
    const char *times = getenv("SLUICE_EDITS");
    unsigned rounds = times == NULL ? 20000 : (unsigned)atoi(times);
    unsigned done = 0, refused = 0, removed = 0;

    (void)state;
    for (unsigned i = 0; i < rounds; i++) {
        cJSON *model;

        text[random_value(text, 0, true)] = '\0';
        take(text);
        model = cJSON_Parse(text);
        for (unsigned k = 0, count = 1 + dice(6); k < count; k++) {
            char path[128];
            struct step steps[8];
            unsigned n = random_path(path, steps);
            bool remove = dice(3) == 0;
            struct sluice_value got;
            const cJSON *want;
            cJSON *v;

            value[random_value(value, 2, false)] = '\0';
            v = remove ? NULL : cJSON_Parse(value);
            if (!remove && !model_may(model, steps, n)) {
                assert_int_equal(FFI_BLOCKED, put(path, value));
                refused++;
            } else {
                assert_int_equal(0, put(path, remove ? NULL : value));
                model = model_put(model, steps, n, v);
                done++;
                removed += remove;
            }
            cJSON_Delete(v);
            n = random_path(path, steps);
            want = model_find(model, steps, n);
            if ((want != NULL) !=
                (sluice_get(&owner.context, event(), path, strlen(path), &got) == 1)) {
                fail_msg("%s: %s is %s", text, path,
                         want == NULL ? "found" : "not found");
            }
            if (want != NULL && got.kind != SLOT_STRING && got.kind != SLOT_ESCAPED) {
                assert_same(want, got.text, got.len, text, path);
            } else if (want != NULL) {
                assert_int_equal(strlen(want->valuestring), got.len);
                assert_memory_equal(want->valuestring, got.text, got.len);
            }
        }
        (void)store();
        assert_same(model, stored, strlen(stored), text, "stored");
        cJSON_Delete(model);
    }
    assert_true(done > rounds && refused > rounds / 2 && removed > rounds / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_edit_changes_what_its_path_names_and_nothing_else),
        cmocka_unit_test(an_edit_that_can_not_be_is_refused_and_changes_nothing),
        cmocka_unit_test(an_escaped_key_of_any_length_is_found),
        cmocka_unit_test(more_than_32_top_level_keys_are_refused),
        cmocka_unit_test(random_edits_do_what_the_model_does),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
