/* All events of a request are appended or none, and not too many requests wait. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/err.h"
#include "ingest/internal.h"
#include "plan/plan.h"
#include "spool/spool.h"

#include "ingest/fixture.h"
#include "spool/fixture.h"

static void a_request_that_does_not_fit_leaves_nothing(void **state)
{
    static const char small[] = "{\"n\":1}\n{\"text\":\"";
    size_t before[2];
    uint64_t pending;
    struct waiter w = {0};

    (void)state;
    (void)strcpy(body, "{\"n\":0}\n");
    assert_int_equal(STORE_OK, store(&w));
    for (int i = 0; i < 2; i++) {
        before[i] = spool_writer_pending(writer(i)->writer);
        assert_true(before[i] > 0);
    }
    pending = in->pending_bytes;
    /* Its second event is larger than a segment. */
    memset(body, 'x', 2 * SEGMENT);
    memcpy(body, small, sizeof small - 1);
    (void)strcpy(body + 2 * SEGMENT, "\"}\n");
    assert_int_equal(STORE_TOO_LARGE, store(&w));
    assert_int_equal(pending, in->pending_bytes);
    assert_int_equal(0, w.touched);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(before[i], spool_writer_pending(writer(i)->writer));
        assert_int_equal(1, writer(i)->n_pending);
    }
}

/* Those that wait for a slow sink leave places to the others. */
static void the_last_place_for_sinks_is_had_and_one_more_is_not(void **state)
{
    struct waiter w = {0};

    (void)state;
    assert_true(DELIVERING_MAX <= WAITERS_MAX / 2);
    (void)strcpy(body, "{\"n\":0}\n");
    writer(1)->delivered = true;
    in->n_delivering = DELIVERING_MAX - 1;
    assert_int_equal(STORE_OK, store(&w));
    assert_true(w.delivering);
    assert_int_equal(DELIVERING_MAX, in->n_delivering);
    w = (struct waiter){0};
    assert_int_equal(STORE_CROWDED, store(&w));
    assert_int_equal(1, writer(0)->n_pending);
    w = (struct waiter){0};
    writer(1)->delivered = false; /* one that does not wait for sinks */
    assert_int_equal(STORE_OK, store(&w));
    assert_int_equal(DELIVERING_MAX, in->n_delivering);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_request_that_does_not_fit_leaves_nothing,
                                        begin, end),
        cmocka_unit_test_setup_teardown(
            the_last_place_for_sinks_is_had_and_one_more_is_not, begin, end)};

    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
