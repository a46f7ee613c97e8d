/* Keys are known in any order: the same slots are filled, and a key given twice is
 * found, whatever the events before had. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/err.h"
#include "decode/scan.h"

enum { BODY_BYTES = 8 << 20, N_KEYS = 12 };

/* As sent, and as a schema names them. The last two are long, and alike in their first
 * 16 and their last 8 bytes. */
static const char *const keys[N_KEYS] = {"id",
                                         "type",
                                         "user",
                                         "at",
                                         "value",
                                         "ok",
                                         "p",
                                         "caf\xC3\xA9",
                                         "device",
                                         "device2",
                                         "the_same_16_bytes_1_and_8_more",
                                         "the_same_16_bytes_2_and_8_more"};

static struct arena arena;
static struct event_batch batch;
static struct scan_keys *schema;
static char *body;
static size_t n_body;
static uint64_t state = 1;

static unsigned below(unsigned n)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % n;
}

static void put(const char *text)
{
    size_t n = strlen(text);

    memcpy(body + n_body, text, n + 1);
    n_body += n;
}

static void put_member(const char *key, const char *value)
{
    put(body[n_body - 1] == '{' ? "\"" : ",\"");
    put(key);
    put("\":");
    put(value);
}

static void scan(enum scan_shape shape)
{
    static const struct scan_limits limits = {100000, 64};
    struct scan_error se;

    memset(body + n_body, '"', SCAN_PAD);
    assert_int_equal(scan_body(&batch, schema, shape, &limits, body, n_body, &se),
                     SCAN_OK);
}

static void shuffle(unsigned order[N_KEYS])
{
    for (unsigned i = 0; i < N_KEYS; i++) {
        unsigned k = below(i + 1);

        order[i] = order[k];
        order[k] = i;
    }
}

/* The value of key k in event number. */
static const char *value_of(unsigned k, unsigned number)
{
    static char text[64];

    (void)snprintf(text, sizeof text, k % 3 == 0 ? "\"v%u.%u\"" : "%u%02u", k, number);
    if (k == 6) {
        (void)snprintf(text, sizeof text, "{\"page\":\"/%u\",\"id\":%u}", number,
                       number);
    }
    return text;
}

/* An event with its keys in order, of which each but one in skip is there. */
static void put_event(const unsigned order[N_KEYS], unsigned number, unsigned skip)
{
    put("{");
    for (unsigned i = 0; i < N_KEYS; i++) {
        if (order[i] % skip != skip - 1) {
            put_member(keys[order[i]], value_of(order[i], number));
        }
    }
    put("}");
}

static void assert_slot(const struct slot *x, const char *want)
{
    bool quoted = want[0] == '"';

    assert_int_equal(x->tag >> 4, strlen(want) - 2 * quoted);
    assert_memory_equal(body + x->off, want + quoted, x->tag >> 4);
    if ((x->tag & 15) == SLOT_NUMBER) {
        assert_true(x->num == atof(want));
    }
}

static void assert_event(const struct event *ev, unsigned number, unsigned skip)
{
    char page[16], id[16];

    assert_int_equal(ev->fate, EVENT_ACCEPT);
    for (unsigned k = 0; k < N_KEYS; k++) {
        if (k % skip == skip - 1) {
            assert_int_equal(ev->slots[k].tag, SLOT_ABSENT);
        } else {
            assert_slot(&ev->slots[k], value_of(k, number));
        }
    }
    if (6 % skip != skip - 1) {
        (void)snprintf(page, sizeof page, "\"/%u\"", number);
        (void)snprintf(id, sizeof id, "%u", number);
        assert_slot(&ev->slots[N_KEYS], page);
        assert_slot(&ev->slots[N_KEYS + 1], id);
    }
}

static void fills_the_same_slots_in_any_order(void **state_)
{
    unsigned order[N_KEYS], skips[1000];

    (void)state_;
    for (unsigned round = 0; round < 5; round++) {
        n_body = 0;
        put("[");
        for (unsigned i = 0; i < 1000; i++) {
            /* An order stays for a while in some rounds, and for one event in others. */
            if (i % (1 + 100 * (round % 3)) == 0) {
                shuffle(order);
            }
            skips[i] = round < 2 ? 100 : 2 + below(6);
            put(i == 0 ? "" : ",");
            put_event(order, i, skips[i]);
        }
        put("]");
        scan(SCAN_ARRAY);
        assert_int_equal(batch.n, 1000);
        for (unsigned i = 0; i < 1000; i++) {
            assert_event(&batch.events[i], i, skips[i]);
        }
    }
}

static void finds_a_key_given_twice_in_any_order(void **state_)
{
    unsigned order[N_KEYS];

    (void)state_;
    for (unsigned i = 0; i < 3000; i++) {
        unsigned twice = below(N_KEYS), where = below(N_KEYS);
        char escaped[64];

        if (i % 100 < 90) {
            shuffle(order);
        }
        (void)snprintf(escaped, sizeof escaped, "\\u%04x%s", (unsigned)keys[twice][0],
                       keys[twice] + 1);
        n_body = 0;
        put("{");
        for (unsigned k = 0; k < N_KEYS; k++) {
            put_member(keys[order[k]], value_of(order[k], i));
            if (k == where) {
                put_member(i % 3 == 0 ? escaped : keys[twice], "0");
            }
        }
        put("}");
        scan(SCAN_EVENT);
        assert_int_equal(batch.events[0].fate, EVENT_REJECT);
        assert_string_equal(batch.events[0].code, "duplicate_key");
        assert_string_equal(batch.events[0].field, keys[twice]);
    }
}

static void names_the_first_of_two_keys_given_twice(void **state_)
{
    static const char *const rows[][2] = {
        {"{\"id\":1,\"new1\":1,\"id\":2,\"new1\":2}", "id"},
        {"{\"id\":1,\"new2\":1,\"new2\":2,\"id\":2}", "new2"},
        {"{\"p\":{\"id\":1,\"id\":2},\"type\":1,\"type\":2}", "id"},
        {"{\"p\":{\"id\":1,\"page\":2},\"p\":{\"id\":1},\"type\":1}", "p"},
        {"{\"p\":{\"new3\":1,\"new3\":2},\"p\":{\"id\":1}}", "new3"}};

    (void)state_;
    for (unsigned i = 0; i < 40 * 5; i++) {
        n_body = 0;
        put(rows[i % 5][0]);
        scan(SCAN_EVENT);
        assert_string_equal(batch.events[0].code, "duplicate_key");
        assert_string_equal(batch.events[0].field, rows[i % 5][1]);
    }
}

/* More keys than a shape has, in events that go on to have the schema's. */
static void reads_events_whose_keys_are_always_new(void **state_)
{
    unsigned order[N_KEYS];
    char key[80];

    (void)state_;
    for (unsigned i = 0; i < 3000; i++) {
        unsigned twice = i % 7 == 0;

        shuffle(order);
        n_body = 0;
        put_event(order, i, 100);
        n_body--;
        for (unsigned k = 0; k < 4 + twice; k++) {
            /* Now and then too long to be learned, or with the same beginning. */
            (void)snprintf(key, sizeof key,
                           i % 3 == 0   ? "new_%u_%u"
                           : i % 3 == 1 ? "always_the_same_%u_%u_and_the_same_end"
                                        : "%060u_%u",
                           i, k % 4);
            put_member(key, "1");
        }
        put("}");
        scan(SCAN_EVENT);
        if (twice) {
            assert_string_equal(batch.events[0].code, "duplicate_key");
        } else {
            assert_event(&batch.events[0], i, 100);
        }
    }
}

/* One schema an event in turn, of more than whose keys are kept. */
static void keeps_the_keys_of_schemas_apart(void **state_)
{
    struct scan_keys *whole = schema, *others[10];
    struct err e;

    (void)state_;
    for (unsigned i = 0; i < 10; i++) {
        const struct str paths[] = {{keys[i], strlen(keys[i])}, STR("p.id")};

        others[i] = scan_keys_new(paths, 2, &e);
        assert_non_null(others[i]);
    }
    for (unsigned i = 0; i < 400; i++) {
        unsigned order[N_KEYS], k = i < 200 ? i % 3 : below(10);

        shuffle(order);
        n_body = 0;
        put_event(order, i, 100);
        schema = others[k];
        scan(SCAN_EVENT);
        assert_int_equal(batch.events[0].fate, EVENT_ACCEPT);
        assert_slot(&batch.events[0].slots[0], value_of(k, i));
        body[--n_body] = '\0';
        put_member(keys[k], "0");
        put("}");
        scan(SCAN_EVENT);
        assert_string_equal(batch.events[0].field, keys[k]);
    }
    for (unsigned i = 0; i < 10; i++) {
        scan_keys_free(others[i]);
    }
    schema = whole;
}

/* CPU seconds for an event of 100,000 keys, and for 25,000 events of four. */
static double spent(const char *format)
{
    struct timespec a, b;
    char key[80];

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    n_body = 0;
    put("{");
    for (unsigned i = 0; i < 100000; i++) {
        (void)snprintf(key, sizeof key, format, i);
        put_member(key, "1");
    }
    put("}");
    scan(SCAN_EVENT);
    assert_int_equal(batch.events[0].fate, EVENT_ACCEPT);
    n_body = 0;
    put("[");
    for (unsigned i = 0; i < 100000; i++) {
        (void)snprintf(key, sizeof key, format, i);
        put(i % 4 > 0 ? "" : i == 0 ? "{" : "},{");
        put_member(key, "1");
    }
    put("}]");
    scan(SCAN_ARRAY);
    assert_int_equal(batch.n, 25000);
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    return (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) / 1e9;
}

/* Those of the first sort have one hash in the shape's table. */
static void reads_100000_keys_that_collide_as_fast_as_others(void **state_)
{
    double chosen = spent("always_the_same_%07u_always_the_same");
    double usual = spent("%07u_these_are_as_long_as_the_others");

    (void)state_;
    print_message("chosen keys %.0f ms, others %.0f ms\n", 1000 * chosen, 1000 * usual);
    assert_true(chosen < 10 * usual + 0.05);
}

static int setup(void **state_)
{
    struct str paths[N_KEYS + 2];
    struct err e;

    (void)state_;
    for (unsigned i = 0; i < N_KEYS; i++) {
        paths[i] = (struct str){keys[i], strlen(keys[i])};
    }
    paths[N_KEYS] = STR("p.page");
    paths[N_KEYS + 1] = STR("p.id");
    body = malloc(BODY_BYTES);
    arena_init(&arena, 64 << 20);
    event_batch_init(&batch, &arena);
    schema = scan_keys_new(paths, N_KEYS + 2, &e);
    return body == NULL || schema == NULL;
}

static int teardown(void **state_)
{
    (void)state_;
    event_batch_fini(&batch);
    scan_keys_free(schema);
    arena_fini(&arena);
    free(body);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fills_the_same_slots_in_any_order),
        cmocka_unit_test(finds_a_key_given_twice_in_any_order),
        cmocka_unit_test(names_the_first_of_two_keys_given_twice),
        cmocka_unit_test(reads_events_whose_keys_are_always_new),
        cmocka_unit_test(keeps_the_keys_of_schemas_apart),
        cmocka_unit_test(reads_100000_keys_that_collide_as_fast_as_others)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
