/* What is wrong with a server, from its answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/facts.h"
#include "cli/series.h"

static const char good_status[] =
    "{\"version\":\"1\",\"uptime_ms\":5000,\"draining\":false,"
    "\"spool\":{\"used_percent\":3,\"writable\":true},"
    "\"generations\":[{\"generation\":1,\"status\":\"live\"}],"
    "\"sinks\":[{\"name\":\"k\",\"lost\":0,\"skipped\":0,\"dead\":0,\"left_events\":7,"
    "\"holding\":false}]}";

static const char full_status[] =
    "{\"version\":\"1\",\"uptime_ms\":5000,\"draining\":true,"
    "\"spool\":{\"used_percent\":95,\"writable\":true},\"generations\":[],"
    "\"sinks\":[{\"name\":\"k\",\"lost\":2,\"skipped\":3,\"dead\":4,\"left_events\":7,"
    "\"holding\":true,\"why\":\"no route to host\"}]}";

static cJSON *facts_of(const char *status, const char *before, const char *now)
{
    struct series_list a, b;
    cJSON *s = cJSON_Parse(status), *facts;

    assert_non_null(s);
    series_read(&a, before);
    series_read(&b, now);
    facts = facts_new(s, &a, &b, 2);
    series_free(&a);
    series_free(&b);
    cJSON_Delete(s);
    return facts;
}

/* "sink_holds,lost": the words of the problems. */
static const char *problems(const cJSON *facts, char *out, size_t room)
{
    const cJSON *x;
    size_t n = 0;

    out[0] = '\0';
    cJSON_ArrayForEach(x, cJSON_GetObjectItem(facts, "problems"))
    {
        n += (size_t)snprintf(out + n, room - n, "%s%s", n == 0 ? "" : ",",
                              facts_text(x, "what"));
    }
    return out;
}

static void a_server_without_faults_is_ok(void **state)
{
    cJSON *f = facts_of(good_status, "sluice_requests_total{status=\"200\"} 10\n",
                        "sluice_requests_total{status=\"200\"} 30\n"
                        "sluice_sink_oldest_event_seconds{sink=\"k\"} 59\n");
    const cJSON *clients = cJSON_GetObjectItem(f, "clients");
    char out[256];

    (void)state;
    assert_string_equal(problems(f, out, sizeof out), "");
    assert_true(facts_true(f, "ok"));
    assert_true(facts_number(clients, "requests_per_second") == 10);
    assert_true(
        facts_number(cJSON_GetObjectItem(clients, "statuses_per_second"), "200") == 10);
    assert_null(cJSON_GetObjectItem(clients, "p99_ms"));
    cJSON_Delete(f);
}

static void each_fault_is_named(void **state)
{
    static const char now[] =
        "sluice_sink_oldest_event_seconds{sink=\"k\"} 720\n"
        "sluice_spool_damaged_blocks_total{stream=\"s\"} 1\n"
        "sluice_store_failures_total{stream=\"s\"} 5\n"
        "sluice_policy_errors_total 1\n"
        "sluice_received_events_total{route=\"POST /e\"} 100\n"
        "sluice_refusals_total{route=\"POST /e\",code=\"a\",status=\"422\"} 5\n"
        "sluice_refusals_total{route=\"POST /e\",code=\"b\",status=\"422\"} 3\n"
        "sluice_events_total{route=\"POST /e\",result=\"rejected\",code=\"a\"} 5\n"
        "sluice_events_total{route=\"POST /e\",result=\"rejected\",code=\"b\"} 3\n"
        "sluice_events_total{route=\"POST /e\",result=\"stored\",code=\"\"} 91\n";
    cJSON *f = facts_of(full_status, "", now);
    char out[256];

    (void)state;
    assert_string_equal(
        problems(f, out, sizeof out),
        "draining,spool_full,damaged,lost,skipped,sink_holds,not_stored,"
        "hook_raises,refuses");
    assert_false(facts_true(f, "ok"));
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(f, "refusals")), 2);
    cJSON_Delete(f);
}

/* Old refusals and hooks are no news. */
static void what_was_before_is_no_problem_of_now(void **state)
{
#define OLD                                                                            \
    "sluice_policy_errors_total 9\n"                                                   \
    "sluice_store_failures_total{stream=\"s\"} 9\n"                                    \
    "sluice_refusals_total{route=\"POST /e\",code=\"a\",status=\"422\"} 9\n"           \
    "sluice_events_total{route=\"POST /e\",result=\"rejected\",code=\"a\"} 9\n"
    cJSON *f = facts_of(good_status,
                        OLD "sluice_received_events_total{route=\"POST /e\"} 10\n",
                        OLD "sluice_received_events_total{route=\"POST /e\"} 30\n");
    char out[256];

    (void)state;
    assert_string_equal(problems(f, out, sizeof out), "");
    cJSON_Delete(f);
}

/* By events: a batch that is refused as a whole is one refusal. */
static void a_refused_batch_counts_with_all_its_events(void **state)
{
    cJSON *f = facts_of(
        good_status, "",
        "sluice_received_events_total{route=\"POST /e\"} 1000\n"
        "sluice_received_events_total{route=\"POST /busy\"} 1000000\n"
        "sluice_refusals_total{route=\"POST /e\",code=\"full\",status=\"503\"} 1\n"
        "sluice_events_total{route=\"POST /e\",result=\"refused\",code=\"full\"} "
        "500\n");
    const cJSON *p = cJSON_GetArrayItem(cJSON_GetObjectItem(f, "problems"), 0);
    char out[256];

    (void)state;
    assert_string_equal(problems(f, out, sizeof out), "refuses");
    assert_non_null(
        strstr(facts_text(p, "text"), "POST /e refuses 50 % of its events"));
    cJSON_Delete(f);
}

/* A stray request without a route does not make a server bad; many do. */
static void garbage_counts_when_it_is_much_of_all(void **state)
{
    static const char one[] =
        "sluice_received_events_total{route=\"none\"} 3\n"
        "sluice_received_events_total{route=\"POST /e\"} 96\n"
        "sluice_events_total{route=\"none\",result=\"refused\",code=\"bad\"} 3\n";
    static const char many[] =
        "sluice_received_events_total{route=\"none\"} 5\n"
        "sluice_received_events_total{route=\"POST /e\"} 95\n"
        "sluice_events_total{route=\"none\",result=\"refused\",code=\"bad\"} 5\n";
    cJSON *f = facts_of(good_status, "", one);
    char out[256];

    (void)state;
    assert_string_equal(problems(f, out, sizeof out), "");
    cJSON_Delete(f);
    f = facts_of(good_status, "", many);
    assert_string_equal(problems(f, out, sizeof out), "refuses");
    cJSON_Delete(f);
}

/* The list of codes is cut; the judgement is not. */
static void a_code_beyond_the_list_is_judged(void **state)
{
    char *now = malloc(1 << 17);
    size_t n = 0;
    char out[256];
    cJSON *f;

    (void)state;
    for (int i = 0; i < 400; i++) {
        n += (size_t)snprintf(now + n, (1 << 17) - n,
                              "sluice_refusals_total{route=\"POST "
                              "/e\",code=\"c%03d\",status=\"422\"} %d\n"
                              "sluice_events_total{route=\"POST "
                              "/e\",result=\"rejected\",code=\"c%03d\"} %d\n",
                              i, i == 399 ? 50 : 0, i, i == 399 ? 50 : 0);
    }
    (void)snprintf(now + n, (1 << 17) - n,
                   "sluice_received_events_total{route=\"POST /e\"} 100\n");
    f = facts_of(good_status, "", now);
    assert_string_equal(problems(f, out, sizeof out), "refuses");
    cJSON_Delete(f);
    free(now);
}

static void a_full_disk_is_said_though_the_spool_has_room(void **state)
{
    cJSON *f = facts_of("{\"spool\":{\"used_percent\":3,\"writable\":true,"
                        "\"disk_bytes\":1000,\"disk_free_bytes\":50},\"sinks\":[]}",
                        "", "sluice_policy_errors_total 1\n");
    char out[256];

    (void)state;
    assert_string_equal(problems(f, out, sizeof out), "disk_full,hook_raises");
    cJSON_Delete(f);
}

static void a_sink_that_is_slow_is_late(void **state)
{
    cJSON *f = facts_of(good_status, "",
                        "sluice_sink_oldest_event_seconds{sink=\"k\"} 61\n"
                        "sluice_sink_oldest_event_seconds{sink=\"other\"} 0\n");
    char out[256];

    (void)state;
    assert_string_equal(problems(f, out, sizeof out), "sink_late");
    cJSON_Delete(f);
}

#define CANARY(result, why, own, old, new)                                             \
    "{\"now_ms\":90000,\"generation\":1,\"spool\":{\"used_percent\":3,"                \
    "\"writable\":true},\"sinks\":[],\"generations\":[{\"generation\":2,"              \
    "\"status\":\"x\",\"at_ms\":30000}],\"trial\":{\"kind\":\"canary\","               \
    "\"generation\":2,\"result\":\"" result "\",\"why\":\"" why "\",\"own_rule\":" own \
    ",\"old\":{" old "},\"new\":{\"requests\":20," new "}}}"

/* One that sluice will end by itself is a note; one that only an operator or its own
 * function ends is not. */
static void a_canary_that_is_worse_is_told(void **state)
{
    static const struct {
        const char *status, *problems;
        int n_notes;
    } cases[] = {
        {CANARY("running", "", "false", "", "\"refusal_rate\":0.02"), "", 1},
        {CANARY("running", "", "true", "", "\"refusal_rate\":0.02"), "canary_worse", 0},
        {CANARY("running", "", "true", "", "\"error_rate\":0.02"), "canary_worse", 0},
        {CANARY("running", "", "true", "\"p99_ms\":2", "\"p99_ms\":9.1"),
         "canary_worse", 0},
        {CANARY("running", "", "true", "\"p99_ms\":2", "\"p99_ms\":8.9"), "", 0},
        {CANARY("running", "", "true", "\"refusal_rate\":0.5", "\"refusal_rate\":0.5"),
         "", 0},
        {CANARY("rolled_back", "it refuses", "false", "", "\"events\":1"),
         "canary_rolled_back", 0},
        {CANARY("rolled_back", "by hand", "false", "", "\"events\":1"), "", 1},
        {CANARY("promoted", "nothing spoke", "false", "", "\"events\":1"), "", 1},
    };
    char out[256];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *f = facts_of(cases[i].status, "", "");

        assert_string_equal(problems(f, out, sizeof out), cases[i].problems);
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(f, "notes")),
                         cases[i].n_notes);
        cJSON_Delete(f);
    }
}

static void a_certificate_and_descriptors_that_end_are_told(void **state)
{
    cJSON *f =
        facts_of(good_status, "",
                 "sluice_tls_certificate_expiry_seconds{listener=\"a\"} 1209600\n"
                 "sluice_tls_certificate_expiry_seconds{listener=\"b\"} 1209599\n"
                 "process_open_fds 76\nprocess_max_fds 100\n");
    const cJSON *p = cJSON_GetArrayItem(cJSON_GetObjectItem(f, "problems"), 0);
    char out[256];

    (void)state;
    assert_string_equal(problems(f, out, sizeof out), "certificate,descriptors");
    assert_string_equal(facts_text(p, "subject"), "b");
    assert_non_null(strstr(facts_text(p, "text"), "expires in 14.0 days"));
    assert_non_null(strstr(facts_text(p, "next"), "renew"));
    cJSON_Delete(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_without_faults_is_ok),
        cmocka_unit_test(each_fault_is_named),
        cmocka_unit_test(what_was_before_is_no_problem_of_now),
        cmocka_unit_test(a_refused_batch_counts_with_all_its_events),
        cmocka_unit_test(garbage_counts_when_it_is_much_of_all),
        cmocka_unit_test(a_code_beyond_the_list_is_judged),
        cmocka_unit_test(a_full_disk_is_said_though_the_spool_has_room),
        cmocka_unit_test(a_sink_that_is_slow_is_late),
        cmocka_unit_test(a_canary_that_is_worse_is_told),
        cmocka_unit_test(a_certificate_and_descriptors_that_end_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
