/* The meaning of a status for a batch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "sink/http/internal.h"
#include "sink/http/plain.h"

struct row {
    int status;
    bool sent;
    enum sink_verdict_kind kind;
};

static const struct row rows[] = {
    {0, false, SINK_RETRY},
    {0, true, SINK_MAYBE},
    {200, true, SINK_OK},
    /* It can't have been taken: not all of it was there. */
    {200, false, SINK_MAYBE},
    {204, false, SINK_MAYBE},
    {202, true, SINK_OK},
    {204, true, SINK_OK},
    {301, true, SINK_SETUP},
    {304, true, SINK_SETUP},
    {400, true, SINK_DATA},
    {401, true, SINK_SETUP},
    {403, true, SINK_SETUP},
    {404, true, SINK_SETUP},
    {405, true, SINK_SETUP},
    {408, true, SINK_RETRY},
    {409, true, SINK_RETRY},
    {410, true, SINK_SETUP},
    {413, false, SINK_SPLIT},
    {415, true, SINK_SETUP},
    {422, true, SINK_DATA},
    {425, true, SINK_RETRY},
    {429, true, SINK_RETRY},
    {500, true, SINK_MAYBE},
    {502, true, SINK_MAYBE},
    {503, true, SINK_RETRY},
    {504, true, SINK_MAYBE},
};

static void each_status_means_what_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        struct data_error r = plain_data_error(rows[i].status, rows[i].sent, 0);

        assert_int_equal(rows[i].kind, r.kind);
        assert_int_equal(rows[i].status, r.code);
        assert_int_equal(-1, r.row);
    }
}

static void retry_after_holds_only_what_is_sent_again(void **state)
{
    (void)state;
    assert_int_equal(7000, plain_data_error(503, true, 7000).after_ms);
    assert_int_equal(7000, plain_data_error(429, true, 7000).after_ms);
    assert_int_equal(0, plain_data_error(400, true, 7000).after_ms);
    assert_int_equal(0, plain_data_error(413, true, 7000).after_ms);
}

static void who_asks_for_less_is_up(void **state)
{
    (void)state;
    assert_true(plain_data_error(429, true, 0).too_many_parts);
    assert_false(plain_data_error(503, true, 0).too_many_parts);
}

static void one_event_that_is_too_large_is_its_own_fault(void **state)
{
    (void)state;
    assert_int_equal(SINK_DATA, plain_data_error(413, true, 0).alone);
}

/* Only a batch that may be there is there when the receiver says so. */
static void a_conflict_counts_as_taken_only_when_it_is_sent_again(void **state)
{
    static const uint16_t taken[] = {410};
    struct sink_plan plan = {.http = {.id_header = "Idempotency-Key"}};
    struct sink s = {.conf = {.plan = &plan}};
    struct endpoint p = {.sink = &s};
    struct transfer_answer a = {.status = 409, .sent = true};

    (void)state;
    assert_int_equal(SINK_RETRY, protocol_plain.classify(&p, &a, false).kind);
    assert_int_equal(SINK_OK, protocol_plain.classify(&p, &a, true).kind);
    a.sent = false;
    assert_int_equal(SINK_RETRY, protocol_plain.classify(&p, &a, true).kind);
    a.sent = true;
    plan.http.id_header = NULL; /* it knows no batch by its id */
    assert_int_equal(SINK_RETRY, protocol_plain.classify(&p, &a, true).kind);
    a.status = 410;
    assert_int_equal(SINK_SETUP, protocol_plain.classify(&p, &a, false).kind);
    plan.http.taken = taken; /* the policy says so */
    plan.http.n_taken = 1;
    assert_int_equal(SINK_OK, protocol_plain.classify(&p, &a, false).kind);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_status_means_what_the_table_says),
        cmocka_unit_test(retry_after_holds_only_what_is_sent_again),
        cmocka_unit_test(who_asks_for_less_is_up),
        cmocka_unit_test(one_event_that_is_too_large_is_its_own_fault),
        cmocka_unit_test(a_conflict_counts_as_taken_only_when_it_is_sent_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
