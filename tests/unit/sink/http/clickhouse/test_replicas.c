/* A server's answer about its table, and whether it tells a copy of an insert. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "sink/http/clickhouse/replicas.h"
#include "sink/http/internal.h"

static const struct {
    const char *answer;
    bool tells;
    const char *path, *engine;
} rows[] = {
    {"", false, "", ""},
    {"engine MergeTree() PARTITION BY tuple() ORDER BY id\n", false, "", "MergeTree"},
    {"engine Memory\n", false, "", "Memory"},
    {"engine Distributed(c, d, t)\n", false, "", "Distributed"},
    {"engine ReplicatedMergeTree('/a/b', '{replica}') ORDER BY id\npath /a/b\n", true,
     "/a/b", "ReplicatedMergeTree"},
    {"path /a/b\nengine ReplicatedReplacingMergeTree ORDER BY id", true, "/a/b",
     "ReplicatedReplacingMergeTree"},
    /* No replica of it is known: it may be another table. */
    {"engine ReplicatedMergeTree('/a/b', 'x')\n", false, "", "ReplicatedMergeTree"},
    {"engine ReplicatedMergeTree('/a', 'x') SETTINGS "
     "replicated_deduplication_window = 0\npath /a\n",
     false, "/a", "ReplicatedMergeTree"},
    {"engine SharedMergeTree('/c/{uuid}', '{replica}') ORDER BY id\n", true,
     "SharedMergeTree('/c/{uuid}', '{replica}') ORDER BY id", "SharedMergeTree"},
};

static void a_table_tells_copies_only_when_it_is_replicated(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        struct replica t = {.tells = true, .path = "old", .engine = "old"};

        replica_read(&t, str_of(rows[i].answer));
        assert_true(t.known);
        assert_int_equal(t.tells, rows[i].tells);
        assert_string_equal(t.path, rows[i].path);
        assert_string_equal(t.engine, rows[i].engine);
    }
}

static const struct upload_plan remote = {.hedge = {.after_ms = 50, .max_ratio = 1}};
static const struct sink_plan plan = {.name = "olap",
                                      .clickhouse = {.table = "events"}};

/* Why copies of an insert to two urls may not be told; "": they are. */
static const char *why_not(const char *first, const char *second)
{
    static stats_cell gauge;
    static struct endpoint a, b;
    static struct sink s;

    a = (struct endpoint){.sink = &s, .shown = "one"};
    b = (struct endpoint){.sink = &s, .shown = "two"};
    s = (struct sink){.conf = {.plan = &plan},
                      .plan = &remote,
                      .endpoints = {&a, &b},
                      .n_endpoints = 2,
                      .hedging_gauge = &gauge};
    if (first != NULL) {
        replica_read(&a.table, str_of(first));
    }
    replica_read(&b.table, str_of(second));
    return replicas_tick(&s);
}

static void only_replicas_of_one_table_are_hedged(void **state)
{
    static const char one[] = "engine ReplicatedMergeTree('/a/b', 'x')\npath /a/b\n",
                      other[] = "engine ReplicatedMergeTree('/a/c', 'x')\npath /a/c\n";

    (void)state;
    assert_string_equal("", why_not(one, one));
    assert_string_equal(
        "one and two are not replicas of one table: a copy would be new "
        "rows",
        why_not(one, other));
    assert_string_equal("two has no table events", why_not(one, ""));
    assert_string_equal("one has not said yet what events is", why_not(NULL, one));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_tells_copies_only_when_it_is_replicated),
        cmocka_unit_test(only_replicas_of_one_table_are_hedged)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
