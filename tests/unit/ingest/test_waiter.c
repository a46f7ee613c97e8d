/* Requests that wait for a sync or a sink: no more of them than the bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "ingest/internal.h"

/* The bound does not show from outside: requests beyond it get 503 long before. */
static void the_last_waiter_is_had_and_one_more_is_not(void **state)
{
    struct ingest *in = calloc(1, sizeof *in);
    struct waiter **list = calloc(WAITERS_MAX, sizeof(struct waiter *));

    (void)state;
    assert_non_null(in);
    assert_non_null(list);
    for (uint32_t i = 0; i < WAITERS_MAX; i++) {
        list[i] = waiter_get(in);
        assert_non_null(list[i]);
    }
    assert_null(waiter_get(in));
    assert_int_equal(WAITERS_MAX, in->n_waiters);
    waiter_put(in, list[0]);
    list[0] = waiter_get(in);
    assert_non_null(list[0]);
    assert_null(waiter_get(in));
    for (uint32_t i = 0; i < WAITERS_MAX; i++) {
        waiter_put(in, list[i]);
    }
    assert_int_equal(0, in->n_waiters);
    while (in->free_waiters != NULL) {
        struct waiter *next = in->free_waiters->next;

        free(in->free_waiters);
        in->free_waiters = next;
    }
    free(list);
    free(in);
}

/* Else DELIVERING_MAX answers would be the last ones. */
static void an_answered_request_does_not_wait_for_sinks_any_more(void **state)
{
    struct ingest *in = calloc(1, sizeof *in);
    struct waiter *w = waiter_get(in);

    (void)state;
    w->delivering = true; /* as store.c does */
    in->n_delivering = 1;
    waiter_put(in, w);
    assert_int_equal(0, in->n_delivering);
    w = waiter_get(in);
    assert_false(w->delivering);
    waiter_put(in, w);
    assert_int_equal(0, in->n_delivering);
    free(in->free_waiters);
    free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_waiter_is_had_and_one_more_is_not),
        cmocka_unit_test(an_answered_request_does_not_wait_for_sinks_any_more)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
