/* Plans of an earlier process: kept in each new journal until they are made anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "delivery/internal.h"
#include "delivery/scripted.h"
#include "delivery/subscription.h"

static struct subscription subscription = {.name = "events"};
static unsigned n_plans;
static uint64_t last_id;

static void on_record(void *arg, const struct record *r)
{
    (void)arg;
    if (r->type == RECORD_PLAN) {
        n_plans++;
        last_id = r->value;
        assert_int_equal(2, r->n_ranges);
        assert_int_equal(40, r->ranges[1].first);
        assert_true(str_eq(STR("db.t"), r->id)); /* where it was planned for */
    }
}

static void emit(void *arg, struct journal_draft *draft)
{
    (void)arg;
    subscription_emit_intents(&subscription, "olap", draft);
}

static void a_plan_outlives_the_journal_it_stood_in(void **state)
{
    static const struct batch_range ranges[2] = {{1, 0, 5, 10}, {1, 1, 40, 3}};
    static const struct batch_range done[2] = {{1, 0, 1, 14}, {1, 1, 40, 3}};
    char path[] = "/tmp/sluice-test-XXXXXX";
    int fd = mkstemp(path);
    struct err e = {""};
    struct journal *j;

    (void)state;
    (void)close(fd);
    (void)unlink(path);
    j = journal_open(path, on_record, NULL, &e);
    assert_non_null(j);
    subscription_intend(&subscription, 7, STR("db.t"), ranges, 2);
    subscription_replayed(&subscription);
    assert_non_null(subscription.intents);
    assert_true(journal_rewrite(j, emit, NULL, &e));
    journal_close(j);
    j = journal_open(path, on_record, NULL, &e);
    assert_int_equal(1, n_plans);
    assert_int_equal(7, last_id);
    journal_close(j);
    (void)unlink(path);
    /* Delivered meanwhile: no plan any more. */
    for (int i = 0; i < 2; i++) {
        (void)ack_tracker_ack(&subscription.acks, &done[i]);
    }
    subscription_replayed(&subscription);
    assert_null(subscription.intents);
    free(subscription.spans);
    ack_tracker_fini(&subscription.acks);
}

static void a_part_sent_alone_is_a_plan_of_its_own(void **state)
{
    static const struct batch_range whole[2] = {{1, 0, 5, 10}, {1, 1, 40, 4}};
    static const struct batch_range half[2] = {{1, 0, 12, 3}, {1, 1, 40, 2}};
    static const struct batch_range quarter[1] = {{1, 0, 13, 1}};
    static const struct {
        uint32_t n;
        struct batch_range ranges[2];
    } want[] = {{2, {{1, 0, 5, 7}, {1, 1, 42, 2}}},
                {3, {{1, 0, 12, 1}, {1, 0, 14, 1}}},
                {1, {{1, 0, 13, 1}}}};
    struct subscription o = {.name = "events"};
    uint32_t n = 0;

    (void)state;
    subscription_intend(&o, 7, STR("db.t"), whole, 2);
    subscription_split(&o, 8, half, 2); /* another's */
    assert_int_equal(2, o.intents->n);
    free(o.intents->next);
    o.intents->next = NULL;
    subscription_split(&o, 7, half, 2);
    subscription_split(&o, 7, quarter, 1);
    while (o.intents != NULL) {
        struct intent *p = o.intents;

        assert_int_equal(7, p->id);
        assert_int_equal(want[n].n, p->n);
        for (uint32_t i = 0; i < p->n && i < 2; i++) {
            assert_memory_equal(&want[n].ranges[i], &p->ranges[i], sizeof p->ranges[i]);
        }
        o.intents = p->next;
        free(p);
        n++;
    }
    assert_int_equal(3, n);
}

/* Its remaining rows say nothing of the table: other rows passed, or were bad. */
static void a_batch_that_was_taken_in_part_is_proven(void **state)
{
    static const struct batch_range planned[2] = {{1, 0, 5, 10}, {1, 1, 40, 4}};
    static const struct batch_range settled[] = {
        {1, 0, 1, 4},  /* before it: none of it */
        {1, 0, 1, 5},  /* its first event */
        {1, 0, 14, 1}, /* one from the end of a range */
        {1, 1, 42, 1}, /* one from the middle */
        {1, 1, 44, 1}  /* behind it: none of it */
    };

    (void)state;
    for (size_t i = 0; i < sizeof settled / sizeof *settled; i++) {
        struct subscription o = {.name = "events"};

        subscription_intend(&o, 7, STR("db.t"), planned, 2);
        (void)ack_tracker_ack(&o.acks, &settled[i]);
        subscription_replayed(&o);
        assert_non_null(o.intents);
        assert_int_equal(i != 0 && i != 4, o.intents->proven);
        free(o.intents);
        free(o.spans);
        ack_tracker_fini(&o.acks);
    }
}

/* ---- more ranges than a batch or a record takes ---- */

enum { EACH = 3 };

/* Those of two workers in turn, so that none continues the one before. */
static void in_turn(struct batch_range *ranges, uint32_t epoch)
{
    for (uint32_t i = 0; i < BATCH_RANGES_MAX; i++) {
        ranges[i] = (struct batch_range){epoch, i % 2, 1 + i / 2 * EACH, EACH};
    }
}

/* Its journal did not take that a part of it is one of its own. */
static void a_plan_with_a_gap_is_sent_in_as_many_batches_as_it_takes(void **state)
{
    struct batch_range ranges[BATCH_RANGES_MAX];
    struct subscription *o;

    (void)state;
    bus.wait = true;
    bus_open();
    in_turn(ranges, spool_epoch(bus.spool));
    for (uint32_t i = 0; i < BATCH_RANGES_MAX; i++) {
        store_by(i % 2, i, EACH);
    }
    o = &bus.d->subscriptions[0];
    subscription_intend(o, 7, STR(""), ranges, BATCH_RANGES_MAX);
    (void)ack_tracker_ack(&o->acks, &(struct batch_range){ranges[0].epoch, 0, 2, 1});
    subscription_replayed(o);
    delivery_go(bus.d, true);
    until_submitted(2);
    assert_int_equal((BATCH_RANGES_MAX - 1) * EACH - 1, script.list[0].n);
    assert_int_equal(EACH, script.list[1].n);
    assert_null(o->intents);
}

/* Zeros in the place of the blocks that a worker has written. */
static void wipe(uint32_t worker)
{
    static const char zeros[4096];
    char pattern[256];
    glob_t found;

    (void)snprintf(pattern, sizeof pattern, "%s/events/%u.%u/*.seg", dir,
                   spool_epoch(bus.spool), worker);
    assert_int_equal(0, glob(pattern, 0, NULL, &found));
    for (size_t i = 0; i < found.gl_pathc; i++) {
        int fd = open(found.gl_pathv[i], O_WRONLY);

        assert_true(fd >= 0);
        assert_int_equal(sizeof zeros, pwrite(fd, zeros, sizeof zeros, 4096));
        (void)close(fd);
    }
    globfree(&found);
}

static bool has_skipped(const struct delivery_status *s)
{
    return s->skipped == 1;
}

/* As such events do that are in no plan. */
static void what_is_gone_of_a_plan_is_skipped_where_the_sink_may_skip(void **state)
{
    struct batch_range one;
    struct subscription *o;

    (void)state;
    bus.wait = true;
    bus_open();
    store_by(0, 1, 1);
    wipe(0);
    one = (struct batch_range){spool_epoch(bus.spool), 0, 1, 1};
    o = &bus.d->subscriptions[0];
    o->conf.skip = true;
    subscription_intend(o, 7, STR(""), &one, 1);
    subscription_replayed(o);
    delivery_go(bus.d, true);
    (void)until_status(has_skipped);
    assert_int_equal(0, o->lost);
}

static bool has_lost(const struct delivery_status *s)
{
    return s->lost >= 5;
}

static void on_unsure(void *arg, const struct record *r)
{
    struct batch_range *sum = arg;

    if (r->type == RECORD_SKIP && r->value == PLACES_UNSURE) {
        sum->first = sum->n == 0 ? r->ranges[0].first : sum->first;
        sum->n += r->ranges[0].n;
    }
}

/* Of the events that are gone with them, the readers tell. */
static void only_what_was_planned_is_gone_of_a_plan(void **state)
{
    struct batch_range part, unsure = {.n = 0};
    struct subscription *o;
    struct doubt gone;
    struct err e = {""};

    (void)state;
    bus.wait = true;
    bus_open();
    store_by(0, 1, 5);
    wipe(0);
    part = (struct batch_range){spool_epoch(bus.spool), 0, 2, 2};
    o = &bus.d->subscriptions[0];
    subscription_intend(o, 7, STR(""), &part, 1);
    subscription_replayed(o);
    delivery_go(bus.d, true);
    assert_int_equal(5, until_status(has_lost).lost);
    assert_true(places_read(bus.d->journal_path, on_unsure, &unsure, &gone, &e));
    doubt_free(&gone);
    assert_int_equal(2, unsure.first);
    assert_int_equal(2, unsure.n);
}

static uint32_t n_emitted, n_records;

static void count_ranges(void *arg, const struct record *r)
{
    (void)arg;
    assert_int_equal(RECORD_PLAN, r->type);
    assert_int_equal(7, r->value);
    n_emitted += r->n_ranges;
    n_records++;
}

static void emit_of(void *arg, struct journal_draft *draft)
{
    subscription_emit_intents(arg, "olap", draft);
}

static void a_plan_with_a_gap_takes_two_records(void **state)
{
    static const struct batch_range part = {1, 0, 2, 1};
    struct batch_range ranges[BATCH_RANGES_MAX];
    struct subscription gap = {.name = "events"};
    char path[] = "/tmp/sluice-test-XXXXXX";
    struct err e = {""};
    struct journal *j;

    (void)state;
    (void)close(mkstemp(path));
    (void)unlink(path);
    in_turn(ranges, 1);
    subscription_intend(&gap, 7, STR(""), ranges, BATCH_RANGES_MAX);
    subscription_split(&gap, 7, &part, 1);
    j = journal_open(path, count_ranges, NULL, &e);
    assert_non_null(j);
    assert_true(journal_rewrite(j, emit_of, &gap, &e));
    journal_close(j);
    j = journal_open(path, count_ranges, NULL, &e);
    assert_non_null(j);
    journal_close(j);
    (void)unlink(path);
    assert_int_equal(3, n_records); /* and the part */
    assert_int_equal(BATCH_RANGES_MAX + 2, n_emitted);
    while (gap.intents != NULL) {
        struct intent *p = gap.intents;

        gap.intents = p->next;
        free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_sent_alone_is_a_plan_of_its_own),
        cmocka_unit_test(a_plan_outlives_the_journal_it_stood_in),
        cmocka_unit_test(a_batch_that_was_taken_in_part_is_proven),
        cmocka_unit_test(a_plan_with_a_gap_takes_two_records),
        cmocka_unit_test_setup_teardown(
            a_plan_with_a_gap_is_sent_in_as_many_batches_as_it_takes, bus_set_up,
            bus_tear_down),
        cmocka_unit_test_setup_teardown(
            what_is_gone_of_a_plan_is_skipped_where_the_sink_may_skip, bus_set_up,
            bus_tear_down),
        cmocka_unit_test_setup_teardown(only_what_was_planned_is_gone_of_a_plan,
                                        bus_set_up, bus_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
