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
#include <time.h>

#include "cli/advice.h"
#include "cli/watch/facts.h"
#include "cli/watch/series.h"

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

/* Clients are refused from three quarters on: it is said before that. */
static void few_descriptors_are_told_before_clients_are_refused(void **state)
{
    static const struct {
        const char *series, *problems;
    } cases[] = {{"process_open_fds 70\nprocess_max_fds 100\n", ""},
                 {"process_open_fds 71\nprocess_max_fds 100\n", "descriptors"}};
    char out[256];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *f = facts_of(good_status, "", cases[i].series);

        assert_string_equal(problems(f, out, sizeof out), cases[i].problems);
        cJSON_Delete(f);
    }
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

/* The list has the codes with the most events of now. */
static void the_list_of_refusals_begins_with_those_of_now(void **state)
{
    char *before = malloc(1 << 17), *now = malloc(1 << 17);
    size_t n = 0, k = 0;
    const cJSON *list;
    cJSON *f;

    (void)state;
    for (int i = 0; i < 300; i++) {
        static const char line[] = "sluice_refusals_total{route=\"POST "
                                   "/e\",code=\"c%03d\",status=\"422\"} %d\n";

        n += (size_t)snprintf(before + n, (1 << 17) - n, line, i, 1000 + i);
        k += (size_t)snprintf(now + k, (1 << 17) - k, line, i,
                              1000 + i +
                                  (i == 250   ? 2
                                   : i == 290 ? 3
                                              : 0));
    }
    f = facts_of(good_status, before, now);
    list = cJSON_GetObjectItem(f, "refusals");
    assert_int_equal(cJSON_GetArraySize(list), 200);
    assert_true(facts_number(f, "refusals_more") == 100);
    assert_string_equal(facts_text(cJSON_GetArrayItem(list, 0), "code"), "c290");
    assert_true(facts_number(cJSON_GetArrayItem(list, 0), "per_second") == 1.5);
    assert_string_equal(facts_text(cJSON_GetArrayItem(list, 1), "code"), "c250");
    assert_string_equal(facts_text(cJSON_GetArrayItem(list, 2), "code"), "c299");
    cJSON_Delete(f);
    free(before);
    free(now);
}

/* One bad event refuses its batch; and many codes may have little each. */
static void a_route_is_judged_by_all_its_codes(void **state)
{
    static const char batch[] =
        "sluice_received_events_total{route=\"POST /e\"} 1000\n"
        "sluice_events_total{route=\"POST /e\",result=\"rejected\",code=\"bad\"} 2\n"
        "sluice_events_total{route=\"POST /e\",result=\"refused\",code=\"\"} 998\n";
    static const char two[] =
        "sluice_received_events_total{route=\"POST /e\"} 100\n"
        "sluice_events_total{route=\"POST /e\",result=\"rejected\",code=\"a\"} 2\n"
        "sluice_events_total{route=\"POST /e\",result=\"rejected\",code=\"b\"} 3\n";
    cJSON *f = facts_of(good_status, "", batch);
    const cJSON *p = cJSON_GetArrayItem(cJSON_GetObjectItem(f, "problems"), 0);
    char out[256];

    (void)state;
    assert_string_equal(problems(f, out, sizeof out), "refuses");
    assert_non_null(strstr(facts_text(p, "text"),
                           "POST /e refuses 100 % of its events just now by all codes "
                           "together, most with bad (a batch that is refused counts"));
    cJSON_Delete(f);
    f = facts_of(good_status, "", two);
    p = cJSON_GetArrayItem(cJSON_GetObjectItem(f, "problems"), 0);
    assert_string_equal(problems(f, out, sizeof out), "refuses");
    assert_string_equal(facts_text(p, "text"),
                        "POST /e refuses 5 % of its events just now by all codes "
                        "together, most with b");
    cJSON_Delete(f);
}

/* The share of one code is not that of the route. */
static void one_code_that_is_told_hides_no_others(void **state)
{
    static const struct {
        int x, others, mates;
        const char *text; /* of the second problem */
    } cases[] = {
        {4, 3, 21,
         "POST /e refuses 88 % of its events just now by all codes together, most with "
         "x (a batch that is refused counts with all its events)"},
        {4, 3, 0,
         "POST /e refuses 67 % of its events just now by all codes together, most with "
         "x"},
        {60, 0, 3, NULL},
        {60, 0, 4,
         "POST /e refuses 64 % of its events just now by all codes together, most with "
         "x (a batch that is refused counts with all its events)"},
    };
    char now[4096], out[256];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int n = snprintf(
            now, sizeof now,
            "sluice_received_events_total{route=\"POST /e\"} 100\n"
            "sluice_events_total{route=\"POST /e\",result=\"rejected\",code=\"x\"} %d\n"
            "sluice_events_total{route=\"POST /e\",result=\"refused\",code=\"\"} %d\n",
            cases[i].x, cases[i].mates);
        const cJSON *list;
        cJSON *f;

        for (int k = 0; k < 21; k++) {
            n += snprintf(now + n, sizeof now - (size_t)n,
                          "sluice_events_total{route=\"POST /e\",result=\"rejected\","
                          "code=\"c%d\"} %d\n",
                          k, cases[i].others);
        }
        f = facts_of(good_status, "", now);
        list = cJSON_GetObjectItem(f, "problems");
        assert_string_equal(problems(f, out, sizeof out),
                            cases[i].text == NULL ? "refuses" : "refuses,refuses");
        assert_non_null(
            strstr(facts_text(cJSON_GetArrayItem(list, 0), "text"), "with x"));
        if (cases[i].text != NULL) {
            assert_string_equal(facts_text(cJSON_GetArrayItem(list, 1), "text"),
                                cases[i].text);
        }
        cJSON_Delete(f);
    }
}

#define LASTING(recent, recent_all, hour, hour_all)                                    \
    "{\"spool\":{\"writable\":true},\"sinks\":[],\"refusing\":{"                       \
    "\"recent_seconds\":300,\"hour_seconds\":3600,\"codes\":[{\"route\":\"POST /e\","  \
    "\"code\":\"x\",\"recent\":" #recent ",\"recent_received\":" #recent_all           \
    ",\"hour\":" #hour ",\"hour_received\":" #hour_all ",\"since_seconds\":720}]}}"

/* A share that a look of a second does not see. */
static void what_is_refused_for_longer_is_told(void **state)
{
    static const char quiet[] = "sluice_received_events_total{route=\"POST /e\"} 9\n";
    static const char busy[] = "sluice_received_events_total{route=\"POST /e\"} 99\n";
    static const struct {
        const char *status, *now, *problems, *says;
        int n_notes;
    } cases[] = {
        /* Of a route without an event now the last minutes count. */
        {LASTING(20, 500, 20, 500), quiet, "refuses",
         "POST /e refuses 4 % of its events with x: 20 of 500 in the last 5 min, and "
         "no "
         "event just now",
         0},
        {LASTING(19, 19, 19, 19), quiet, "", "has refused 100 % of its events", 1},
        {LASTING(20, 501, 20, 501), quiet, "", "3.99 %", 1},
        {LASTING(20, 20, 20, 20), busy, "", "100 %", 1},
        /* A small share for an hour is a note. */
        {LASTING(0, 0, 2000, 100000), busy, "",
         "POST /e has refused 2 % of its events with x in the last 1 h: 2.0 k of 100 k",
         1},
        {LASTING(0, 0, 10, 1000), busy, "", "1 %", 1},
        {LASTING(0, 0, 10, 1001), busy, "", NULL, 0},
        {LASTING(0, 0, 9, 19), busy, "", NULL, 0},
        {LASTING(0, 0, 3, 6), busy, "", "50 %", 1},
        {LASTING(0, 0, 2, 2), busy, "", NULL, 0},
    };
    char out[256];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *f = facts_of(cases[i].status, quiet, cases[i].now);
        const cJSON *list =
            cJSON_GetObjectItem(f, cases[i].problems[0] != '\0' ? "problems" : "notes");

        assert_string_equal(problems(f, out, sizeof out), cases[i].problems);
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(f, "notes")),
                         cases[i].n_notes);
        if (cases[i].says != NULL) {
            assert_non_null(
                strstr(facts_text(cJSON_GetArrayItem(list, 0), "text"), cases[i].says));
            assert_non_null(
                strstr(facts_text(cJSON_GetArrayItem(list, 0), "next"), "sluice tap"));
        }
        cJSON_Delete(f);
    }
}

#define LASTING_CODE(code, recent, hour)                                               \
    "{\"route\":\"POST /e\",\"code\":\"" code "\",\"recent\":" #recent                 \
    ",\"recent_received\":1000,\"hour\":" #hour                                        \
    ",\"hour_received\":1000,\"since_seconds\":0}"
#define LASTING_ROUTE(codes, recent, hour)                                             \
    "{\"spool\":{\"writable\":true},\"sinks\":[],\"refusing\":{"                       \
    "\"recent_seconds\":300,\"hour_seconds\":3600,\"codes\":[" codes                   \
    "],\"routes\":[{\"route\":\"POST /e\",\"most\":\"x\",\"recent\":" #recent          \
    ",\"recent_received\":1000,\"hour\":" #hour ",\"hour_received\":1000}]}}"

/* Many codes that refuse little each, of a route without an event now: what those leave
 * that have lines of their own. */
static void what_all_codes_refuse_for_longer_is_told(void **state)
{
    static const char quiet[] = "sluice_received_events_total{route=\"POST /e\"} 9\n";
    static const char busy[] = "sluice_received_events_total{route=\"POST /e\"} 99\n";
    static const char all[] =
        "POST /e refuses 100 % of its events by all codes together, most with x: 1.0 k "
        "of 1.0 k in the last 5 min, and no event just now";
    static const struct {
        const char *status, *now, *problem, *note;
    } cases[] = {
        {LASTING_ROUTE("", 1000, 1000), quiet, all, NULL},
        {LASTING_ROUTE(LASTING_CODE("x", 30, 30), 1000, 1000), quiet, all, "3 %"},
        {LASTING_ROUTE("", 40, 40), quiet, "4 % of its events by all codes", NULL},
        {LASTING_ROUTE("", 39, 39), quiet, NULL, "3.9 %"},
        {LASTING_ROUTE("", 1000, 1000), busy, NULL,
         "POST /e has refused 100 % of its events by all codes together, most with x "
         "in "
         "the last 1 h: 1.0 k of 1.0 k"},
        {LASTING_ROUTE("", 0, 9), busy, NULL, NULL},
        {LASTING_ROUTE(LASTING_CODE("x", 90, 90), 129, 99), quiet,
         "9 % of its events w", NULL},
        {LASTING_ROUTE(LASTING_CODE("x", 0, 90), 0, 99), busy, NULL,
         "9 % of its events w"},
        {LASTING_ROUTE(LASTING_CODE("x", 0, 90), 0, 100), busy, NULL,
         "9 % of its events w"},
    };
    static const int notes[] = {0, 1, 0, 1, 1, 0, 0, 1, 2};
    char out[256];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *f = facts_of(cases[i].status, quiet, cases[i].now);
        const cJSON *list = cJSON_GetObjectItem(f, "problems");

        assert_string_equal(problems(f, out, sizeof out),
                            cases[i].problem == NULL ? "" : "refuses");
        if (cases[i].problem != NULL) {
            assert_non_null(strstr(facts_text(cJSON_GetArrayItem(list, 0), "text"),
                                   cases[i].problem));
        }
        list = cJSON_GetObjectItem(f, "notes");
        assert_int_equal(cJSON_GetArraySize(list), notes[i]);
        if (cases[i].note != NULL) {
            assert_non_null(
                strstr(facts_text(cJSON_GetArrayItem(list, 0), "text"), cases[i].note));
        }
        cJSON_Delete(f);
    }
}

/* Many codes with a little each come first in the list of the last hour. */
static void a_quiet_route_behind_many_codes_is_judged(void **state)
{
    enum { ROOM = 1 << 15 };
    char *status = malloc(ROOM), out[512];
    const cJSON *x;
    size_t n;

    (void)state;
    for (int quiet = 1; quiet <= 12; quiet += 11) {
        const char *more = quiet == 1 ? ""
                                      : "at least 4 more codes or routes refused much "
                                        "of a route's events in the last 5 min";
        int n_text = 0;
        cJSON *f;

        n = (size_t)snprintf(status, ROOM,
                             "{\"spool\":{\"writable\":true},\"sinks\":[],"
                             "\"refusing\":{\"recent_seconds\":300,"
                             "\"hour_seconds\":3600,\"codes\":[");
        for (int i = 0; i < 40 + quiet; i++) {
            n += (size_t)snprintf(
                status + n, ROOM - n,
                "%s{\"route\":\"POST /%c%d\",\"code\":\"x\",\"recent\":%d,"
                "\"recent_received\":%d,\"hour\":%d,\"hour_received\":%d}",
                i == 0 ? "" : ",", i < 40 ? 'a' : 'q', i, i < 40 ? 100 : 50,
                i < 40 ? 100000 : 50, i < 40 ? 100 : 50, i < 40 ? 100000 : 50);
        }
        (void)snprintf(status + n, ROOM - n, "],\"more\":0,\"routes_more\":7}}");
        f = facts_of(status, "", "");
        assert_string_equal(problems(f, out, sizeof out),
                            quiet == 1
                                ? "refuses"
                                : "refuses,refuses,refuses,refuses,refuses,refuses,"
                                  "refuses,refuses,refuses");
        cJSON_ArrayForEach(x, cJSON_GetObjectItem(f, "problems"))
        {
            const char *text = facts_text(x, "text");

            n_text += strstr(text, "/q") != NULL && strstr(text, "100 %") != NULL;
            n_text += quiet > 1 && strncmp(text, more, strlen(more)) == 0;
        }
        assert_int_equal(n_text, quiet == 1 ? 1 : 9);
        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(f, "notes")), 0);
        cJSON_Delete(f);
    }
    free(status);
}

/* As the server has it, whatever a line shows of it. */
static void a_long_route_is_the_same_route(void **state)
{
    char route[1001], status[3000], now[3000], out[256];
    cJSON *f;

    (void)state;
    memset(route, 'r', sizeof route - 1);
    route[sizeof route - 1] = '\0';
    (void)snprintf(status, sizeof status,
                   "{\"spool\":{\"writable\":true},\"sinks\":[],\"refusing\":{"
                   "\"recent_seconds\":300,\"hour_seconds\":3600,\"codes\":[{\"route\":"
                   "\"%s\",\"code\":\"x\",\"recent\":50,\"recent_received\":50,"
                   "\"hour\":50,\"hour_received\":50,\"since_seconds\":720}]}}",
                   route);
    (void)snprintf(now, sizeof now,
                   "sluice_received_events_total{route=\"%s\"} 50\n"
                   "sluice_events_total{route=\"%s\",result=\"rejected\",code=\"x\"} "
                   "50\n",
                   route, route);
    f = facts_of(status, "", now);
    assert_string_equal(problems(f, out, sizeof out), "refuses");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(f, "notes")), 0);
    assert_non_null(strstr(
        facts_text(cJSON_GetArrayItem(cJSON_GetObjectItem(f, "problems"), 0), "text"),
        "r refuses 100 % of its events just now with x, for 12 min, 50 since the "
        "start"));
    cJSON_Delete(f);
    /* Without an event now, a line has its figures too. */
    f = facts_of(status, now, now);
    assert_string_equal(problems(f, out, sizeof out), "refuses");
    assert_non_null(strstr(
        facts_text(cJSON_GetArrayItem(cJSON_GetObjectItem(f, "problems"), 0), "text"),
        "r refuses 100 % of its events with x: 50 of 50 in the last 5 min, and no "
        "event "
        "just now"));
    cJSON_Delete(f);
}

/* One code that refuses much now is told once, with its time. */
static void a_code_of_now_has_its_own_time(void **state)
{
    cJSON *f = facts_of(
        LASTING(50, 100, 50, 100), "",
        "sluice_received_events_total{route=\"POST /e\"} 100\n"
        "sluice_events_total{route=\"POST /e\",result=\"rejected\",code=\"x\"} 50\n"
        "sluice_events_total{route=\"POST /e\",result=\"rejected\",code=\"y\"} 20\n");
    const cJSON *list = cJSON_GetObjectItem(f, "problems");
    char out[256];

    (void)state;
    assert_string_equal(problems(f, out, sizeof out), "refuses,refuses");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(f, "notes")), 0);
    assert_string_equal(
        facts_text(cJSON_GetArrayItem(list, 0), "text"),
        "POST /e refuses 50 % of its events just now with x, for 12 min, 50 since the "
        "start");
    assert_string_equal(
        facts_text(cJSON_GetArrayItem(list, 1), "text"),
        "POST /e refuses 20 % of its events just now with y, 20 since the start");
    cJSON_Delete(f);
}

static void many_codes_are_told_as_a_number(void **state)
{
    char *now = malloc(1 << 17);
    size_t n = 0;
    char out[512];
    cJSON *f;

    (void)state;
    for (int i = 0; i < 30; i++) {
        n += (size_t)snprintf(now + n, (1 << 17) - n,
                              "sluice_received_events_total{route=\"POST /%d\"} 10\n"
                              "sluice_events_total{route=\"POST "
                              "/%d\",result=\"rejected\",code=\"c\"} %d\n",
                              i, i, i == 29 ? 10 : 9);
    }
    f = facts_of(good_status, "", now);
    assert_string_equal(
        problems(f, out, sizeof out),
        "refuses,refuses,refuses,refuses,refuses,refuses,refuses,refuses,refuses");
    assert_non_null(strstr(
        facts_text(cJSON_GetArrayItem(cJSON_GetObjectItem(f, "problems"), 0), "text"),
        "POST /29 refuses 100 %"));
    assert_non_null(strstr(
        facts_text(cJSON_GetArrayItem(cJSON_GetObjectItem(f, "problems"), 8), "text"),
        "22 more codes"));
    cJSON_Delete(f);
    free(now);
}

/* Of 10,000 codes a look takes no seconds: it is repeated each second. */
static void many_codes_take_no_time(void **state)
{
    enum { CODES = 20000, EACH = 200 };
    char *now = malloc((size_t)CODES * EACH);
    size_t n = 0;
    clock_t began;
    cJSON *f;

    (void)state;
    for (int i = 0; i < CODES; i++) {
        n += (size_t)snprintf(now + n, EACH,
                              "sluice_events_total{route=\"POST "
                              "/a/%d\",result=\"rejected\",code=\"c\"} %d\n",
                              i, i + 1);
    }
    began = clock();
    f = facts_of(good_status, now, now);
    assert_true((double)(clock() - began) / CLOCKS_PER_SEC < 1);
    cJSON_Delete(f);
    f = facts_of(good_status, "", now);
    assert_true((double)(clock() - began) / CLOCKS_PER_SEC < 2);
    cJSON_Delete(f);
    free(now);
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

/* As the alert has it: by the bytes on the disk, too. */
static void a_stream_that_is_nearly_full_is_named(void **state)
{
    static const char status[] =
        "{\"spool\":{\"used_percent\":60,\"writable\":true},\"sinks\":[],\"streams\":["
        "{\"name\":\"a\",\"bytes\":1048576,\"max_bytes\":10485760},"
        "{\"name\":\"b\",\"bytes\":%d,\"max_bytes\":10485760}]}";
    char text[400], out[256];
    cJSON *f;

    (void)state;
    (void)snprintf(text, sizeof text, status, 8388608);
    f = facts_of(text, "", "");
    assert_string_equal(problems(f, out, sizeof out), "spool_full");
    assert_non_null(strstr(
        facts_text(cJSON_GetArrayItem(cJSON_GetObjectItem(f, "problems"), 0), "text"),
        "stream b is 80 % full, 8.0 MiB of its max_bytes 10.0 MiB are on the disk; "
        "when it "
        "is full, its clients get 503"));
    cJSON_Delete(f);
    (void)snprintf(text, sizeof text, status, 8388000);
    f = facts_of(text, "", "");
    assert_string_equal(problems(f, out, sizeof out), "");
    cJSON_Delete(f);
}

/* Whatever their order. */
static void the_fullest_stream_is_named(void **state)
{
    cJSON *f = facts_of("{\"sinks\":[],\"spool\":{},\"streams\":["
                        "{\"name\":\"a\",\"bytes\":95,\"max_bytes\":100},"
                        "{\"name\":\"b\",\"bytes\":85,\"max_bytes\":100},"
                        "{\"name\":\"c\",\"bytes\":10,\"max_bytes\":100}]}",
                        "", "");
    const cJSON *p = cJSON_GetArrayItem(cJSON_GetObjectItem(f, "problems"), 0);

    (void)state;
    assert_non_null(strstr(facts_text(p, "text"), "stream a is 95 % full"));
    cJSON_Delete(f);
}

/* A field that an older server does not have is no fault. */
static void an_older_server_is_not_accused(void **state)
{
    cJSON *f = facts_of("{\"sinks\":[]}", "", "");
    char out[256];

    (void)state;
    assert_string_equal(problems(f, out, sizeof out), "");
    assert_true(facts_true(f, "ok"));
    cJSON_Delete(f);
    f = facts_of("{\"sinks\":[{}],\"spool\":{},\"generations\":[{}],\"trial\":{}}", "",
                 "");
    assert_string_equal(problems(f, out, sizeof out), "");
    cJSON_Delete(f);
}

static void connections_are_those_of_clients(void **state)
{
    cJSON *f = facts_of("{\"sinks\":[],\"admin_connections\":2}", "",
                        "sluice_connections_open 7\n");

    (void)state;
    assert_true(facts_number(cJSON_GetObjectItem(f, "clients"), "connections") == 5);
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
    /* Its batches may wait for so long. */
    f = facts_of("{\"sinks\":[{\"name\":\"k\",\"linger_ms\":600000}]}", "",
                 "sluice_sink_oldest_event_seconds{sink=\"k\"} 660\n");
    assert_string_equal(problems(f, out, sizeof out), "");
    cJSON_Delete(f);
    f = facts_of("{\"sinks\":[{\"name\":\"k\",\"linger_ms\":600000}]}", "",
                 "sluice_sink_oldest_event_seconds{sink=\"k\"} 661\n");
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
                 "sluice_tls_certificate_expiry_seconds{listener=\"c\"} 0\n"
                 "sluice_tls_certificate_expiry_seconds{listener=\"d\"} 86400\n"
                 "sluice_tls_certificate_lifetime_seconds{listener=\"d\"} 345600\n"
                 "sluice_tls_certificate_expiry_seconds{listener=\"e\"} 86399\n"
                 "sluice_tls_certificate_lifetime_seconds{listener=\"e\"} 345600\n"
                 "sluice_tls_renewal_failing{listener=\"e\"} 0\n"
                 "sluice_tls_renewal_failing{listener=\"f\"} 1\n"
                 "process_open_fds 76\nprocess_max_fds 100\n");
    const cJSON *p = cJSON_GetArrayItem(cJSON_GetObjectItem(f, "problems"), 0);
    char out[256];

    (void)state;
    assert_string_equal(problems(f, out, sizeof out),
                        "certificate,certificate,certificate,"
                        "certificate_not_renewed,descriptors");
    assert_string_equal(facts_text(p, "subject"), "b");
    assert_non_null(strstr(facts_text(p, "text"), "expires in 13 d 23 h"));
    assert_non_null(strstr(facts_text(p, "next"), "renew"));
    p = cJSON_GetArrayItem(cJSON_GetObjectItem(f, "problems"), 1);
    assert_string_equal(
        facts_text(p, "text"),
        "the certificate of c has expired, or is not valid yet: clients refuse it");
    p = cJSON_GetArrayItem(cJSON_GetObjectItem(f, "problems"), 2);
    assert_string_equal(facts_text(p, "subject"), "e");
    cJSON_Delete(f);
}

/* What the alerts read: growing it is wrong, grown it is a note, each with an advice. */
static void what_counters_tell_is_told(void **state)
{
    static const struct {
        const char *series, *what, *text;
        bool mild;
    } cases[] = {
        {"sluice_spool_segments_total{stream=\"s\",op=\"poisoned\"}", "sync_fails",
         "failed to sync 2 segments of stream s", false},
        {"sluice_connections_refused_total{reason=\"limit\"}", "connections_refused",
         "2 connections were refused: max_connections", false},
        {"sluice_connections_refused_total{reason=\"descriptors\"}",
         "connections_refused", "descriptors", false},
        {"sluice_connections_refused_total{reason=\"address\"}", "connections_refused",
         "one address", false},
        {"sluice_connections_evicted_total", "connections_evicted", "do not read",
         false},
        {"sluice_policy_interrupts_total", "hook_stopped", "stopped 2 times", false},
        {"sluice_events_total{route=\"POST /e\",result=\"dead\",code=\"\"}",
         "policy_dead", "2 events of POST /e became dead letters", true},
        {"sluice_refused_records_total{stream=\"s\",result=\"failed\"}", "records_lost",
         "not kept in stream s", true},
        {"sluice_dedup_forgotten_total{stream=\"s\"}", "dedup_forgets",
         "dedup forgot 2 keys of stream s", false},
        {"sluice_dedup_damaged_total{stream=\"s\"}", "dedup_forgets", "damaged", false},
        {"sluice_limit_forgotten_total{limit=\"l\"}", "limit_forgets", "limit l",
         false},
        {"sluice_sink_function_errors_total{sink=\"k\"}", "function_fails", "sink k",
         false},
        {"sluice_kafka_fatal_errors_total{sink=\"k\"}", "kafka_resends", "sink k",
         false},
        {"sluice_kafka_possible_copies_total{sink=\"k\"}", "kafka_resends",
         "2 messages were sent again by sink k", false},
        {"sluice_tls_renewals_total{listener=\"l:1\",result=\"failed\"}",
         "certificate_not_renewed", "could not be used 2 times for l:1", true},
        {"sluice_access_log_dropped_total{reason=\"failed\"}", "access_log_drops",
         "lacks 2 lines: failed", false},
        {"sluice_index_dropped_events_total{stream=\"s\"}", "index_drops",
         "no index file with 2 events of stream s: ", true},
        {"sluice_sink_unrecorded_places_total{sink=\"k\"}", "places_lost",
         "did not take 2 records of sink k: ", true},
    };
    char before[400], now[400], out[256];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const cJSON *note;
        cJSON *f;

        (void)snprintf(before, sizeof before, "%s 5\n", cases[i].series);
        (void)snprintf(now, sizeof now, "%s 7\n", cases[i].series);
        f = facts_of("{\"sinks\":[]}", before, now);
        assert_string_equal(problems(f, out, sizeof out),
                            cases[i].mild ? "" : cases[i].what);
        note = cJSON_GetArrayItem(
            cJSON_GetObjectItem(f, cases[i].mild ? "notes" : "problems"), 0);
        assert_non_null(strstr(facts_text(note, "text"), cases[i].text));
        assert_non_null(strstr(facts_text(note, "text"), "(just now)"));
        assert_true(facts_text(note, "next")[0] != '\0');
        cJSON_Delete(f);
        f = facts_of("{\"sinks\":[]}", now, now);
        assert_string_equal(problems(f, out, sizeof out), "");
        note = cJSON_GetArrayItem(cJSON_GetObjectItem(f, "notes"), 0);
        assert_string_equal(facts_text(note, "what"), cases[i].what);
        assert_non_null(strstr(facts_text(note, "text"), "(since the start)"));
        cJSON_Delete(f);
    }
}

/* Three reasons have one word, and what mends one of them does not mend another. */
static void each_reason_has_its_own_advice(void **state)
{
    static const char *const cases[][2] = {
        {"sluice_connections_refused_total{reason=\"limit\"}", "max_connections"},
        {"sluice_connections_refused_total{reason=\"descriptors\"}", "LimitNOFILE"},
        {"sluice_connections_refused_total{reason=\"address\"}", "max_per_address"},
        {"sluice_dedup_forgotten_total{stream=\"s\"}", "max_keys"},
        {"sluice_dedup_damaged_total{stream=\"s\"}", "errors of the disk"}};
    char before[400], now[400];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cJSON *f;

        (void)snprintf(before, sizeof before, "%s 5\n", cases[i][0]);
        (void)snprintf(now, sizeof now, "%s 7\n", cases[i][0]);
        f = facts_of("{\"sinks\":[]}", before, now);
        assert_non_null(
            strstr(facts_text(cJSON_GetArrayItem(cJSON_GetObjectItem(f, "problems"), 0),
                              "next"),
                   cases[i][1]));
        cJSON_Delete(f);
    }
}

/* Events of a sink that skips, or has lost some, do not all wait. */
static void a_sink_that_loses_events_is_not_said_to_lose_none(void **state)
{
    static const struct {
        const char *fields, *next;
        int n; /* problems before that one */
    } cases[] = {{"\"skipped\":0,\"lost\":0,\"skips\":false", "none is lost", 0},
                 {"\"skipped\":0", "none is lost", 0}, /* an earlier server */
                 {"\"skipped\":0,\"lost\":0,\"skips\":true", "skips its oldest", 0},
                 {"\"skipped\":1,\"lost\":0,\"skips\":true", "skips its oldest", 1},
                 {"\"skipped\":1", "skips its oldest", 1},
                 {"\"skipped\":0,\"lost\":1,\"skips\":false", "that still wait", 1},
                 {"\"skipped\":1,\"lost\":1,\"skips\":true", "skips its oldest", 2}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char status[200];
        cJSON *f;
        const char *next;

        (void)snprintf(status, sizeof status,
                       "{\"sinks\":[{\"name\":\"k\",%s,\"holding\":true,"
                       "\"left_events\":1,\"why\":\"no\"}]}",
                       cases[i].fields);
        f = facts_of(status, "", "");
        next = facts_text(
            cJSON_GetArrayItem(cJSON_GetObjectItem(f, "problems"), cases[i].n), "next");
        assert_non_null(strstr(next, cases[i].next));
        assert_non_null(strstr(next, "mend what the reason names"));
        cJSON_Delete(f);
    }
}

/* n series of each of two counters, and n open breakers. */
static char *many_series(int n, int value)
{
    char *text = malloc(300 * (size_t)n + 1), *p = text;

    assert_non_null(text);
    *p = '\0';
    for (int i = 0; i < n; i++) {
        p += snprintf(p, 300,
                      "sluice_dedup_forgotten_total{stream=\"s%d\"} %d\n"
                      "sluice_events_total{route=\"r%d\",result=\"dead\"} 7\n"
                      "sluice_breaker_state{sink=\"k%d\",endpoint=\"e\"} 2\n",
                      i, i < n / 2 ? 5 : value, i, i);
    }
    return text;
}

static void many_series_are_told_as_a_number(void **state)
{
    static const int sizes[] = {8, 9, 3000};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const int n = sizes[i], growing = n - n / 2;
        char *before = many_series(n, 5), *now = many_series(n, 6), *json;
        cJSON *f = facts_of("{\"sinks\":[]}", before, now);
        char more[64];

        json = cJSON_Print(f);
        assert_false(facts_true(f, "ok"));
        assert_in_range(cJSON_GetArraySize(cJSON_GetObjectItem(f, "problems")), 4, 9);
        assert_in_range(cJSON_GetArraySize(cJSON_GetObjectItem(f, "notes")), 20, 27);
        (void)snprintf(more, sizeof more, "%d more like these: /metrics has ", n - 8);
        assert_int_equal(strstr(json, more) != NULL, n > 8);
        (void)snprintf(more, sizeof more, "%d more like these: /metrics has ",
                       growing - 8);
        assert_int_equal(strstr(json, more) != NULL, growing > 8);
        cJSON_free(json);
        cJSON_Delete(f);
        free(before);
        free(now);
    }
}

/* A breaker is told by its state, and other ops, results and reasons are no faults. */
static void what_is_daily_life_is_not_told(void **state)
{
    cJSON *f =
        facts_of("{\"sinks\":[]}", "",
                 "sluice_spool_segments_total{stream=\"s\",op=\"created\"} 9\n"
                 "sluice_refused_records_total{stream=\"s\",result=\"stored\"} 9\n"
                 "sluice_tls_renewals_total{listener=\"l\",result=\"renewed\"} 9\n"
                 "sluice_breaker_state{sink=\"k\",endpoint=\"a\"} 1\n");
    char out[256];

    (void)state;
    assert_string_equal(problems(f, out, sizeof out), "");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(f, "notes")), 0);
    cJSON_Delete(f);
    f = facts_of("{\"sinks\":[]}", "",
                 "sluice_breaker_state{sink=\"k\",endpoint=\"http://a\"} 2\n");
    assert_string_equal(problems(f, out, sizeof out), "");
    assert_string_equal(
        facts_text(cJSON_GetArrayItem(cJSON_GetObjectItem(f, "notes"), 0), "text"),
        "sink k sends nothing to http://a: its breaker is open");
    cJSON_Delete(f);
    /* Half-open: the answer of a try that has failed before, and more events. */
    f = facts_of("{\"sinks\":[]}", "",
                 "sluice_breaker_state{sink=\"k\",endpoint=\"http://a\"} 1\n"
                 "sluice_endpoint_failing{sink=\"k\",endpoint=\"http://a\"} 1\n"
                 "sluice_breaker_state{sink=\"k\",endpoint=\"http://b\"} 1\n"
                 "sluice_endpoint_failing{sink=\"k\",endpoint=\"http://b\"} 0\n");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(f, "notes")), 1);
    assert_string_equal(
        facts_text(cJSON_GetArrayItem(cJSON_GetObjectItem(f, "notes"), 0), "text"),
        "sink k sends nothing but tries to http://a: its breaker is half-open");
    cJSON_Delete(f);
}

static void a_long_look_is_not_just_now(void **state)
{
    static const char before[] = "sluice_policy_errors_total{route=\"a\"} 1\n"
                                 "sluice_spool_segments_total{op=\"poisoned\"} 0\n";
    static const char now[] = "sluice_policy_errors_total{route=\"a\"} 4\n"
                              "sluice_spool_segments_total{op=\"poisoned\"} 1\n";
    struct series_list a, b;
    cJSON *s = cJSON_Parse("{\"sinks\":[]}");

    (void)state;
    series_read(&a, before);
    series_read(&b, now);
    for (int i = 0; i < 2; i++) {
        cJSON *f = facts_new(s, &a, &b, i == 0 ? 60 : 3600), *x;
        const char *when = i == 0 ? "just now" : "in the last 1 h";

        assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(f, "problems")), 2);
        cJSON_ArrayForEach(x, cJSON_GetObjectItem(f, "problems"))
        {
            if (strstr(facts_text(x, "text"), when) == NULL) {
                fail_msg("%s", facts_text(x, "text"));
            }
        }
        cJSON_Delete(f);
    }
    series_free(&a);
    series_free(&b);
    cJSON_Delete(s);
}

/* A restart between the two looks, of which the server's number is not known. */
static void a_counter_that_began_again_counts_from_0(void **state)
{
    cJSON *f = facts_of(
        "{\"sinks\":[]}",
        "sluice_requests_total{status=\"200\"} 1000\n"
        "sluice_policy_errors_total{route=\"a\",hook=\"on_event\"} 90\n"
        "sluice_policy_errors_total{route=\"b\",hook=\"on_event\"} 0\n"
        "sluice_received_events_total{route=\"POST /e\"} 1000\n"
        "sluice_events_total{route=\"POST /e\",result=\"rejected\",code=\"x\"} 900\n",
        "sluice_requests_total{status=\"200\"} 10\n"
        "sluice_policy_errors_total{route=\"a\",hook=\"on_event\"} 3\n"
        "sluice_policy_errors_total{route=\"b\",hook=\"on_event\"} 2\n"
        "sluice_received_events_total{route=\"POST /e\"} 10\n"
        "sluice_events_total{route=\"POST /e\",result=\"rejected\",code=\"x\"} 5\n");
    const cJSON *list = cJSON_GetObjectItem(f, "problems");
    char out[256];

    (void)state;
    assert_true(
        facts_number(cJSON_GetObjectItem(f, "clients"), "requests_per_second") == 5);
    assert_string_equal(problems(f, out, sizeof out), "hook_raises,refuses");
    assert_string_equal(facts_text(cJSON_GetArrayItem(list, 0), "text"),
                        "hooks raised an error 5 times just now, 5 times since the "
                        "start, most by on_event of a");
    assert_non_null(strstr(facts_text(cJSON_GetArrayItem(list, 1), "text"),
                           "POST /e refuses 50 % of its events"));
    cJSON_Delete(f);
}

/* "stopping", "upgrade" and "trial" say themselves that there is nothing to do. */
static void each_problem_has_an_advice(void **state)
{
    static const char *const words[] = {"draining",
                                        "silent",
                                        "spool_fails",
                                        "spool_full",
                                        "disk_full",
                                        "damaged",
                                        "lost",
                                        "skipped",
                                        "sink_holds",
                                        "sink_late",
                                        "dead",
                                        "not_stored",
                                        "hook_raises",
                                        "hook_raised",
                                        "refuses",
                                        "refused",
                                        "load_refused",
                                        "canary_worse",
                                        "canary_rolled_back",
                                        "certificate",
                                        "descriptors",
                                        "upgrade_failed"};

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        assert_non_null(advice_for(words[i]));
        assert_true(strlen(advice_for(words[i])) > 15);
    }
    assert_null(advice_for("stopping"));
    assert_null(advice_for(""));
}

static void syncs_that_are_slow_are_a_note(void **state)
{
    static const char slow[] = "sluice_spool_sync_seconds_bucket{le=\"0.1\"} 1\n"
                               "sluice_spool_sync_seconds_bucket{le=\"0.25\"} 3\n"
                               "sluice_spool_sync_seconds_bucket{le=\"+Inf\"} 3\n";
    cJSON *f = facts_of("{\"sinks\":[]}", "", slow);
    const cJSON *note = cJSON_GetArrayItem(cJSON_GetObjectItem(f, "notes"), 0);

    (void)state;
    assert_true(facts_true(f, "ok"));
    assert_string_equal(
        facts_text(note, "text"),
        "the slowest syncs of the disk take 250 ms just now: with ack = "
        "\"synced\" clients wait for them");
    assert_non_null(strstr(facts_text(note, "next"), "iostat"));
    cJSON_Delete(f);
    f = facts_of("{\"sinks\":[]}", slow, slow); /* none during the look */
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(f, "notes")), 0);
    cJSON_Delete(f);
    f = facts_of("{\"sinks\":[]}", "",
                 "sluice_spool_sync_seconds_bucket{le=\"0.1\"} 3\n"
                 "sluice_spool_sync_seconds_bucket{le=\"+Inf\"} 3\n");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(f, "notes")), 0);
    cJSON_Delete(f);
}

/* "1 event waits", never "1 events wait". */
static void one_is_not_many(void **state)
{
    static const char *const expected[] = {
        "1 damaged block was found, with 1 event; the bytes are in spool/damaged",
        "sink k will never get 1 event, which the spool lost",
        "sink k has skipped 1 event",
        "sink k takes nothing, 1 event waits for it, the oldest for 3 s: no",
        "sink l takes nothing, 0 events wait for it: no",
        "sink m is 2 min behind, 1 event waits for it: it is slower than the clients",
        "1 event could not be written to the disk just now; its client got 503 and "
        "must "
        "send it again",
        "hooks raised an error 1 time just now, 1 time since the start",
        "1 connection was refused: max_connections was reached (just now)"};
    cJSON *f =
        facts_of("{\"sinks\":[{\"name\":\"k\",\"lost\":1,\"skipped\":1,\"dead\":1,"
                 "\"left_events\":1,\"holding\":true,\"why\":\"no\"},"
                 "{\"name\":\"l\",\"left_events\":0,\"holding\":true,\"why\":\"no\"},"
                 "{\"name\":\"m\",\"left_events\":1,\"holding\":false}]}",
                 "",
                 "sluice_spool_damaged_blocks_total{stream=\"s\"} 1\n"
                 "sluice_spool_damaged_events_total{stream=\"s\"} 1\n"
                 "sluice_sink_oldest_event_seconds{sink=\"k\"} 3\n"
                 "sluice_sink_oldest_event_seconds{sink=\"m\"} 120\n"
                 "sluice_store_failures_total{stream=\"s\"} 1\n"
                 "sluice_policy_errors_total{route=\"\",hook=\"\"} 1\n"
                 "sluice_connections_refused_total{reason=\"limit\"} 1\n");
    const cJSON *list = cJSON_GetObjectItem(f, "problems");

    (void)state;
    assert_int_equal(cJSON_GetArraySize(list), sizeof expected / sizeof *expected);
    for (int i = 0; i < cJSON_GetArraySize(list); i++) {
        assert_string_equal(facts_text(cJSON_GetArrayItem(list, i), "text"),
                            expected[i]);
    }
    assert_string_equal(
        facts_text(cJSON_GetArrayItem(cJSON_GetObjectItem(f, "notes"), 0), "text"),
        "sink k has refused 1 event for good since the start");
    cJSON_Delete(f);
}

/* After an outage a sink is behind, and no slower than the clients. */
static void a_late_sink_is_told_apart_by_its_cause(void **state)
{
    static const char status[] =
        "{\"sinks\":[{\"name\":\"a\",\"left_events\":2},{\"name\":\"b\","
        "\"left_events\":2,\"failing_since_ms\":7,\"last_error\":\"no broker\"},"
        "{\"name\":\"c\",\"left_events\":2,\"last_error\":\"long ago\"}]}";
    static const char before[] = "sluice_sink_left_events{sink=\"a\"} 9\n"
                                 "sluice_sink_left_events{sink=\"b\"} 9\n"
                                 "sluice_sink_left_events{sink=\"c\"} 2\n";
    static const char now[] = "sluice_sink_left_events{sink=\"a\"} 2\n"
                              "sluice_sink_left_events{sink=\"b\"} 2\n"
                              "sluice_sink_left_events{sink=\"c\"} 2\n"
                              "sluice_sink_oldest_event_seconds{sink=\"a\"} 120\n"
                              "sluice_sink_oldest_event_seconds{sink=\"b\"} 120\n"
                              "sluice_sink_oldest_event_seconds{sink=\"c\"} 120\n";
    static const char *const expected[][2] = {
        {"2 events wait for it: it catches up", "wait: the backlog shrinks"},
        {"2 events wait for it: its tries fail: no broker", "mend what the reason"},
        {"2 events wait for it: it is slower than the clients", "sluice top, key k"}};
    cJSON *f = facts_of(status, before, now);
    const cJSON *list = cJSON_GetObjectItem(f, "problems");

    (void)state;
    assert_int_equal(cJSON_GetArraySize(list), 3);
    for (int i = 0; i < 3; i++) {
        const cJSON *x = cJSON_GetArrayItem(list, i);

        assert_non_null(strstr(facts_text(x, "text"), expected[i][0]));
        assert_non_null(strstr(facts_text(x, "next"), expected[i][1]));
    }
    cJSON_Delete(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_late_sink_is_told_apart_by_its_cause),
        cmocka_unit_test(a_server_without_faults_is_ok),
        cmocka_unit_test(few_descriptors_are_told_before_clients_are_refused),
        cmocka_unit_test(each_fault_is_named),
        cmocka_unit_test(what_was_before_is_no_problem_of_now),
        cmocka_unit_test(a_refused_batch_counts_with_all_its_events),
        cmocka_unit_test(garbage_counts_when_it_is_much_of_all),
        cmocka_unit_test(the_list_of_refusals_begins_with_those_of_now),
        cmocka_unit_test(a_route_is_judged_by_all_its_codes),
        cmocka_unit_test(one_code_that_is_told_hides_no_others),
        cmocka_unit_test(what_all_codes_refuse_for_longer_is_told),
        cmocka_unit_test(what_is_refused_for_longer_is_told),
        cmocka_unit_test(a_quiet_route_behind_many_codes_is_judged),
        cmocka_unit_test(a_long_route_is_the_same_route),
        cmocka_unit_test(a_code_of_now_has_its_own_time),
        cmocka_unit_test(many_codes_are_told_as_a_number),
        cmocka_unit_test(many_codes_take_no_time),
        cmocka_unit_test(a_code_beyond_the_list_is_judged),
        cmocka_unit_test(a_stream_that_is_nearly_full_is_named),
        cmocka_unit_test(the_fullest_stream_is_named),
        cmocka_unit_test(an_older_server_is_not_accused),
        cmocka_unit_test(connections_are_those_of_clients),
        cmocka_unit_test(a_full_disk_is_said_though_the_spool_has_room),
        cmocka_unit_test(a_sink_that_is_slow_is_late),
        cmocka_unit_test(a_canary_that_is_worse_is_told),
        cmocka_unit_test(a_certificate_and_descriptors_that_end_are_told),
        cmocka_unit_test(what_counters_tell_is_told),
        cmocka_unit_test(each_reason_has_its_own_advice),
        cmocka_unit_test(a_sink_that_loses_events_is_not_said_to_lose_none),
        cmocka_unit_test(many_series_are_told_as_a_number),
        cmocka_unit_test(a_counter_that_began_again_counts_from_0),
        cmocka_unit_test(each_problem_has_an_advice),
        cmocka_unit_test(what_is_daily_life_is_not_told),
        cmocka_unit_test(a_long_look_is_not_just_now),
        cmocka_unit_test(syncs_that_are_slow_are_a_note),
        cmocka_unit_test(one_is_not_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
