/* What a server says of its table, and whether a copy of an insert is told by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "sink/http/clickhouse/replicas.h"

static const struct {
    const char *answer;
    bool tells;
    const char *path, *engine;
} rows[] = {
    {"", false, "", ""},
    {"engine MergeTree() PARTITION BY tuple() ORDER BY id\n", false, "",
     "MergeTree"},
    {"engine Memory\n", false, "", "Memory"},
    {"engine Distributed(c, d, t)\n", false, "", "Distributed"},
    {"engine ReplicatedMergeTree('/a/b', '{replica}') ORDER BY id\npath /a/b\n",
     true, "/a/b", "ReplicatedMergeTree"},
    {"path /a/b\nengine ReplicatedReplacingMergeTree ORDER BY id", true, "/a/b",
     "ReplicatedReplacingMergeTree"},
    /* No replica of it is known: who can tell that it is the same table? */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_tells_copies_only_when_it_is_replicated)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
