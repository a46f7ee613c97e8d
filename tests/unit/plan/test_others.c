/* Members that the schema does not name: kept, refused, or dropped. */
#include "plan/others.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/err.h"
#include "decode/scan.h"

static struct arena arena;
static struct event_batch batch;
static struct params_room room;
static struct schema schema;

static int setup(void **state)
{
    static const struct str paths[] = {STR("id"), STR("p.n")};
    struct err e;

    (void)state;
    arena_init(&arena, 1 << 20);
    event_batch_init(&batch, &arena);
    schema.keys = scan_keys_new(paths, 2, &e);
    return schema.keys == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    scan_keys_free(schema.keys);
    free(room.p);
    event_batch_fini(&batch);
    arena_fini(&arena);
    return 0;
}

static const char *apply(enum others others, const char *text)
{
    static const struct scan_limits limits = {100, 64};
    static char body[4096 + SCAN_PAD];
    struct scan_error se;

    memset(body, 0, sizeof body);
    memcpy(body, text, strlen(text));
    assert_int_equal(SCAN_OK, scan_body(&batch, schema.keys, SCAN_NDJSON, &limits, body,
                                        strlen(text), &se));
    assert_null(batch.sent);
    schema.others = others;
    others_apply(&schema, &batch, &room);
    return body;
}

static void event_is(uint32_t i, const char *want, const char *was)
{
    const struct event *ev = &batch.events[i];

    assert_int_equal(strlen(want), ev->len);
    assert_memory_equal(want, batch.body + ev->off, ev->len);
    assert_true(ev->off + ev->len <= batch.body_len);
    assert_int_equal(strlen(was), batch.places[i].len);
    assert_memory_equal(was, batch.sent + batch.places[i].off, strlen(was));
}

static void dropped_members_are_in_no_event(void **state)
{
    const char *body;

    (void)state;
    for (int i = 0; i < 3; i++) {
        body = apply(OTHERS_DROP,
                     "{\"m\":1,\"id\":2}\n{\"x\nbad\n{\"p\":{\"n\":3,\"o\":4}}"
                     "\n{\"m\":{\"p\":{\"n\":3}}}");
        assert_int_equal(5, batch.n);
        assert_ptr_equal(body, batch.sent);
        event_is(0, "{\"id\":2}", "{\"m\":1,\"id\":2}");
        event_is(1, "{\"x", "{\"x");
        event_is(2, "bad", "bad");
        event_is(3, "{\"p\":{\"n\":3}}", "{\"p\":{\"n\":3,\"o\":4}}");
        event_is(4, "{}", "{\"m\":{\"p\":{\"n\":3}}}");
        assert_memory_equal("3", batch.body + batch.events[3].slots[1].off, 1);
        /* The room grows with a request and stays. */
        body = apply(OTHERS_DROP,
                     "{\"id\":\"ccccccccccccccccccccccccccccccccc\",\"y\":0}");
        assert_int_equal(1, batch.n);
        assert_memory_equal("ccccc", batch.body + batch.events[0].slots[0].off, 5);
    }
}

static void an_event_with_another_member_is_refused_alone(void **state)
{
    (void)state;
    (void)apply(OTHERS_REFUSE, "{\"id\":2}\n{\"p\":{\"o\":4}}\nbad\n{\"z\":1}");
    assert_null(batch.sent);
    assert_int_equal(EVENT_ACCEPT, batch.events[0].fate);
    assert_int_equal(EVENT_REJECT, batch.events[1].fate);
    assert_string_equal("unknown_field", batch.events[1].code);
    assert_string_equal("p.o", batch.events[1].field);
    assert_string_equal("invalid_json", batch.events[2].code);
    assert_string_equal("z", batch.events[3].field);
}

static void all_members_are_kept_otherwise(void **state)
{
    const char *body;

    (void)state;
    body = apply(OTHERS_KEEP, "{\"z\":1}");
    assert_ptr_equal(body, batch.body);
    assert_int_equal(EVENT_ACCEPT, batch.events[0].fate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dropped_members_are_in_no_event),
        cmocka_unit_test(an_event_with_another_member_is_refused_alone),
        cmocka_unit_test(all_members_are_kept_otherwise),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
